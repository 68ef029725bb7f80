WITH used AS (
    SELECT
        org_id,
        count(*) AS active_days,
        count(*) FILTER (WHERE is_dag) AS dag_days
    FROM org_day
    WHERE day BETWEEN $as_of - 27 AND $as_of
    GROUP BY org_id
),

listed AS (
    SELECT DISTINCT list, account, org_id
    FROM account_lists
)

SELECT
    listed.list,
    listed.account,
    listed.org_id,
    registered.registered_on,
    coalesce(used.active_days, 0) AS active_days,
    coalesce(used.dag_days, 0) AS dag_days,
    CASE WHEN registered.org_id IS NOT NULL THEN coalesce(deep.level, 0) END AS level
FROM listed
LEFT JOIN org_registration AS registered ON listed.org_id = registered.org_id
LEFT JOIN used ON listed.org_id = used.org_id
LEFT JOIN deep_window AS deep ON listed.org_id = deep.org_id AND deep.until_day = $as_of AND deep.from_day >= period_start('month', $as_of, $week_start)
ORDER BY list, account, org_id

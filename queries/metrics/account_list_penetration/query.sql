WITH org_activity AS (
    SELECT
        org_id,
        max(CASE WHEN is_dag THEN 1 ELSE 0 END) AS dag
    FROM org_day
    WHERE day >= $as_of - 27
    GROUP BY org_id
),

counted AS (
    SELECT
        listed.list,
        count(DISTINCT listed.account) AS accounts,
        count(DISTINCT CASE WHEN registered.org_id IS NOT NULL THEN listed.account END) AS registered,
        count(DISTINCT CASE WHEN org_activity.org_id IS NOT NULL THEN listed.account END) AS active_28d,
        count(DISTINCT CASE WHEN org_activity.dag = 1 THEN listed.account END) AS dag_28d,
        count(DISTINCT CASE WHEN deep_window.org_id IS NOT NULL THEN listed.account END) AS deep
    FROM account_lists AS listed
    LEFT JOIN org_registration AS registered ON listed.org_id = registered.org_id
    LEFT JOIN org_activity ON listed.org_id = org_activity.org_id
    LEFT JOIN deep_window
        ON
            listed.org_id = deep_window.org_id
            AND deep_window.from_day >= period_start('month', $as_of, $week_start)
            AND deep_window.until_day = $as_of
            AND deep_window.level = 5
    GROUP BY listed.list
)

SELECT
    list,
    accounts,
    registered,
    active_28d,
    dag_28d,
    deep,
    rate(active_28d, accounts) AS penetration
FROM counted
ORDER BY list

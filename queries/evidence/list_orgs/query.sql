WITH unlisted AS (
    SELECT
        known.org_id,
        coalesce(active_days(calendar(kept.month, kept.days) FILTER (WHERE kept.entity = 'org'), $as_of - 27, $as_of), 0) AS active_days,
        coalesce(active_days(calendar(kept.month, kept.days) FILTER (WHERE kept.entity = 'dag'), $as_of - 27, $as_of), 0) AS dag_days
    FROM known_orgs AS known
    LEFT JOIN activity_calendar AS kept ON known.org_id = kept.id AND kept.entity <> 'user'
    WHERE known.org_id = $org_id AND NOT EXISTS (SELECT 1 FROM account_lists WHERE list = $list AND org_id = $org_id)
    GROUP BY known.org_id
),

asked AS (
    SELECT account, org_id, active_days, dag_days, true AS is_listed
    FROM listed_orgs
    WHERE list = $list AND org_id <> ''
    UNION ALL
    SELECT '' AS account, org_id, active_days, dag_days, false AS is_listed
    FROM unlisted
)

SELECT
    $list AS list,
    asked.account,
    asked.org_id,
    coalesce(known.name, '') AS name,
    registered.registered_on,
    asked.active_days,
    asked.dag_days,
    CASE WHEN registered.org_id IS NOT NULL THEN coalesce(present.level, 0) END AS level,
    coalesce(present.systems, 0) AS systems,
    coalesce(present.production_days, 0) AS production_days,
    coalesce(present.store_days, 0) AS store_days,
    coalesce(present.process_days, 0) AS process_days,
    coalesce(present.flow_days, 0) AS flow_days,
    coalesce(present.decide_days, 0) AS decide_days,
    asked.is_listed,
    asked.is_listed AND registered.org_id IS NOT NULL AS registered,
    asked.is_listed AND asked.active_days > 0 AS active_28d,
    asked.is_listed AND asked.dag_days > 0 AS dag_28d,
    asked.is_listed AND coalesce(present.level = 5, false) AS deep
FROM asked
LEFT JOIN known_orgs AS known ON asked.org_id = known.org_id
LEFT JOIN org_registration AS registered ON asked.org_id = registered.org_id
LEFT JOIN deep_window AS present ON asked.org_id = present.org_id AND present.until_day = $as_of
    AND present.from_day >= period_start('month', $as_of, $week_start)
ORDER BY list, account, org_id

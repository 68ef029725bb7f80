WITH daily AS (
    SELECT 'user' AS entity, day, dau AS active, mau AS active_28d
    FROM daily_activity
    UNION ALL
    SELECT 'org' AS entity, day, active_orgs AS active, active_orgs_28d AS active_28d
    FROM daily_activity
    UNION ALL
    SELECT 'dag' AS entity, day, dag AS active, dag_28d AS active_28d
    FROM daily_activity
),

expected AS (
    SELECT
        entity,
        sum(CASE WHEN day = $as_of THEN active_28d ELSE 0 END) AS entities,
        sum(active) AS active_days
    FROM daily
    WHERE day >= $as_of - 27
    GROUP BY entity
),

found AS (
    SELECT entity, sum(entities) AS entities, sum(entities * days_active) AS active_days
    FROM stickiness
    GROUP BY entity
)

SELECT
    expected.entity,
    coalesce(found.entities, 0) AS entities,
    expected.entities AS expected_entities,
    coalesce(found.active_days, 0) AS active_days,
    expected.active_days AS expected_days
FROM expected
LEFT JOIN found ON expected.entity = found.entity
WHERE expected.entities <> coalesce(found.entities, 0) OR expected.active_days <> coalesce(found.active_days, 0)
ORDER BY entity

WITH daily AS (
    SELECT 'user' AS entity, 'day' AS grain, day, dau AS active
    FROM daily_activity
    UNION ALL
    SELECT 'user' AS entity, 'trailing_28' AS grain, day, mau AS active
    FROM daily_activity
    UNION ALL
    SELECT 'org' AS entity, 'day' AS grain, day, active_orgs AS active
    FROM daily_activity
    UNION ALL
    SELECT 'org' AS entity, 'trailing_28' AS grain, day, active_orgs_28d AS active
    FROM daily_activity
    UNION ALL
    SELECT 'dag' AS entity, 'day' AS grain, day, dag AS active
    FROM daily_activity
    UNION ALL
    SELECT 'dag' AS entity, 'trailing_28' AS grain, day, dag_28d AS active
    FROM daily_activity
)

SELECT
    daily.entity,
    daily.grain,
    daily.day AS period_start,
    coalesce(growth.active, 0) AS active,
    daily.active AS daily
FROM daily
LEFT JOIN growth_accounting AS growth
    ON daily.entity = growth.entity AND daily.grain = growth.grain AND daily.day = growth.period_start
WHERE daily.active <> coalesce(growth.active, 0)
ORDER BY entity, grain, period_start

SELECT
    grid.day,
    grid.dag AS grid,
    daily.dag
FROM dag_sensitivity AS grid
INNER JOIN daily_activity AS daily ON grid.day = daily.day
INNER JOIN dag_definitions AS definition ON grid.day = definition.day
WHERE
    grid.min_apps = definition.min_apps
    AND grid.app_min_usage_seconds = seconds(definition.app_min_usage_ms)
    AND grid.org_min_usage_seconds = seconds(definition.org_min_usage_ms)
    AND grid.dag <> daily.dag
ORDER BY day

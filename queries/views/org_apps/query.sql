SELECT
    used.day,
    used.org_id,
    used.app_id,
    coalesce(app.name, '') AS name,
    coalesce(app.category, '') AS category,
    used.human_events,
    used.machine_events,
    used.events - used.human_events - used.machine_events AS other_events,
    seconds(used.usage_ms) AS usage_seconds,
    seconds(definition.app_min_usage_ms) AS needed_seconds,
    used.human_events > 0 AS is_used,
    used.human_events > 0 AND used.usage_ms >= definition.app_min_usage_ms AS is_over_threshold
FROM org_app_day AS used
INNER JOIN dag_definitions AS definition ON used.day = definition.day
LEFT JOIN apps AS app
    ON used.app_id = app.app_id AND used.day >= app.valid_from AND used.day <= app.valid_until
WHERE used.org_id <> ''
ORDER BY day, org_id, app_id

SELECT
    day,
    $app_min_usage_seconds AS app_min_usage_seconds,
    org_id,
    app_id,
    name,
    category,
    human_events,
    usage_seconds,
    usage_seconds >= $app_min_usage_seconds AS is_over_threshold
FROM org_apps
WHERE day = $day AND org_id = $org_id AND is_used
ORDER BY day, app_min_usage_seconds, org_id, app_id

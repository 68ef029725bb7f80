SELECT
    org_id,
    day AS active_on,
    users,
    apps,
    apps_over_threshold,
    seconds(usage_ms) AS usage_seconds,
    is_dag
FROM org_day
WHERE day BETWEEN $day - 27 AND $day AND org_id = $org_id
ORDER BY org_id, active_on

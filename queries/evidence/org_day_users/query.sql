SELECT
    day,
    org_id,
    user_id,
    events,
    human_events,
    seconds(usage_ms) AS usage_seconds,
    human_events > 0 AS is_active
FROM user_day
WHERE day = $day AND org_id = $org_id
ORDER BY day, org_id, user_id

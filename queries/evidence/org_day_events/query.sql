SELECT
    day,
    org_id,
    cast(row_number() OVER (ORDER BY ts, user_id, app_id, action, event_id, duration_ms) AS bigint) AS number,
    ts,
    user_id,
    app_id,
    action,
    event_id,
    seconds(duration_ms) AS duration_seconds,
    counts_as,
    is_human,
    is_machine,
    seconds(usage_ms) AS usage_seconds
FROM counted_events
WHERE day = $day AND org_id = $org_id
ORDER BY day, org_id, number

SELECT
    $week AS week,
    app_id,
    org_id,
    cast(row_number() OVER (ORDER BY ts, user_id, action, event_id, duration_ms) AS bigint) AS number,
    day AS active_on,
    ts,
    user_id,
    action,
    event_id,
    seconds(usage_ms) AS usage_seconds
FROM counted_events
WHERE
    day BETWEEN $week AND period_end('week', $week, $week_start)
    AND day <= $as_of
    AND app_id = $app_id
    AND org_id = $org_id
    AND is_human
ORDER BY week, app_id, org_id, number

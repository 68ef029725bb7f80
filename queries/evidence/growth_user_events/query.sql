SELECT
    user_id,
    cast(row_number() OVER (ORDER BY ts, org_id, app_id, action, event_id, duration_ms) AS bigint) AS number,
    day AS active_on,
    org_id,
    ts,
    app_id,
    action,
    event_id,
    counts_as,
    is_human,
    seconds(usage_ms) AS usage_seconds
FROM counted_events
WHERE
    day >= period_start(replace($grain, 'trailing_28', 'day'), $period_start - 1, $week_start) - CASE WHEN $grain = 'trailing_28' THEN 27 ELSE 0 END
    AND day <= period_end(replace($grain, 'trailing_28', 'day'), $period_start, $week_start)
    AND day <= $as_of
    AND user_id = $user_id
    AND $entity = 'user'
ORDER BY user_id, number

SELECT
    user_id,
    cast(row_number() OVER (ORDER BY ts, org_id, app_id, action, event_id, duration_ms) AS bigint) AS number,
    day AS active_on,
    org_id,
    ts,
    app_id,
    action,
    event_id,
    seconds(duration_ms) AS duration_seconds,
    counts_as,
    is_human,
    seconds(usage_ms) AS usage_seconds
FROM counted_events
WHERE
    day >= period_after($grain, $cohort, $period, $week_start)
    AND day <= period_end($grain, period_after($grain, $cohort, $period, $week_start), $week_start)
    AND day <= $as_of
    AND user_id = $user_id
ORDER BY user_id, number

SELECT
    org_id,
    cast(row_number() OVER (ORDER BY ts, user_id, app_id, action, event_id, duration_ms) AS bigint) AS number,
    day AS active_on,
    ts,
    user_id,
    app_id,
    action,
    event_id,
    seconds(usage_ms) AS usage_seconds
FROM counted_events
WHERE
    day >= period_after($grain, $cohort, $period, $week_start)
    AND day <= period_end($grain, period_after($grain, $cohort, $period, $week_start), $week_start)
    AND day <= $as_of
    AND org_id = $org_id
    AND is_human
ORDER BY org_id, number

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
    day >= period_start(replace(coalesce($grain, 'month'), 'trailing_28', 'day'), coalesce($period_start, $month) - 1, $week_start) - CASE WHEN $grain = 'trailing_28' THEN 27 ELSE 0 END
    AND day <= period_end(replace(coalesce($grain, 'month'), 'trailing_28', 'day'), coalesce($period_start, $month), $week_start)
    AND day <= $as_of
    AND org_id = $org_id
    AND $entity <> 'user'
    AND is_human
ORDER BY org_id, number

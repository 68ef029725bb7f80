SELECT
    org_id,
    day AS active_on,
    app_id,
    name,
    category,
    human_events,
    usage_seconds,
    needed_seconds,
    is_over_threshold
FROM org_apps
WHERE
    day >= period_start(replace(coalesce($grain, 'month'), 'trailing_28', 'day'), coalesce($period_start, $month) - 1, $week_start) - CASE WHEN $grain = 'trailing_28' THEN 27 ELSE 0 END
    AND day <= period_end(replace(coalesce($grain, 'month'), 'trailing_28', 'day'), coalesce($period_start, $month), $week_start)
    AND day <= $as_of
    AND org_id = $org_id
    AND $entity <> 'user'
    AND is_used
ORDER BY org_id, active_on, app_id

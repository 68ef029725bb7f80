SELECT
    org_id,
    day AS active_on,
    users,
    apps,
    apps_over_threshold,
    seconds(usage_ms) AS usage_seconds,
    is_dag,
    (is_dag OR $entity <> 'dag') AND day < coalesce($period_start, $month) AS is_before,
    (is_dag OR $entity <> 'dag') AND day >= coalesce($period_start, $month) - CASE WHEN $grain = 'trailing_28' THEN 27 ELSE 0 END AS is_in_period
FROM org_day
WHERE
    day >= period_start(replace(coalesce($grain, 'month'), 'trailing_28', 'day'), coalesce($period_start, $month) - 1, $week_start) - CASE WHEN $grain = 'trailing_28' THEN 27 ELSE 0 END
    AND day <= period_end(replace(coalesce($grain, 'month'), 'trailing_28', 'day'), coalesce($period_start, $month), $week_start)
    AND org_id = $org_id
    AND $entity <> 'user'
ORDER BY org_id, active_on

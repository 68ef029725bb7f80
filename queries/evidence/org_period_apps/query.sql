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
    day >= period_start($grain, $cohort + $period * CASE $grain WHEN 'day' THEN 1 WHEN 'week' THEN 7 ELSE 31 END, $week_start)
    AND day <= period_end($grain, $cohort + $period * CASE $grain WHEN 'day' THEN 1 WHEN 'week' THEN 7 ELSE 31 END, $week_start)
    AND org_id = $org_id
    AND is_used
ORDER BY org_id, active_on, app_id

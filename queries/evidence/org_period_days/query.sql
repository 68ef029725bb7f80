SELECT
    org_id,
    day AS active_on,
    users,
    apps,
    apps_over_threshold,
    seconds(usage_ms) AS usage_seconds,
    is_dag
FROM org_day
WHERE
    day >= period_start($grain, $cohort + $period * CASE $grain WHEN 'day' THEN 1 WHEN 'week' THEN 7 ELSE 31 END, $week_start)
    AND day <= period_end($grain, $cohort + $period * CASE $grain WHEN 'day' THEN 1 WHEN 'week' THEN 7 ELSE 31 END, $week_start)
    AND org_id = $org_id
ORDER BY org_id, active_on

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
    day >= period_after($grain, $cohort, $period, $week_start)
    AND day <= period_end($grain, period_after($grain, $cohort, $period, $week_start), $week_start)
    AND org_id = $org_id
ORDER BY org_id, active_on

SELECT
    user_id,
    day AS active_on,
    org_id,
    events,
    human_events,
    seconds(usage_ms) AS usage_seconds,
    CASE WHEN human_events > 0 THEN day END AS counted_day
FROM user_day
WHERE
    day >= period_after($grain, $cohort, $period, $week_start)
    AND day <= period_end($grain, period_after($grain, $cohort, $period, $week_start), $week_start)
    AND day <= $as_of
    AND user_id = $user_id
ORDER BY user_id, active_on, org_id

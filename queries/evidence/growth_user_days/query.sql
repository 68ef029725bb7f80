SELECT
    user_id,
    day AS active_on,
    org_id,
    events,
    human_events,
    seconds(usage_ms) AS usage_seconds,
    CASE WHEN human_events > 0 AND day < $period_start THEN day END AS day_before,
    CASE
        WHEN human_events > 0 AND day >= $period_start - CASE WHEN $grain = 'trailing_28' THEN 27 ELSE 0 END THEN day
    END AS day_in_period
FROM user_day
WHERE
    day >= period_start(replace($grain, 'trailing_28', 'day'), $period_start - 1, $week_start) - CASE WHEN $grain = 'trailing_28' THEN 27 ELSE 0 END
    AND day <= period_end(replace($grain, 'trailing_28', 'day'), $period_start, $week_start)
    AND day <= $as_of
    AND user_id = $user_id
    AND $entity = 'user'
ORDER BY user_id, active_on, org_id

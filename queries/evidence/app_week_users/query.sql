SELECT
    $week AS week,
    app_id,
    user_id,
    count(*) AS days,
    sum(human_events) AS human_events,
    seconds(sum(usage_ms)) AS usage_seconds
FROM app_user_day
WHERE day BETWEEN $week AND period_end('week', $week, $week_start) AND day <= $as_of AND app_id = $app_id
GROUP BY app_id, user_id
ORDER BY week, app_id, user_id

SELECT
    $week AS week,
    $app_id AS app_id,
    count(DISTINCT CASE WHEN app_id = $app_id THEN user_id END) AS users,
    count(DISTINCT user_id) AS active_users,
    rate(count(DISTINCT CASE WHEN app_id = $app_id THEN user_id END), count(DISTINCT user_id)) AS user_share
FROM app_user_day
WHERE day BETWEEN $week AND period_end('week', $week, $week_start) AND day <= $as_of
ORDER BY week, app_id

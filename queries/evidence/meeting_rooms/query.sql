SELECT
    $month AS month,
    room.org_id,
    room.concurrent_id,
    room.app_id,
    coalesce(app.category, '') AS category,
    min(room.day) AS first_on,
    max(room.day) AS last_on,
    sum(room.human_events) AS human_events,
    seconds(sum(room.usage_ms)) AS usage_seconds,
    CASE WHEN coalesce(app.category, '') = 'communication' THEN room.concurrent_id END AS meeting
FROM room_day AS room
LEFT JOIN apps AS app
    ON room.app_id = app.app_id AND room.day >= app.valid_from AND room.day <= app.valid_until
WHERE
    room.day BETWEEN $month AND period_end('month', $month, 'monday')
    AND room.day <= $as_of
    AND room.org_id = $org_id
GROUP BY room.org_id, room.concurrent_id, room.app_id, coalesce(app.category, '')
ORDER BY month, org_id, concurrent_id, app_id, category

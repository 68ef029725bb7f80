SELECT
    day,
    app_id,
    peak_users,
    local_instant(peak_at, $time_zone) AS peak_at,
    peak_rooms,
    largest_room
FROM concurrency_day
ORDER BY day, app_id

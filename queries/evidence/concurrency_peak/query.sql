SELECT
    day,
    app_id,
    users AS peak_users,
    local_instant(users_at, $time_zone) AS peak_at,
    rooms AS peak_rooms,
    coalesce(local_instant(rooms_at, $time_zone), '') AS rooms_peak_at,
    largest_room AS largest_room_id,
    largest_room_users AS largest_room
FROM concurrency_moments
WHERE day = $day AND app_id = $app_id
ORDER BY day, app_id

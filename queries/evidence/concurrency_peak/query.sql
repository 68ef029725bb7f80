SELECT
    day,
    app_id,
    users AS peak_users,
    to_char(users_at AT TIME ZONE $time_zone, '%Y-%m-%dT%H:%M:%S%.3f%:z') AS peak_at,
    rooms AS peak_rooms,
    coalesce(to_char(rooms_at AT TIME ZONE $time_zone, '%Y-%m-%dT%H:%M:%S%.3f%:z'), '') AS rooms_peak_at,
    largest_room AS largest_room_id,
    largest_room_users AS largest_room
FROM concurrency_moments
WHERE day = $day AND app_id = $app_id
ORDER BY day, app_id

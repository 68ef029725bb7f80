SELECT
    day,
    app_id,
    peak_users,
    to_char(peak_at AT TIME ZONE $time_zone, '%Y-%m-%dT%H:%M:%S%.3f%:z') AS peak_at,
    peak_rooms,
    largest_room
FROM concurrency_day
ORDER BY day, app_id

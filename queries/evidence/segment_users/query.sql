SELECT
    $day AS day,
    dimension,
    segment,
    user_id,
    count(DISTINCT active_on) AS days,
    max(active_on) AS last_on,
    max(active_on) = $day AS is_active
FROM seat_places
WHERE
    active_on BETWEEN $day - 27 AND $day
    AND dimension = $dimension
    AND segment = $segment
    AND $day >= valid_from
    AND $day <= valid_until
GROUP BY dimension, segment, user_id
ORDER BY day, dimension, segment, user_id

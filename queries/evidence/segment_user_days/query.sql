SELECT
    user_id,
    active_on,
    org_id,
    human_events
FROM seat_places
WHERE
    active_on BETWEEN $day - 27 AND $day
    AND dimension = $dimension
    AND segment = $segment
    AND $day >= valid_from
    AND $day <= valid_until
    AND user_id = $user_id
ORDER BY user_id, active_on, org_id

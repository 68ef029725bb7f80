SELECT
    used.day AS active_on,
    used.user_id,
    used.org_id,
    place.dimension,
    place.segment,
    place.valid_from,
    place.valid_until,
    used.human_events
FROM user_day AS used
INNER JOIN org_places AS place ON used.org_id = place.org_id
WHERE used.human_events > 0
UNION ALL
SELECT
    used.day AS active_on,
    used.user_id,
    used.org_id,
    'role' AS dimension,
    coalesce(nullif(person.role, ''), '(unknown)') AS segment,
    DATE '0001-01-01' AS valid_from,
    DATE '9999-12-31' AS valid_until,
    used.human_events
FROM user_day AS used
LEFT JOIN users AS person ON used.user_id = person.user_id
WHERE used.human_events > 0
ORDER BY active_on, user_id, org_id, dimension, valid_from

WITH told AS (
    SELECT id, dated_on
    FROM dated_entities
    WHERE
        entity = $entity
        AND registered_on IS NULL
        AND (
            dated_on = (SELECT min(dated_on) FROM entity_dates WHERE entity = $entity AND ids_so_far >= $threshold)
            OR ($entity = 'org' AND id = $org_id)
            OR ($entity = 'user' AND id = $user_id)
        )
)

SELECT
    $entity AS entity,
    $threshold AS threshold,
    CASE WHEN $entity = 'org' THEN told.id ELSE '' END AS org_id,
    CASE WHEN $entity = 'user' THEN told.id ELSE '' END AS user_id,
    cast(row_number() OVER (
        ORDER BY event.ts, event.user_id, event.org_id, event.app_id, event.action, event.event_id, event.duration_ms
    ) AS bigint) AS number,
    event.day AS first_active_on,
    event.ts,
    event.user_id AS by_user,
    event.org_id AS for_org,
    event.app_id,
    event.action,
    event.event_id
FROM told
INNER JOIN counted_events AS event
    ON told.dated_on = event.day AND told.id = CASE WHEN $entity = 'org' THEN event.org_id ELSE event.user_id END
WHERE event.is_human
ORDER BY entity, threshold, number

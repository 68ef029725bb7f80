WITH told AS (
    SELECT
        *,
        coalesce(
            dated_on = (SELECT min(dated_on) FROM entity_dates WHERE entity = $entity AND ids_so_far >= $threshold), false
        ) AS is_on_date
    FROM dated_entities
    WHERE entity = $entity
),

used AS (
    SELECT
        'org' AS entity,
        org_id AS id,
        day,
        human_events
    FROM org_app_day
    UNION ALL
    SELECT
        'user' AS entity,
        user_id AS id,
        day,
        human_events
    FROM user_day
)

SELECT
    told.entity,
    $threshold AS threshold,
    CASE WHEN told.entity = 'org' THEN told.id ELSE '' END AS org_id,
    CASE WHEN told.entity = 'user' THEN told.id ELSE '' END AS user_id,
    told.registered_on,
    CASE WHEN told.registered_on IS NULL THEN told.first_active_on END AS first_active_on,
    coalesce(sum(used.human_events), 0) AS first_events,
    told.dated_on,
    told.is_on_date
FROM told
LEFT JOIN used
    ON told.entity = used.entity AND told.id = used.id AND told.first_active_on = used.day AND told.registered_on IS NULL
WHERE
    told.is_on_date
    OR (told.entity = 'org' AND told.id = $org_id)
    OR (told.entity = 'user' AND told.id = $user_id)
GROUP BY told.entity, told.id, told.registered_on, told.first_active_on, told.dated_on, told.is_on_date
ORDER BY entity, threshold, org_id, user_id

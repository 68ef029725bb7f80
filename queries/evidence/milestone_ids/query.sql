WITH told AS (
    SELECT
        *,
        coalesce(
            dated_on = (SELECT min(dated_on) FROM entity_dates WHERE entity = $entity AND ids_so_far >= $threshold), false
        ) AS is_on_date
    FROM dated_entities
    WHERE entity = $entity
)

SELECT
    entity,
    $threshold AS threshold,
    CASE WHEN entity = 'org' THEN id ELSE '' END AS org_id,
    CASE WHEN entity = 'user' THEN id ELSE '' END AS user_id,
    registered_on,
    CASE WHEN registered_on IS NULL THEN first_active_on END AS first_active_on,
    dated_on,
    is_on_date
FROM told
WHERE is_on_date OR (entity = 'org' AND id = $org_id) OR (entity = 'user' AND id = $user_id)
ORDER BY entity, threshold, org_id, user_id

SELECT
    $day AS day,
    place.dimension,
    place.segment,
    place.org_id,
    place.headcount,
    coalesce(active.users, 0) AS users,
    coalesce(active.apps, 0) AS apps,
    coalesce(active.apps_over_threshold, 0) AS apps_over_threshold,
    seconds(coalesce(active.usage_ms, 0)) AS usage_seconds,
    coalesce(deep.level, 0) AS level,
    active.org_id IS NOT NULL AS is_active,
    coalesce(active.is_dag, false) AS is_dag,
    coalesce(deep.level, 0) = 5 AS is_deep
FROM org_places AS place
INNER JOIN org_registration AS registered ON place.org_id = registered.org_id
LEFT JOIN org_day AS active ON place.org_id = active.org_id AND active.day = $day
LEFT JOIN deep_window AS deep
    ON place.org_id = deep.org_id AND $day >= deep.from_day AND $day <= deep.until_day
WHERE
    $day >= place.valid_from
    AND $day <= place.valid_until
    AND registered.registered_on <= $day
    AND (
        place.dimension = $dimension AND place.segment = $segment
        OR place.org_id = $org_id
        AND place.dimension = CASE WHEN $dimension = 'role' THEN 'size_band' ELSE $dimension END
    )
ORDER BY day, dimension, segment, org_id

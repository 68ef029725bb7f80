WITH placed AS (
    SELECT
        registered.org_id,
        org.headcount,
        coalesce(
            CASE
                WHEN $dimension = 'size_band' THEN org.size_band
                WHEN $dimension = 'industry' THEN org.industry
                WHEN $dimension = 'region' THEN org.region
                ELSE org.edition
            END, '(unknown)'
        ) AS segment
    FROM org_registration AS registered
    LEFT JOIN org_segments AS org
        ON registered.org_id = org.org_id AND $day >= org.valid_from AND $day <= org.valid_until
    WHERE registered.registered_on <= $day AND $dimension <> 'role'
)

SELECT
    $day AS day,
    $dimension AS dimension,
    placed.segment,
    placed.org_id,
    placed.headcount,
    coalesce(active.users, 0) AS users,
    coalesce(active.apps_over_threshold, 0) AS apps_over_threshold,
    seconds(coalesce(active.usage_ms, 0)) AS usage_seconds,
    coalesce(deep.level, 0) AS level,
    active.org_id IS NOT NULL AS is_active,
    coalesce(active.is_dag, false) AS is_dag,
    coalesce(deep.level, 0) = 5 AS is_deep
FROM placed
LEFT JOIN org_day AS active ON placed.org_id = active.org_id AND active.day = $day
LEFT JOIN deep_window AS deep
    ON placed.org_id = deep.org_id AND $day >= deep.from_day AND $day <= deep.until_day
WHERE placed.segment = $segment
ORDER BY day, dimension, segment, org_id

WITH placed AS (
    SELECT
        used.user_id,
        used.day,
        coalesce(
            CASE
                WHEN $dimension = 'size_band' THEN org.size_band
                WHEN $dimension = 'industry' THEN org.industry
                WHEN $dimension = 'region' THEN org.region
                WHEN $dimension = 'edition' THEN org.edition
                ELSE nullif(person.role, '')
            END, '(unknown)'
        ) AS segment
    FROM user_day AS used
    LEFT JOIN org_segments AS org
        ON used.org_id = org.org_id AND $day >= org.valid_from AND $day <= org.valid_until
    LEFT JOIN users AS person ON used.user_id = person.user_id
    WHERE
        used.day BETWEEN $day - 27 AND $day
        AND used.human_events > 0
        AND (used.org_id <> '' OR $dimension = 'role')
)

SELECT
    $day AS day,
    $dimension AS dimension,
    segment,
    user_id,
    count(DISTINCT day) AS days,
    max(day) AS last_on,
    max(day) = $day AS is_active,
    true AS is_active_28d
FROM placed
WHERE segment = $segment
GROUP BY segment, user_id
ORDER BY day, dimension, segment, user_id

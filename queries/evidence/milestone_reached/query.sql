WITH asked AS (
    SELECT
        CASE
            WHEN $threshold > 100000000 THEN $threshold - 100000000
            WHEN $threshold = 1 THEN NULL
            WHEN cast($threshold AS varchar) LIKE '5%' THEN $threshold / 5 * 2
            ELSE $threshold / 2
        END AS previous_threshold,
        regexp_like(cast($threshold AS varchar), '^[125]0*$') OR ($threshold > 0 AND $threshold % 100000000 = 0) AS is_threshold
),

dated AS (
    SELECT
        asked.previous_threshold,
        asked.is_threshold,
        min(counted.dated_on) FILTER (WHERE counted.ids_so_far >= $threshold) AS reached_on,
        min(counted.dated_on) FILTER (WHERE counted.ids_so_far >= asked.previous_threshold) AS previous_reached_on,
        coalesce(max(counted.ids_so_far) FILTER (WHERE counted.ids_so_far < $threshold), 0) AS ids_before,
        min(counted.ids_so_far) FILTER (WHERE counted.ids_so_far >= $threshold) AS ids_reached
    FROM asked
    LEFT JOIN entity_dates AS counted ON counted.entity = $entity
    GROUP BY asked.previous_threshold, asked.is_threshold
)

SELECT
    $entity AS entity,
    $threshold AS threshold,
    reached_on,
    ids_before,
    coalesce(ids_reached, ids_before) - ids_before AS ids_on_date,
    coalesce(ids_reached, ids_before) AS ids_so_far,
    previous_threshold,
    previous_reached_on,
    reached_on - previous_reached_on AS days_since_previous,
    is_threshold AND reached_on IS NOT NULL AS is_listed
FROM dated
ORDER BY entity, threshold

-- One date for each id, then a running count over the dates; a date reaches the thresholds between the count before it
-- and the count after it.
WITH known AS (
    SELECT 'org' AS entity, org_id AS id, registered_on, cast(NULL AS DATE) AS first_day
    FROM orgs
    UNION ALL
    SELECT 'user' AS entity, user_id AS id, registered_on, cast(NULL AS DATE) AS first_day
    FROM users
    WHERE NOT is_internal
    UNION ALL
    SELECT entity, id, cast(NULL AS DATE) AS registered_on, first_day
    FROM undated_active
),

dated AS (
    SELECT
        entity,
        id,
        coalesce(min(registered_on), min(first_day)) AS day
    FROM known
    GROUP BY entity, id
),

counted AS (
    SELECT
        entity,
        day,
        count(*) AS ids,
        sum(count(*)) OVER (PARTITION BY entity ORDER BY day) AS ids_so_far
    FROM dated
    WHERE day <= $as_of
    GROUP BY entity, day
),

-- 1, 2 and 5 times each power of ten, and the multiples of a hundred million: up to ten thousand million, which is more
-- than there are people.
threshold AS (
    SELECT lead_digit.digit * power_of_ten.factor AS threshold
    FROM (VALUES (1), (2), (5)) AS lead_digit (digit)
    CROSS JOIN (
        VALUES (1), (10), (100), (1000), (10000), (100000), (1000000), (10000000), (100000000), (1000000000)
    ) AS power_of_ten (factor)
    UNION
    SELECT unnest(range(1, 101)) * 100000000 AS threshold
)

SELECT
    counted.entity,
    threshold.threshold,
    counted.day AS reached_on,
    counted.day - lag(counted.day) OVER (PARTITION BY counted.entity ORDER BY threshold.threshold) AS days_since_previous
FROM counted
INNER JOIN threshold
    ON
        threshold.threshold <= counted.ids_so_far
        AND threshold.threshold > counted.ids_so_far - counted.ids
ORDER BY entity, threshold

WITH seen AS (
    SELECT
        org_id,
        min(first_day) AS first_day
    FROM org_seen
    GROUP BY org_id
),

listed AS (
    SELECT
        org_id,
        coalesce(min(registered_on), DATE '0001-01-01') AS registered_on
    FROM orgs
    GROUP BY org_id
),

registered AS (
    SELECT
        coalesce(seen.org_id, listed.org_id) AS org_id,
        least(
            coalesce(seen.first_day, listed.registered_on),
            coalesce(listed.registered_on, seen.first_day)
        ) AS registered_on
    FROM seen
    FULL OUTER JOIN listed ON seen.org_id = listed.org_id
)

SELECT
    greatest(registered_on, $first_day) AS registered_on,
    org_id
FROM registered
WHERE registered_on <= $as_of AND greatest(registered_on, $first_day) >= $from_month
ORDER BY registered_on, org_id

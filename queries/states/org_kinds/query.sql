WITH org_row AS (
    SELECT org_id, valid_from, valid_until, headcount, size_band, industry, region, edition
    FROM org_segments
    UNION ALL
    SELECT
        org_id,
        DATE '0001-01-01',
        min(valid_from) - 1,
        cast(NULL AS bigint),
        '(unknown)',
        '(unknown)',
        '(unknown)',
        '(unknown)'
    FROM org_segments
    GROUP BY org_id
    HAVING min(valid_from) > DATE '0001-01-01'
),

registered AS (
    SELECT
        registered.org_id,
        coalesce(org.valid_from, DATE '0001-01-01') AS from_day,
        coalesce(org.valid_until, DATE '9999-12-31') AS until_day,
        registered.registered_on,
        org.headcount,
        coalesce(org.size_band, '(unknown)') AS size_band,
        coalesce(org.industry, '(unknown)') AS industry,
        coalesce(org.region, '(unknown)') AS region,
        coalesce(org.edition, '(unknown)') AS edition
    FROM org_registration AS registered
    LEFT JOIN org_row AS org ON registered.org_id = org.org_id
),

-- Numbers that are in the order of the segments are compared faster than four texts.
numbered AS (
    SELECT *, dense_rank() OVER (ORDER BY size_band, industry, region, edition) AS kind_of_all
    FROM registered
),

calendar AS (
    SELECT DISTINCT period_start('month', day, $week_start) AS month, period_end('month', day, $week_start) AS last_day
    FROM days
    WHERE day >= $from_month AND day <= $as_of
)

SELECT
    calendar.month,
    held.org_id,
    greatest(held.from_day, calendar.month) AS from_day,
    least(held.until_day, calendar.last_day) AS until_day,
    held.registered_on,
    held.headcount,
    cast(dense_rank() OVER (PARTITION BY calendar.month ORDER BY held.kind_of_all) AS bigint) AS kind,
    held.size_band,
    held.industry,
    held.region,
    held.edition
FROM numbered AS held
INNER JOIN calendar
    ON
        held.registered_on <= calendar.last_day
        AND held.from_day <= calendar.last_day
        AND held.until_day >= calendar.month
ORDER BY month, org_id, from_day

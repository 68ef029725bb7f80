WITH first_row AS (
    SELECT
        org_id,
        min(valid_from) AS valid_from
    FROM org_segments
    GROUP BY org_id
),

row_of AS (
    SELECT org_id, valid_from, valid_until, headcount, size_band, industry, region, edition
    FROM org_segments
    UNION ALL
    SELECT
        known.org_id,
        DATE '0001-01-01',
        coalesce(first_row.valid_from - 1, DATE '9999-12-31'),
        cast(NULL AS bigint),
        '(unknown)',
        '(unknown)',
        '(unknown)',
        '(unknown)'
    FROM known_orgs AS known
    LEFT JOIN first_row ON known.org_id = first_row.org_id
    WHERE first_row.org_id IS NULL OR first_row.valid_from > DATE '0001-01-01'
)

SELECT
    org_id,
    dimension,
    valid_from,
    valid_until,
    CASE
        WHEN dimension = 'size_band' THEN size_band
        WHEN dimension = 'industry' THEN industry
        WHEN dimension = 'region' THEN region
        ELSE edition
    END AS segment,
    headcount
FROM (SELECT *, unnest(make_array('size_band', 'industry', 'region', 'edition')) AS dimension FROM row_of) AS asked
ORDER BY org_id, dimension, valid_from

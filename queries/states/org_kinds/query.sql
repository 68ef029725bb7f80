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

held AS (
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
)

SELECT
    org_id,
    from_day,
    until_day,
    registered_on,
    headcount,
    cast(dense_rank() OVER (ORDER BY size_band, industry, region, edition) AS bigint) AS kind,
    size_band,
    industry,
    region,
    edition
FROM held
ORDER BY org_id, from_day

SELECT
    kind.month,
    kind.kind,
    part.dimension,
    CASE
        WHEN part.dimension = 'size_band' THEN kind.size_band
        WHEN part.dimension = 'industry' THEN kind.industry
        WHEN part.dimension = 'region' THEN kind.region
        ELSE kind.edition
    END AS segment
FROM (SELECT DISTINCT month, kind, size_band, industry, region, edition FROM org_kinds) AS kind
CROSS JOIN (VALUES ('edition'), ('industry'), ('region'), ('size_band')) AS part (dimension)
ORDER BY month, kind, dimension

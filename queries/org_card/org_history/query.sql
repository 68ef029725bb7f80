SELECT
    org_id,
    nullif(valid_from, DATE '0001-01-01') AS valid_from,
    CASE WHEN valid_until < $as_of THEN valid_until END AS valid_until,
    headcount,
    size_band,
    industry,
    region,
    edition
FROM org_segments
WHERE org_id = $org_id AND valid_from <= $as_of
ORDER BY org_id, valid_from NULLS FIRST

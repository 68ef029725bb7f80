SELECT
    org_id,
    valid_from,
    valid_until,
    headcount,
    CASE
        WHEN headcount < 100 THEN '0-99'
        WHEN headcount < 500 THEN '100-499'
        WHEN headcount < 2000 THEN '500-1999'
        WHEN headcount < 10000 THEN '2000-9999'
        WHEN headcount < 100000 THEN '10000-99999'
        WHEN headcount < 1000000 THEN '100000-999999'
        WHEN headcount >= 1000000 THEN '1000000+'
        ELSE '(unknown)'
    END AS size_band,
    coalesce(nullif(industry, ''), '(unknown)') AS industry,
    coalesce(nullif(region, ''), '(unknown)') AS region,
    coalesce(nullif(edition, ''), '(unknown)') AS edition
FROM orgs
ORDER BY org_id, valid_from

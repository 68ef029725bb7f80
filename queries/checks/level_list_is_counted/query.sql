SELECT
    counted.level,
    counted.orgs,
    coalesce(listed.orgs, 0) AS listed
FROM deep_integration_levels AS counted
LEFT JOIN (SELECT level, count(*) AS orgs FROM deep_integration_orgs GROUP BY level) AS listed
    ON counted.level = listed.level
WHERE counted.day = $as_of AND counted.level >= 2 AND counted.orgs <> coalesce(listed.orgs, 0)
ORDER BY level

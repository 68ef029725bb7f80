WITH compared AS (
    SELECT
        level.day,
        level.level,
        level.orgs,
        lag(level.orgs) OVER (PARTITION BY level.level ORDER BY level.day)
        + level.entered - level."left" AS balance,
        CASE WHEN level.level = 5 THEN daily.deep_orgs END AS deep_orgs
    FROM deep_integration_levels AS level
    LEFT JOIN daily_activity AS daily ON level.day = daily.day
)

SELECT
    day,
    level,
    orgs,
    CASE WHEN orgs <> coalesce(balance, orgs) THEN balance ELSE deep_orgs END AS expected
FROM compared
WHERE orgs <> coalesce(balance, orgs) OR orgs <> coalesce(deep_orgs, orgs)
ORDER BY day, level

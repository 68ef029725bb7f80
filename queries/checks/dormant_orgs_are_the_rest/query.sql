WITH ever AS (
    SELECT sum("new") AS orgs
    FROM growth_accounting
    WHERE entity = 'org' AND grain = 'day'
),

dormant AS (
    SELECT count(*) AS orgs
    FROM dormant_orgs
)

SELECT
    daily.day,
    ever.orgs AS ever_active,
    daily.active_orgs_28d,
    dormant.orgs AS dormant
FROM daily_activity AS daily
CROSS JOIN ever
CROSS JOIN dormant
WHERE daily.day = $as_of AND ever.orgs <> daily.active_orgs_28d + dormant.orgs
ORDER BY day

WITH compared AS (
    SELECT
        month,
        min_headcount,
        orgs,
        orgs_year_before,
        lag(orgs) OVER below AS orgs_below,
        lag(orgs_year_before) OVER below AS orgs_year_before_below
    FROM org_size_tiers
    WINDOW below AS (PARTITION BY month ORDER BY min_headcount)
)

SELECT month, min_headcount, orgs, orgs_below
FROM compared
WHERE orgs > orgs_below OR orgs_year_before > orgs_year_before_below
ORDER BY month, min_headcount

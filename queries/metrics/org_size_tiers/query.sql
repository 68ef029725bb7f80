-- A row of the orgs file holds its headcount from one day until another. Who counts at a month's end follows from the
-- months in which such spans begin and end; a running sum carries them on. A change of the year before is laid into the
-- month that is compared with it.
WITH tier (min_headcount) AS (
    VALUES (100), (500), (2000), (10000), (100000), (1000000)
),

month AS (
    SELECT DISTINCT period_start('month', day, 'monday') AS month
    FROM days
),

span AS (
    SELECT
        org.headcount,
        greatest(org.valid_from, registered.registered_on) AS from_day,
        org.valid_until + 1 AS end_day,
        $as_of AS last_day,
        0 AS years
    FROM orgs AS org
    INNER JOIN org_registration AS registered ON org.org_id = registered.org_id
    WHERE org.headcount >= 100
    UNION ALL
    SELECT
        headcount,
        greatest(valid_from, coalesce(registered_on, valid_from)) AS from_day,
        valid_until + 1 AS end_day,
        period_end('month', period_start('month', $as_of, 'monday') - interval '1 year', 'monday') AS last_day,
        1 AS years
    FROM orgs
    WHERE headcount >= 100
),

change AS (
    SELECT headcount, years, from_day AS day, last_day, 1 AS orgs
    FROM span
    WHERE from_day < end_day
    UNION ALL
    SELECT headcount, years, end_day AS day, last_day, -1 AS orgs
    FROM span
    WHERE from_day < end_day
),

month_change AS (
    SELECT
        greatest(
            period_start('month', $first_day, 'monday'),
            CASE
                WHEN years = 1 THEN period_start('month', day, 'monday') + interval '1 year'
                ELSE period_start('month', day, 'monday')
            END
        ) AS month,
        CASE
            WHEN headcount >= 1000000 THEN 1000000
            WHEN headcount >= 100000 THEN 100000
            WHEN headcount >= 10000 THEN 10000
            WHEN headcount >= 2000 THEN 2000
            WHEN headcount >= 500 THEN 500
            ELSE 100
        END AS min_headcount,
        sum(CASE WHEN years = 0 THEN orgs ELSE 0 END) AS orgs,
        sum(CASE WHEN years = 1 THEN orgs ELSE 0 END) AS orgs_year_before
    FROM change
    WHERE day <= last_day
    GROUP BY 1, 2
),

tier_change AS (
    SELECT
        month_change.month,
        tier.min_headcount,
        sum(month_change.orgs) AS orgs,
        sum(month_change.orgs_year_before) AS orgs_year_before
    FROM month_change
    INNER JOIN tier ON month_change.min_headcount >= tier.min_headcount
    GROUP BY month_change.month, tier.min_headcount
),

counted AS (
    SELECT
        month.month,
        tier.min_headcount,
        sum(coalesce(tier_change.orgs, 0)) OVER so_far AS orgs,
        sum(coalesce(tier_change.orgs_year_before, 0)) OVER so_far AS orgs_year_before
    FROM month
    CROSS JOIN tier
    LEFT JOIN tier_change ON month.month = tier_change.month AND tier.min_headcount = tier_change.min_headcount
    WINDOW so_far AS (PARTITION BY tier.min_headcount ORDER BY month.month)
)

SELECT
    month,
    min_headcount,
    orgs,
    orgs_year_before,
    rate(orgs - orgs_year_before, orgs_year_before) AS growth,
    period_end('month', month, 'monday') <= $as_of AS is_complete
FROM counted
ORDER BY month, min_headcount

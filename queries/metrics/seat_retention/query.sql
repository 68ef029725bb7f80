-- Periods are bits: bit 0 is the month of the cohort, bit 12 the last period. So the seats of an organisation are a few
-- patterns with a number of users each.
WITH org AS (
    SELECT
        id AS org_id,
        cohort,
        extract(year FROM cohort) * 12 + extract(month FROM cohort) AS cohort_number,
        bit_or(1 << (extract(year FROM month) * 12 + extract(month FROM month)
            - extract(year FROM cohort) * 12 - extract(month FROM cohort))) AS active_periods
    FROM (
        SELECT id, month, min(month) OVER (PARTITION BY id) AS cohort
        FROM activity_calendar
        WHERE entity = 'org'
    ) AS active
    WHERE month <= cohort + interval '12 months'
    GROUP BY id, cohort
),

seat AS (
    SELECT
        org.cohort,
        org.active_periods,
        used.org_id,
        used.user_id,
        bit_or(1 << (extract(year FROM used.month) * 12 + extract(month FROM used.month) - org.cohort_number))
            AS seat_periods
    FROM seat_month AS used
    INNER JOIN org ON used.org_id = org.org_id
    WHERE used.active_bits > 0 AND used.month <= org.cohort + interval '12 months'
    GROUP BY org.cohort, org.active_periods, used.org_id, used.user_id
),

pattern AS (
    SELECT cohort, active_periods, org_id, seat_periods, count(*) AS seats
    FROM seat
    WHERE seat_periods & 1 = 1
    GROUP BY cohort, active_periods, org_id, seat_periods
),

org_period AS (
    SELECT
        pattern.cohort,
        part.period,
        pattern.org_id,
        (pattern.active_periods >> part.period) & 1 AS is_retained,
        sum(pattern.seats) AS seats,
        sum(pattern.seats * ((pattern.seat_periods >> part.period) & 1)) AS seats_retained
    FROM pattern
    CROSS JOIN (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12)) AS part (period)
    GROUP BY pattern.cohort, part.period, pattern.org_id, (pattern.active_periods >> part.period) & 1
),

cell AS (
    SELECT
        cohort,
        period,
        -- 31 days for each month lead at most a week too far into the right one.
        period_end('month', cohort + 31 * period, $week_start) AS mature_on,
        count(*) AS orgs,
        sum(seats) AS seats,
        sum(is_retained) AS orgs_retained,
        sum(CASE WHEN is_retained = 1 AND 2 * seats_retained < seats THEN 1 ELSE 0 END) AS orgs_below_half,
        sum(is_retained * seats) AS seats_of_retained,
        sum(seats_retained) AS seats_retained,
        -- A share is cut at 22 decimals. Rounded to fewer, the sum of three thirds is 1 again.
        cast(sum(cast(seats_retained AS decimal(38, 18)) / seats) AS decimal(38, 15)) AS shares
    FROM org_period
    GROUP BY cohort, period
)

SELECT
    cohort,
    period,
    orgs,
    seats,
    CASE WHEN mature_on <= $as_of THEN orgs_retained END AS orgs_retained,
    CASE WHEN mature_on <= $as_of THEN orgs_below_half END AS orgs_below_half,
    CASE WHEN mature_on <= $as_of THEN seats_of_retained END AS seats_of_retained,
    CASE WHEN mature_on <= $as_of THEN seats_retained END AS seats_retained,
    CASE WHEN mature_on <= $as_of THEN cast(shares / nullif(orgs_retained, 0) AS decimal(38, 6)) END
        AS org_weighted_rate,
    CASE WHEN mature_on <= $as_of THEN rate(seats_retained, seats_of_retained) END AS seat_weighted_rate,
    mature_on <= $as_of AS is_complete,
    mature_on
FROM cell
WHERE period_start('month', mature_on, $week_start) <= $as_of
ORDER BY cohort, period

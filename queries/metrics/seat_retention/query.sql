WITH cohort AS (
    SELECT
        month AS cohort,
        count(*) AS orgs,
        sum(seats) AS seats
    FROM (SELECT month, org_id, count(*) AS seats FROM founding_seats GROUP BY month, org_id) AS org
    GROUP BY month
),

cell AS (
    SELECT
        cohort.cohort,
        part.period,
        cohort.orgs,
        cohort.seats,
        period_after('month', cohort.cohort, part.period, $week_start) AS month,
        period_end('month', period_after('month', cohort.cohort, part.period, $week_start), $week_start) AS mature_on
    FROM cohort
    CROSS JOIN (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12)) AS part (period)
)

SELECT
    cell.cohort,
    cell.period,
    cell.orgs,
    cell.seats,
    CASE WHEN cell.mature_on <= $as_of THEN coalesce(back.orgs_retained, 0) END AS orgs_retained,
    CASE WHEN cell.mature_on <= $as_of THEN coalesce(back.orgs_below_half, 0) END AS orgs_below_half,
    CASE WHEN cell.mature_on <= $as_of THEN coalesce(back.seats_of_retained, 0) END AS seats_of_retained,
    CASE WHEN cell.mature_on <= $as_of THEN coalesce(back.seats_retained, 0) END AS seats_retained,
    CASE WHEN cell.mature_on <= $as_of THEN back.org_weighted_rate END AS org_weighted_rate,
    CASE WHEN cell.mature_on <= $as_of THEN rate(back.seats_retained, back.seats_of_retained) END AS seat_weighted_rate,
    cell.mature_on <= $as_of AS is_complete,
    cell.mature_on
FROM cell
LEFT JOIN seat_return AS back ON cell.cohort = back.cohort AND cell.month = back.month
WHERE cell.month <= $as_of
ORDER BY cohort, period

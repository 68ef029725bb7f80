WITH founded AS (
    SELECT
        month AS cohort,
        org_id,
        count(*) AS seats
    FROM founding_seats
    WHERE month >= period_after('month', $from_month, -12, $week_start)
    GROUP BY month, org_id
),

back AS (
    SELECT
        seat.month,
        seat.org_id,
        count(*) AS seats
    FROM seat_month AS seat
    INNER JOIN founding_seats AS founding ON seat.org_id = founding.org_id AND seat.user_id = founding.user_id
    WHERE seat.month >= $from_month AND seat.active_bits > 0 AND founding.month >= period_after('month', $from_month, -12, $week_start)
    GROUP BY seat.month, seat.org_id
),

retained AS (
    SELECT
        active.month,
        founded.cohort,
        founded.seats,
        coalesce(back.seats, 0) AS seats_retained
    FROM org_month AS active
    INNER JOIN founded ON active.org_id = founded.org_id
    LEFT JOIN back ON active.org_id = back.org_id AND active.month = back.month
    WHERE active.month >= $from_month AND active.month <= period_after('month', founded.cohort, 12, $week_start)
)

SELECT
    month,
    cohort,
    count(*) AS orgs_retained,
    sum(CASE WHEN 2 * seats_retained < seats THEN 1 ELSE 0 END) AS orgs_below_half,
    sum(seats) AS seats_of_retained,
    sum(seats_retained) AS seats_retained,
    -- A share is cut at 22 decimals. Rounded to fewer, the sum of three thirds is 1 again.
    cast(cast(sum(cast(seats_retained AS decimal(38, 18)) / seats) AS decimal(38, 15)) / count(*) AS decimal(38, 6))
        AS org_weighted_rate
FROM retained
GROUP BY month, cohort
ORDER BY month, cohort

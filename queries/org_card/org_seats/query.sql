WITH used AS (
    SELECT
        org_id,
        user_id,
        month,
        min(month) OVER () AS cohort,
        min(month) OVER (PARTITION BY user_id) AS first_month
    FROM seat_month
    WHERE org_id = $org_id AND active_bits > 0
),

first_seat AS (
    SELECT
        org_id,
        cohort,
        user_id,
        month
    FROM used
    WHERE first_month = cohort
),

reached AS (
    SELECT
        seat.org_id,
        part.period,
        period_after('month', seat.cohort, part.period, $week_start) AS month,
        period_end('month', period_after('month', seat.cohort, part.period, $week_start), $week_start) AS mature_on,
        seat.user_id,
        seat.month AS active_month
    FROM first_seat AS seat
    CROSS JOIN (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12)) AS part (period)
),

counted AS (
    SELECT
        org_id,
        period,
        month,
        mature_on,
        count(DISTINCT user_id) AS seats,
        count(DISTINCT CASE WHEN active_month = month THEN user_id END) AS seats_retained
    FROM reached
    GROUP BY org_id, period, month, mature_on
)

SELECT
    org_id,
    period,
    month,
    seats,
    CASE WHEN mature_on <= $as_of THEN seats_retained END AS seats_retained,
    CASE WHEN mature_on <= $as_of THEN rate(seats_retained, seats) END AS rate,
    mature_on <= $as_of AS is_complete
FROM counted
WHERE month <= $as_of
ORDER BY org_id, period

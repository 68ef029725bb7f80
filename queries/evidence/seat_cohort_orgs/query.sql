WITH org AS (
    SELECT
        id AS org_id,
        min(month) AS cohort,
        bool_or(month = period_after('month', $cohort, $period, $week_start)) AS is_retained
    FROM activity_calendar
    WHERE entity = 'org'
    GROUP BY id
    HAVING min(month) = $cohort OR id = $org_id
),

seat AS (
    SELECT
        org_id,
        user_id,
        bool_or(month = period_after('month', $cohort, $period, $week_start)) AS is_retained
    FROM seat_month
    WHERE active_bits > 0 AND org_id <> '' AND month IN ($cohort, period_after('month', $cohort, $period, $week_start))
    GROUP BY org_id, user_id
    HAVING min(month) = $cohort
),

counted AS (
    SELECT
        org.cohort,
        org.org_id,
        org.is_retained,
        count(seat.user_id) AS seats,
        count(*) FILTER (WHERE seat.is_retained) AS seats_retained
    FROM org
    LEFT JOIN seat ON org.org_id = seat.org_id
    GROUP BY org.cohort, org.org_id, org.is_retained
)

SELECT
    cohort,
    $period AS period,
    org_id,
    seats,
    seats_retained,
    CASE WHEN is_retained THEN seats ELSE 0 END AS seats_if_retained,
    rate(seats_retained, CASE WHEN is_retained THEN seats END) AS share,
    is_retained,
    is_retained AND 2 * seats_retained < seats AS is_below_half
FROM counted
ORDER BY cohort, period, org_id

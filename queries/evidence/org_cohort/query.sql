WITH kept AS (
    SELECT
        id,
        calendar(month, days) AS days
    FROM activity_calendar
    WHERE entity = 'org'
    GROUP BY id
),

told AS (
    SELECT
        id,
        days,
        first_active(days) BETWEEN $cohort AND period_end($grain, $cohort, $week_start) AS is_member,
        period_after($grain, $cohort, $period, $week_start) AS first_day,
        period_end($grain, period_after($grain, $cohort, $period, $week_start), $week_start) AS last_day
    FROM kept
)

SELECT
    $grain AS grain,
    $cohort AS cohort,
    $period AS period,
    id AS org_id,
    first_active(days) AS first_on,
    last_active(days) AS last_on,
    active_days(days, first_day, last_day) AS days_in_period,
    is_member,
    is_member AND active_days(days, first_day, last_day) > 0 AS is_on,
    is_member AND last_active(days) >= first_day AS is_on_or_after,
    is_member AND active_days(days, period_end($grain, $cohort, $week_start) + 1, last_day) > 0 AS is_on_or_before
FROM told
WHERE is_member OR id = $org_id
ORDER BY grain, cohort, period, org_id

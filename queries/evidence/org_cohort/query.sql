-- 31 days for each month lead at most a week too far into the right one, as a cohort begins on the first of its month.
WITH kept AS (
    SELECT
        id,
        calendar(month, days) AS days
    FROM activity_calendar
    WHERE entity = 'org'
    GROUP BY id
),

reached AS (
    SELECT
        period_start($grain, $cohort + $period * CASE $grain WHEN 'day' THEN 1 WHEN 'week' THEN 7 ELSE 31 END, $week_start) AS first_day,
        period_end($grain, $cohort + $period * CASE $grain WHEN 'day' THEN 1 WHEN 'week' THEN 7 ELSE 31 END, $week_start)
            AS last_day,
        period_end($grain, $cohort, $week_start) AS cohort_end
),

told AS (
    SELECT
        id,
        days,
        first_active(days) >= $cohort AND first_active(days) <= period_end($grain, $cohort, $week_start) AS is_member
    FROM kept
)

SELECT
    $grain AS grain,
    $cohort AS cohort,
    $period AS period,
    told.id AS org_id,
    first_active(told.days) AS first_on,
    last_active(told.days) AS last_on,
    active_days(told.days, reached.first_day, reached.last_day) AS days_in_period,
    told.is_member,
    told.is_member AND active_days(told.days, reached.first_day, reached.last_day) > 0 AS is_on,
    told.is_member AND last_active(told.days) >= reached.first_day AS is_on_or_after,
    told.is_member AND active_days(told.days, reached.cohort_end + 1, reached.last_day) > 0 AS is_on_or_before
FROM told
CROSS JOIN reached
WHERE told.is_member OR told.id = $org_id
ORDER BY grain, cohort, period, org_id

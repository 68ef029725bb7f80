-- 31 days for each month lead at most a week too far into the right one, as a cohort begins on the first of its month.
WITH kept AS (
    SELECT
        id,
        calendar(month, days) AS days
    FROM activity_calendar
    WHERE entity = 'dag'
    GROUP BY id
),

reached AS (
    SELECT
        period_start($grain, $cohort + $period * CASE $grain WHEN 'day' THEN 1 WHEN 'week' THEN 7 ELSE 31 END, $week_start) AS first_day,
        period_end($grain, $cohort + $period * CASE $grain WHEN 'day' THEN 1 WHEN 'week' THEN 7 ELSE 31 END, $week_start)
            AS last_day,
        period_end($grain, $cohort, $week_start) AS cohort_end
)

SELECT
    $grain AS grain,
    $cohort AS cohort,
    $period AS period,
    kept.id AS org_id,
    first_active(kept.days) AS first_on,
    last_active(kept.days) AS last_on,
    active_days(kept.days, reached.first_day, reached.last_day) AS days_in_period,
    active_days(kept.days, reached.first_day, reached.last_day) > 0 AS is_on,
    last_active(kept.days) >= reached.first_day AS is_on_or_after,
    active_days(kept.days, reached.cohort_end + 1, reached.last_day) > 0 AS is_on_or_before
FROM kept
CROSS JOIN reached
WHERE first_active(kept.days) >= $cohort AND first_active(kept.days) <= reached.cohort_end
ORDER BY grain, cohort, period, org_id

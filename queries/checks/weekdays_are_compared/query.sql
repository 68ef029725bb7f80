WITH daily AS (
    SELECT
        activity.day,
        activity.measure,
        CASE
            WHEN activity.measure = 'dau' THEN activity.dau
            WHEN activity.measure = 'dag' THEN activity.dag
            ELSE activity.active_orgs
        END AS value
    FROM (SELECT *, unnest(make_array('dau', 'active_orgs', 'dag')) AS measure FROM daily_activity) AS activity
    INNER JOIN work_days ON activity.day = work_days.day
    WHERE work_days.role = '' AND work_days.is_work_day
),

found AS (
    SELECT
        coalesce(shown.day, daily.day) AS day,
        coalesce(shown.measure, daily.measure) AS measure,
        shown.value,
        daily.value AS daily_value,
        shown.compared_on,
        shown.compared_value
    FROM weekday_comparison AS shown
    FULL OUTER JOIN daily ON shown.day = daily.day AND shown.measure = daily.measure
)

SELECT
    found.day,
    found.measure,
    found.value,
    found.daily_value,
    found.compared_on,
    found.compared_value,
    before.value AS daily_compared_value
FROM found
LEFT JOIN daily AS before ON found.compared_on = before.day AND found.measure = before.measure
WHERE
    (found.value IS DISTINCT FROM found.daily_value)
    OR (found.compared_value IS DISTINCT FROM before.value)
    OR found.day - found.compared_on NOT BETWEEN 7 AND 56
    OR extract(dow FROM found.compared_on) <> extract(dow FROM found.day)
ORDER BY day, measure

WITH work_day AS (
    SELECT
        daily.day,
        daily.dau,
        daily.active_orgs,
        daily.dag
    FROM daily_activity AS daily
    INNER JOIN work_days ON daily.day = work_days.day
    WHERE work_days.role = '' AND work_days.is_work_day
),

measured AS (
    SELECT
        day,
        measure,
        CASE WHEN measure = 'dau' THEN dau WHEN measure = 'dag' THEN dag ELSE active_orgs END AS value
    FROM (SELECT *, unnest(make_array('dau', 'active_orgs', 'dag')) AS measure FROM work_day) AS each_measure
),

same_weekday AS (
    SELECT
        day,
        measure,
        value,
        lag(day) OVER days_before AS day_before,
        lag(value) OVER days_before AS value_before
    FROM measured
    WINDOW days_before AS (PARTITION BY measure, extract(dow FROM day) ORDER BY day)
),

compared AS (
    SELECT
        day,
        measure,
        value,
        CASE WHEN day - day_before <= 56 THEN day_before END AS compared_on,
        CASE WHEN day - day_before <= 56 THEN value_before END AS compared_value
    FROM same_weekday
)

SELECT
    day,
    measure,
    value,
    compared_on,
    compared_value,
    value - compared_value AS difference,
    rate(value - compared_value, compared_value) AS change_rate
FROM compared
ORDER BY day, measure

SELECT
    period_start('month', day, $week_start) AS month,
    role,
    bit_or(CASE WHEN is_work_day OR NOT $streaks_on_work_days THEN day_bit(day) ELSE 0 END) AS days
FROM work_days
GROUP BY period_start('month', day, $week_start), role
ORDER BY month, role

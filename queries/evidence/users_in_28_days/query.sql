WITH kept AS (
    SELECT
        id,
        calendar(month, days) AS days
    FROM activity_calendar
    WHERE entity = 'user' AND month <= $day AND month >= $day - 58
    GROUP BY id
)

SELECT
    id AS user_id,
    active_days(days, $day - 27, $day) AS days,
    $day - days_since_active(days, $day) AS last_on,
    was_active(days, $day) AS is_active,
    active_days(days, $day - 6, $day) > 0 AS is_active_7d,
    true AS is_active_28d
FROM kept
WHERE active_days(days, $day - 27, $day) > 0
ORDER BY user_id

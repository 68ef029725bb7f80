WITH counted AS (
    SELECT
        day,
        CASE WHEN $measure = 'dau' THEN dau WHEN $measure = 'dag' THEN dag ELSE active_orgs END AS number
    FROM daily_activity
),

compared AS (
    SELECT max(day) AS day
    FROM work_days
    WHERE role = '' AND is_work_day AND day < $day AND day >= $day - 56 AND ($day - day) % 7 = 0
)

SELECT
    counted.day AS counted_on,
    CASE WHEN counted.day = $day THEN counted.number END AS value,
    CASE WHEN counted.day <> $day THEN counted.number END AS compared_value
FROM counted
LEFT JOIN compared ON counted.day = compared.day
WHERE counted.day = $day OR compared.day IS NOT NULL
ORDER BY counted_on

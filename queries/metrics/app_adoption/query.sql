WITH used AS (
    SELECT
        *,
        period_end('week', week, $week_start) AS last_day
    FROM app_week
)

SELECT
    used.week,
    used.app_id,
    coalesce(known.name, '') AS name,
    coalesce(known.category, '') AS category,
    used.users,
    used.orgs,
    used.events,
    seconds(used.usage_ms) AS usage_seconds,
    rate(used.users, used.users_of_all) AS user_share,
    used.week >= $first_day AND used.last_day <= $as_of AS is_complete
FROM used
LEFT JOIN apps AS known
    ON
        used.app_id = known.app_id
        AND used.last_day >= known.valid_from
        AND used.last_day <= known.valid_until
ORDER BY week, app_id

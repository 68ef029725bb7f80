-- What each user did in each app on each day, for whichever organisation.
WITH human AS (
    SELECT
        e.day,
        e.app_id,
        e.user_id,
        e.duration_ms
    FROM events AS e
    LEFT JOIN excluded_actions AS action ON action.action = e.action
    LEFT JOIN excluded_apps AS app ON app.app_id = e.app_id
    LEFT JOIN users AS u ON u.user_id = e.user_id
    WHERE e.user_id <> '' AND action.action IS NULL AND app.app_id IS NULL AND NOT coalesce(u.is_internal, false)
)

SELECT
    day,
    app_id,
    user_id,
    count(*) AS human_events,
    sum(duration_ms) AS usage_ms
FROM human
GROUP BY day, app_id, user_id
ORDER BY day, app_id, user_id

-- Who met in each room on each day, as each organisation saw it.
WITH human AS (
    SELECT
        e.day,
        e.org_id,
        e.app_id,
        e.concurrent_id,
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
    org_id,
    app_id,
    concurrent_id,
    count(DISTINCT user_id) AS users,
    count(*) AS human_events,
    sum(duration_ms) AS usage_ms
FROM human
WHERE concurrent_id <> ''
GROUP BY day, org_id, app_id, concurrent_id
ORDER BY day, org_id, app_id, concurrent_id

-- What each user did for each organisation on each day.
WITH counted AS (
    SELECT
        e.day,
        e.org_id,
        e.user_id,
        e.action,
        e.duration_ms,
        action.action IS NULL AND app.app_id IS NULL AND NOT coalesce(u.is_internal, false) AS is_human
    FROM events AS e
    LEFT JOIN excluded_actions AS action ON action.action = e.action
    LEFT JOIN excluded_apps AS app ON app.app_id = e.app_id
    LEFT JOIN users AS u ON u.user_id = e.user_id
    WHERE e.user_id <> ''
)

SELECT
    day,
    org_id,
    user_id,
    count(*) AS events,
    count(*) FILTER (WHERE is_human) AS human_events,
    coalesce(sum(duration_ms) FILTER (WHERE is_human), 0) AS usage_ms,
    count(*) FILTER (WHERE is_human AND action = 'check_in') AS check_ins
FROM counted
GROUP BY day, org_id, user_id
ORDER BY day, org_id, user_id

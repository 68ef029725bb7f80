-- What happened in each app for each organisation on each day, by people and by machines.
WITH counted AS (
    SELECT
        e.day,
        e.org_id,
        e.app_id,
        e.duration_ms,
        e.user_id <> '' AND action.action IS NULL AND app.app_id IS NULL
        AND NOT coalesce(u.is_internal, false) AS is_human,
        e.user_id = '' AND action.action IS NULL AND app.app_id IS NULL AS is_machine
    FROM events AS e
    LEFT JOIN excluded_actions AS action ON action.action = e.action
    LEFT JOIN excluded_apps AS app ON app.app_id = e.app_id
    LEFT JOIN users AS u ON u.user_id = e.user_id
)

SELECT
    day,
    org_id,
    app_id,
    count(*) AS events,
    count(*) FILTER (WHERE is_human) AS human_events,
    count(*) FILTER (WHERE is_machine) AS machine_events,
    coalesce(sum(duration_ms) FILTER (WHERE is_human), 0) AS usage_ms
FROM counted
GROUP BY day, org_id, app_id
ORDER BY day, org_id, app_id

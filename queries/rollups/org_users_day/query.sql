-- How many people were active for each organisation on each day.
WITH human AS (
    SELECT
        e.day,
        e.org_id,
        e.user_id
    FROM events AS e
    LEFT JOIN excluded_actions AS action ON action.action = e.action
    LEFT JOIN excluded_apps AS app ON app.app_id = e.app_id
    LEFT JOIN users AS u ON u.user_id = e.user_id
    WHERE e.user_id <> '' AND action.action IS NULL AND app.app_id IS NULL AND NOT coalesce(u.is_internal, false)
)

SELECT
    day,
    org_id,
    count(DISTINCT user_id) AS users
FROM human
WHERE org_id <> ''
GROUP BY day, org_id
ORDER BY day, org_id

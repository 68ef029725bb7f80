WITH app_user AS (
    SELECT
        period_start('week', used.day, $week_start) AS week,
        used.app_id,
        used.user_id,
        sum(used.human_events) AS events,
        sum(used.usage_ms) AS usage_ms
    FROM app_user_day AS used
    GROUP BY period_start('week', used.day, $week_start), used.app_id, used.user_id
),

app AS (
    SELECT
        week,
        app_id,
        count(*) AS users,
        sum(events) AS events,
        sum(usage_ms) AS usage_ms
    FROM app_user
    GROUP BY week, app_id
),

app_org AS (
    SELECT
        period_start('week', used.day, $week_start) AS week,
        used.app_id,
        count(DISTINCT used.org_id) AS orgs
    FROM org_app_day AS used
    WHERE used.org_id <> '' AND used.human_events > 0
    GROUP BY period_start('week', used.day, $week_start), used.app_id
),

active AS (
    SELECT
        week,
        count(DISTINCT user_id) AS users
    FROM app_user
    GROUP BY week
)

SELECT
    app.week,
    app.app_id,
    app.users,
    coalesce(app_org.orgs, 0) AS orgs,
    app.events,
    app.usage_ms,
    active.users AS users_of_all
FROM app
INNER JOIN active ON app.week = active.week
LEFT JOIN app_org ON app.week = app_org.week AND app.app_id = app_org.app_id
ORDER BY week, app_id

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
        period_start('week', used.day, $week_start) AS week,
        count(DISTINCT used.user_id) AS users
    FROM user_day AS used
    WHERE used.human_events > 0
    GROUP BY period_start('week', used.day, $week_start)
),

span AS (
    SELECT
        week,
        users AS users_of_all,
        period_end('week', week, $week_start) AS last_day
    FROM active
)

SELECT
    app.week,
    app.app_id,
    coalesce(known.name, '') AS name,
    coalesce(known.category, '') AS category,
    app.users,
    coalesce(app_org.orgs, 0) AS orgs,
    app.events,
    seconds(app.usage_ms) AS usage_seconds,
    rate(app.users, span.users_of_all) AS user_share,
    span.week >= $first_day AND span.last_day <= $as_of AS is_complete
FROM app
INNER JOIN span ON app.week = span.week
LEFT JOIN app_org ON app.week = app_org.week AND app.app_id = app_org.app_id
LEFT JOIN apps AS known
    ON
        app.app_id = known.app_id
        AND span.last_day >= known.valid_from
        AND span.last_day <= known.valid_until
ORDER BY week, app_id

WITH app AS (
    SELECT
        day,
        org_id,
        count(*) AS apps,
        count(*) FILTER (WHERE usage_ms >= $app_min_usage_ms) AS apps_over_threshold,
        sum(usage_ms) AS usage_ms
    FROM org_app_day
    WHERE org_id <> '' AND human_events > 0
    GROUP BY day, org_id
)

SELECT
    app.day,
    app.org_id,
    org_users_day.users,
    app.apps,
    app.apps_over_threshold,
    app.usage_ms,
    app.usage_ms >= $org_min_usage_ms
    AND app.apps_over_threshold >= $min_apps
    AND org_users_day.users >= $min_users AS is_dag
FROM app
INNER JOIN org_users_day ON app.day = org_users_day.day AND app.org_id = org_users_day.org_id
ORDER BY day, org_id

WITH app AS (
    SELECT
        used.day,
        used.org_id,
        count(*) AS apps,
        count(*) FILTER (WHERE used.usage_ms >= definition.app_min_usage_ms) AS apps_over_threshold,
        sum(used.usage_ms) AS usage_ms
    FROM org_app_day AS used
    INNER JOIN dag_definitions AS definition ON used.day = definition.day
    WHERE used.org_id <> '' AND used.human_events > 0
    GROUP BY used.day, used.org_id
)

SELECT
    app.day,
    app.org_id,
    org_users_day.users,
    app.apps,
    app.apps_over_threshold,
    app.usage_ms,
    app.usage_ms >= definition.org_min_usage_ms
    AND app.apps_over_threshold >= definition.min_apps
    AND org_users_day.users >= definition.min_users AS is_dag
FROM app
INNER JOIN dag_definitions AS definition ON app.day = definition.day
INNER JOIN org_users_day ON app.day = org_users_day.day AND app.org_id = org_users_day.org_id
ORDER BY day, org_id

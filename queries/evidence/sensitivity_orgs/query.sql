WITH used AS (
    SELECT
        org_id,
        count(*) AS apps,
        count(*) FILTER (WHERE seconds(usage_ms) >= $app_min_usage_seconds) AS apps_over_threshold
    FROM org_app_day
    WHERE day = $day AND human_events > 0 AND org_id <> ''
    GROUP BY org_id
),

ruled AS (
    SELECT
        definition.day,
        known.org_id,
        known.name,
        coalesce(active.users, 0) AS users,
        coalesce(active.usage_ms, 0) AS usage_ms,
        coalesce(used.apps, 0) AS apps,
        coalesce(used.apps_over_threshold, 0) AS apps_over_threshold,
        coalesce(active.users, 0) >= definition.min_users AS rule_c,
        active.org_id IS NOT NULL AS is_active
    FROM dag_definitions AS definition
    CROSS JOIN known_orgs AS known
    LEFT JOIN org_day AS active ON known.org_id = active.org_id AND active.day = $day
    LEFT JOIN used ON known.org_id = used.org_id
    WHERE definition.day = $day AND (active.org_id IS NOT NULL OR known.org_id = $org_id)
)

SELECT
    day,
    $min_apps AS min_apps,
    $app_min_usage_seconds AS app_min_usage_seconds,
    $org_min_usage_seconds AS org_min_usage_seconds,
    org_id,
    name,
    users,
    seconds(usage_ms) AS usage_seconds,
    apps,
    apps_over_threshold,
    seconds(usage_ms) >= $org_min_usage_seconds AS rule_a,
    apps_over_threshold >= $min_apps AS rule_b,
    rule_c,
    is_active
        AND rule_c
        AND apps_over_threshold >= $min_apps
        AND seconds(usage_ms) >= $org_min_usage_seconds AS is_dag
FROM ruled
ORDER BY day, min_apps, app_min_usage_seconds, org_min_usage_seconds, org_id

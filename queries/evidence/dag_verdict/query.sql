WITH asked AS (
    SELECT org_id, users, apps, apps_over_threshold, usage_ms, is_dag, true AS is_active
    FROM org_day
    WHERE day = $day
    UNION ALL
    SELECT $org_id AS org_id, 0, 0, 0, 0, false, false
    WHERE $org_id <> '' AND NOT EXISTS (SELECT 1 FROM org_day WHERE day = $day AND org_id = $org_id)
),

ruled AS (
    SELECT
        definition.day,
        asked.*,
        greatest(definition.org_min_usage_ms - asked.usage_ms, 0) AS usage_ms_short,
        greatest(definition.min_apps - asked.apps_over_threshold, 0) AS apps_short,
        greatest(definition.min_users - asked.users, 0) AS users_short
    FROM asked
    INNER JOIN dag_definitions AS definition ON definition.day = $day
),

judged AS (
    SELECT
        *,
        concat_ws(
            ';',
            CASE WHEN usage_ms_short > 0 THEN 'a' END,
            CASE WHEN apps_short > 0 THEN 'b' END,
            CASE WHEN users_short > 0 THEN 'c' END
        ) AS failed_rule
    FROM ruled
)

SELECT
    judged.day,
    judged.org_id,
    coalesce(org.name, '') AS name,
    judged.users,
    judged.apps,
    judged.apps_over_threshold,
    seconds(judged.usage_ms) AS usage_seconds,
    judged.usage_ms_short = 0 AS rule_a,
    judged.apps_short = 0 AS rule_b,
    judged.users_short = 0 AS rule_c,
    judged.failed_rule,
    seconds(judged.usage_ms_short) AS usage_seconds_short,
    judged.apps_short,
    judged.users_short,
    CASE
        WHEN NOT judged.is_active THEN 'no_human_event'
        WHEN judged.is_dag THEN 'dag'
        WHEN length(judged.failed_rule) = 1 AND judged.apps_short <= 1 THEN 'near_miss'
        ELSE 'active'
    END AS verdict,
    judged.is_active,
    judged.is_dag,
    judged.is_active AND length(judged.failed_rule) = 1 AND judged.apps_short <= 1 AS is_near_miss
FROM judged
LEFT JOIN orgs AS org
    ON judged.org_id = org.org_id AND judged.day >= org.valid_from AND judged.day <= org.valid_until
ORDER BY day, org_id

WITH ruled AS (
    SELECT
        active.day,
        active.org_id,
        greatest(definition.org_min_usage_ms - active.usage_ms, 0) AS usage_ms_short,
        greatest(definition.min_apps - active.apps_over_threshold, 0) AS apps_short,
        greatest(definition.min_users - active.users, 0) AS users_short
    FROM org_day AS active
    INNER JOIN dag_definitions AS definition ON active.day = definition.day
),

missed AS (
    SELECT
        day,
        org_id,
        usage_ms_short,
        apps_short,
        CASE WHEN usage_ms_short > 0 THEN 'a' WHEN apps_short > 0 THEN 'b' ELSE 'c' END AS failed_rule
    FROM ruled
    WHERE
        CASE WHEN usage_ms_short > 0 THEN 1 ELSE 0 END
        + CASE WHEN apps_short > 0 THEN 1 ELSE 0 END
        + CASE WHEN users_short > 0 THEN 1 ELSE 0 END = 1
        AND apps_short <= 1
)

SELECT
    missed.day,
    missed.org_id,
    coalesce(org.name, '') AS name,
    missed.failed_rule,
    missed.apps_short,
    seconds(missed.usage_ms_short) AS usage_seconds_short
FROM missed
LEFT JOIN orgs AS org
    ON missed.org_id = org.org_id AND missed.day >= org.valid_from AND missed.day <= org.valid_until
ORDER BY day, org_id

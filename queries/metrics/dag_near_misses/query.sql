-- Names come first: what follows of the few rules of a day is taken for little, and would be held in memory.
WITH ruled AS (
    SELECT
        active.day,
        active.org_id,
        coalesce(org.name, '') AS name,
        greatest(definition.org_min_usage_ms - active.usage_ms, 0) AS usage_ms_short,
        greatest(definition.min_apps - active.apps_over_threshold, 0) AS apps_short,
        greatest(definition.min_users - active.users, 0) AS users_short
    FROM org_day AS active
    LEFT JOIN orgs AS org
        ON active.org_id = org.org_id AND active.day >= org.valid_from AND active.day <= org.valid_until
    INNER JOIN dag_definitions AS definition ON active.day = definition.day
    WHERE NOT active.is_dag
)

SELECT
    day,
    org_id,
    name,
    CASE WHEN usage_ms_short > 0 THEN 'a' WHEN apps_short > 0 THEN 'b' ELSE 'c' END AS failed_rule,
    apps_short,
    seconds(usage_ms_short) AS usage_seconds_short
FROM ruled
WHERE
    CASE WHEN usage_ms_short > 0 THEN 1 ELSE 0 END
    + CASE WHEN apps_short > 0 THEN 1 ELSE 0 END
    + CASE WHEN users_short > 0 THEN 1 ELSE 0 END = 1
    AND apps_short <= 1
ORDER BY day, org_id

SELECT
    active.day,
    active.org_id,
    coalesce(org.name, '') AS name,
    active.users,
    active.apps,
    active.apps_over_threshold,
    seconds(active.usage_ms) AS usage_seconds
FROM org_day AS active
LEFT JOIN orgs AS org
    ON active.org_id = org.org_id AND active.day >= org.valid_from AND active.day <= org.valid_until
WHERE active.is_dag
ORDER BY day, org_id

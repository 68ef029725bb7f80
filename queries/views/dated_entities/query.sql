WITH known AS (
    SELECT 'org' AS entity, org_id AS id, registered_on, cast(NULL AS date) AS active_on
    FROM orgs
    UNION ALL
    SELECT 'user' AS entity, user_id AS id, registered_on, cast(NULL AS date) AS active_on
    FROM users
    WHERE NOT is_internal
    UNION ALL
    SELECT entity, id, cast(NULL AS date) AS registered_on, first_active(calendar(month, days)) AS active_on
    FROM activity_calendar
    WHERE entity IN ('org', 'user')
    GROUP BY entity, id
)

SELECT
    entity,
    id,
    min(registered_on) AS registered_on,
    min(active_on) AS first_active_on,
    coalesce(min(registered_on), min(active_on)) AS dated_on
FROM known
GROUP BY entity, id
ORDER BY entity, id

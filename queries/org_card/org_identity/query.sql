WITH days_of AS (
    SELECT
        id,
        entity,
        calendar(month, days) AS days
    FROM activity_calendar
    WHERE entity <> 'user' AND id = $org_id
    GROUP BY id, entity
),

seen AS (
    SELECT
        id,
        min(first_active(days)) AS first_active_on,
        max(last_active(days)) AS last_active_on,
        coalesce(sum(active_days(days, $first_day, $as_of)) FILTER (WHERE entity = 'org'), 0) AS active_days,
        coalesce(sum(active_days(days, $first_day, $as_of)) FILTER (WHERE entity = 'dag'), 0) AS dag_days
    FROM days_of
    GROUP BY id
)

SELECT
    known.org_id,
    known.name,
    coalesce(org.size_band, '(unknown)') AS size_band,
    org.headcount,
    coalesce(org.industry, '(unknown)') AS industry,
    coalesce(org.region, '(unknown)') AS region,
    coalesce(org.edition, '(unknown)') AS edition,
    registered.registered_on,
    seen.first_active_on,
    seen.last_active_on,
    coalesce(seen.active_days, 0) AS active_days,
    coalesce(seen.dag_days, 0) AS dag_days
FROM known_orgs AS known
LEFT JOIN org_segments AS org
    ON known.org_id = org.org_id AND $as_of >= org.valid_from AND $as_of <= org.valid_until
LEFT JOIN org_registration AS registered ON known.org_id = registered.org_id
LEFT JOIN seen ON known.org_id = seen.id
WHERE known.org_id = $org_id
ORDER BY org_id

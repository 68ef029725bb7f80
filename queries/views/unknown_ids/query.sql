WITH named AS (
    SELECT
        *,
        unnest(make_array('unknown_app', 'unknown_org', 'unknown_user')) AS "check"
    FROM counted_events
)

SELECT
    named.day,
    named."check",
    CASE named."check"
        WHEN 'unknown_app' THEN named.app_id
        WHEN 'unknown_org' THEN named.org_id
        ELSE named.user_id
    END AS id,
    named.ts,
    named.user_id,
    named.org_id,
    named.app_id,
    named.action,
    named.event_id,
    named.duration_ms
FROM named
LEFT JOIN (SELECT DISTINCT app_id FROM apps) AS app ON named.app_id = app.app_id
LEFT JOIN (SELECT DISTINCT org_id FROM orgs) AS org ON named.org_id = org.org_id
LEFT JOIN users AS person ON named.user_id = person.user_id
WHERE
    CASE named."check"
        WHEN 'unknown_app' THEN $has_apps AND app.app_id IS NULL
        WHEN 'unknown_org' THEN $has_orgs AND named.org_id <> '' AND org.org_id IS NULL
        ELSE $has_users AND named.user_id <> '' AND person.user_id IS NULL
    END

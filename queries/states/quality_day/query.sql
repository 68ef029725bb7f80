WITH unknown_user AS (
    SELECT
        used.day,
        count(DISTINCT used.user_id) AS ids
    FROM user_day AS used
    LEFT ANTI JOIN users ON used.user_id = users.user_id
    WHERE $has_users
    GROUP BY used.day
),

unknown_org AS (
    SELECT
        used.day,
        count(DISTINCT used.org_id) AS ids
    FROM org_app_day AS used
    LEFT ANTI JOIN orgs ON used.org_id = orgs.org_id
    WHERE $has_orgs AND used.org_id <> ''
    GROUP BY used.day
),

unknown_app AS (
    SELECT
        used.day,
        count(DISTINCT used.app_id) AS ids
    FROM org_app_day AS used
    LEFT ANTI JOIN apps ON used.app_id = apps.app_id
    WHERE $has_apps
    GROUP BY used.day
),

accepted AS (
    SELECT
        day,
        sum(events) AS events
    FROM org_app_day
    GROUP BY day
)

SELECT
    accepted.day,
    accepted.events,
    coalesce(unknown_org.ids, 0) AS unknown_orgs,
    coalesce(unknown_user.ids, 0) AS unknown_users,
    coalesce(unknown_app.ids, 0) AS unknown_apps
FROM accepted
LEFT JOIN unknown_org ON accepted.day = unknown_org.day
LEFT JOIN unknown_user ON accepted.day = unknown_user.day
LEFT JOIN unknown_app ON accepted.day = unknown_app.day
ORDER BY day

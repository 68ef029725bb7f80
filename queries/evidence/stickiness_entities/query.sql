-- One that is asked for has a calendar without a day, so that it is there if it has no other.
WITH known AS (
    SELECT
        CASE WHEN entity = 'user' THEN id ELSE '' END AS user_id,
        CASE WHEN entity = 'user' THEN '' ELSE id END AS org_id,
        entity,
        month,
        days
    FROM activity_calendar
    WHERE month <= $day AND month >= $day - 58
    UNION ALL
    SELECT coalesce($user_id, ''), '', 'user', cast(NULL AS date), cast(NULL AS bigint)
    UNION ALL
    SELECT '', coalesce($org_id, ''), 'org', cast(NULL AS date), cast(NULL AS bigint)
),

of_kind AS (
    SELECT
        user_id,
        org_id,
        entity,
        coalesce(active_days(calendar(month, days), $day - 27, $day), 0) AS days
    FROM known
    WHERE user_id <> '' OR org_id <> ''
    GROUP BY user_id, org_id, entity
),

counted AS (
    SELECT
        user_id,
        org_id,
        coalesce(sum(days) FILTER (WHERE entity <> 'dag'), 0) AS active_days,
        coalesce(sum(days) FILTER (WHERE entity = 'dag'), 0) AS dag_days,
        coalesce(sum(days) FILTER (WHERE entity = $entity), 0) AS days
    FROM of_kind
    GROUP BY user_id, org_id
)

SELECT
    $entity AS entity,
    user_id,
    org_id,
    active_days,
    dag_days,
    days = $days_active AS is_exactly,
    days >= $days_active AS is_at_least
FROM counted
WHERE days >= $days_active OR user_id = $user_id OR org_id = $org_id
ORDER BY entity, user_id, org_id

WITH known AS (
    SELECT id, month, days
    FROM activity_calendar
    WHERE entity = $entity
    UNION ALL
    SELECT coalesce(CASE WHEN $entity = 'user' THEN $user_id ELSE $org_id END, ''), cast(NULL AS date), cast(NULL AS bigint)
),

kept AS (
    SELECT
        id,
        calendar(month, days) AS days
    FROM known
    WHERE id <> ''
    GROUP BY id
),

-- A trailing window reaches 27 days further back than its day.
span AS (
    SELECT
        $period_start - back AS first_day,
        period_end(step, $period_start, $week_start) AS last_day,
        period_start(step, $period_start - 1, $week_start) - back AS first_before,
        $period_start - 1 AS last_before
    FROM (
        SELECT
            CASE WHEN $grain = 'trailing_28' THEN 27 ELSE 0 END AS back,
            CASE WHEN $grain = 'trailing_28' THEN 'day' ELSE $grain END AS step
    ) AS asked
),

counted AS (
    SELECT
        kept.id,
        first_active(kept.days) AS first_on,
        span.last_before - days_since_active(kept.days, span.last_before) AS last_before,
        coalesce(active_days(kept.days, span.first_before, span.last_before), 0) AS days_before,
        coalesce(active_days(kept.days, span.first_day, span.last_day), 0) AS days
    FROM kept
    CROSS JOIN span
),

told AS (
    SELECT
        *,
        CASE
            WHEN days > 0 AND days_before > 0 THEN 'retained'
            WHEN days > 0 AND last_before IS NULL THEN 'new'
            WHEN days > 0 THEN 'resurrected'
            WHEN days_before > 0 THEN 'churned'
            ELSE 'neither'
        END AS kind
    FROM counted
)

SELECT
    $entity AS entity,
    $grain AS grain,
    $period_start AS period_start,
    CASE WHEN $entity = 'user' THEN id ELSE '' END AS user_id,
    CASE WHEN $entity = 'user' THEN '' ELSE id END AS org_id,
    first_on,
    last_before,
    days_before,
    days,
    kind,
    days > 0 AS is_active,
    kind = 'new' AS is_new,
    kind = 'retained' AS is_retained,
    kind = 'resurrected' AS is_resurrected,
    kind = 'churned' AS is_churned
FROM told
WHERE kind <> 'neither' OR id = CASE WHEN $entity = 'user' THEN $user_id ELSE $org_id END
ORDER BY entity, grain, period_start, user_id, org_id

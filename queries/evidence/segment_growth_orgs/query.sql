WITH known AS (
    SELECT id, month, days
    FROM activity_calendar
    WHERE entity = $entity
    UNION ALL
    SELECT coalesce($org_id, ''), cast(NULL AS date), cast(NULL AS bigint)
),

kept AS (
    SELECT
        id,
        calendar(month, days) AS days
    FROM known
    WHERE id <> ''
    GROUP BY id
),

counted AS (
    SELECT
        kept.id AS org_id,
        before.segment AS segment_before,
        present.segment AS segment_now,
        $month - 1 - days_since_active(kept.days, $month - 1) AS last_before,
        coalesce(active_days(kept.days, period_start('month', $month - 1, $week_start), $month - 1), 0) AS days_before,
        coalesce(active_days(kept.days, $month, period_end('month', $month, $week_start)), 0) AS days
    FROM kept
    INNER JOIN org_places AS before
        ON kept.id = before.org_id AND before.dimension = $dimension
    INNER JOIN org_places AS present
        ON kept.id = present.org_id AND present.dimension = $dimension
    WHERE
        $month - 1 >= before.valid_from
        AND $month - 1 <= before.valid_until
        AND least(period_end('month', $month, $week_start), $as_of) >= present.valid_from
        AND least(period_end('month', $month, $week_start), $as_of) <= present.valid_until
),

told AS (
    SELECT
        *,
        CASE
            WHEN days > 0 AND segment_now = $segment AND days_before = 0 AND last_before IS NULL THEN 'new'
            WHEN days > 0 AND segment_now = $segment AND days_before = 0 THEN 'resurrected'
            WHEN days > 0 AND segment_now = $segment AND segment_before = $segment THEN 'retained'
            WHEN days > 0 AND segment_now = $segment THEN 'moved_in'
            WHEN days_before = 0 OR segment_before <> $segment THEN 'not_counted'
            WHEN days = 0 THEN 'churned'
            ELSE 'moved_out'
        END AS kind
    FROM counted
)

SELECT
    $entity AS entity,
    $dimension AS dimension,
    $segment AS segment,
    $month AS month,
    org_id,
    segment_before,
    segment_now,
    last_before,
    days_before,
    days,
    kind,
    kind IN ('new', 'retained', 'resurrected', 'moved_in') AS is_active,
    kind = 'new' AS is_new,
    kind = 'retained' AS is_retained,
    kind = 'resurrected' AS is_resurrected,
    kind = 'moved_in' AS is_moved_in,
    kind = 'churned' AS is_churned,
    kind = 'moved_out' AS is_moved_out
FROM told
WHERE kind <> 'not_counted' OR org_id = $org_id
ORDER BY entity, dimension, segment, month, org_id

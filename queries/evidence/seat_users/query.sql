-- Then and now are two months, or the 28 days up to the ends of two months that follow each other. The events are cut by
-- constants too, as only those keep other days from being read.
WITH span AS (
    SELECT
        coalesce($cohort, $month - 28) AS then_first,
        coalesce(period_end('month', $cohort, $week_start), $month - 1) AS then_last,
        coalesce(
            period_start('month', $cohort + 31 * $period, $week_start), period_end('month', $month, $week_start) - 27
        ) AS now_first,
        period_end('month', coalesce($cohort + 31 * $period, $month), $week_start) AS now_last
),

used AS (
    SELECT
        used.user_id,
        used.human_events,
        used.day BETWEEN span.then_first AND span.then_last AS is_then,
        used.day BETWEEN span.now_first AND span.now_last AS is_now
    FROM user_day AS used
    CROSS JOIN span
    WHERE
        used.day BETWEEN coalesce($cohort, $month - 28)
            AND period_end('month', coalesce($cohort + 31 * $period, $month), $week_start)
        AND used.org_id = $org_id
        AND used.human_events > 0
        AND (used.day BETWEEN span.then_first AND span.then_last OR used.day BETWEEN span.now_first AND span.now_last)
    UNION ALL
    SELECT $user_id, 0, false, false
    WHERE $user_id <> ''
),

counted AS (
    SELECT
        user_id,
        count(*) FILTER (WHERE is_then) AS days_then,
        count(*) FILTER (WHERE is_now) AS days_now,
        sum(human_events) AS human_events
    FROM used
    GROUP BY user_id
)

SELECT
    $org_id AS org_id,
    user_id,
    days_then,
    days_now,
    human_events,
    days_then > 0 AS is_then,
    days_now > 0 AS is_now,
    days_then > 0 AND days_now > 0 AS is_both
FROM counted
ORDER BY org_id, user_id

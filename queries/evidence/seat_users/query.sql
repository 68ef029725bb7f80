-- Then and now are two months, or the 28 days up to the ends of two months that follow each other. The events are cut by
-- constants too, as only those keep other days from being read.
WITH span AS (
    SELECT
        coalesce($cohort, $month - 28) AS then_first,
        coalesce(period_end('month', $cohort, $week_start), $month - 1) AS then_last,
        coalesce(
            period_after('month', $cohort, $period, $week_start), period_end('month', $month, $week_start) - 27
        ) AS now_first,
        period_end('month', coalesce(period_after('month', $cohort, $period, $week_start), $month), $week_start) AS now_last
),

asked AS (
    SELECT user_id, day, human_events
    FROM user_day
    WHERE
        day BETWEEN coalesce($cohort, $month - 28)
            AND period_end('month', coalesce(period_after('month', $cohort, $period, $week_start), $month), $week_start)
        AND day <= $as_of
        AND org_id = $org_id
        AND human_events > 0
    UNION ALL
    SELECT coalesce($user_id, ''), cast(NULL AS date), 0
),

used AS (
    SELECT
        asked.user_id,
        asked.human_events,
        coalesce(asked.day BETWEEN span.then_first AND span.then_last, false) AS is_then,
        coalesce(asked.day BETWEEN span.now_first AND span.now_last, false) AS is_now
    FROM asked
    CROSS JOIN span
    WHERE asked.user_id <> ''
),

counted AS (
    SELECT
        user_id,
        count(*) FILTER (WHERE is_then) AS days_then,
        count(*) FILTER (WHERE is_now) AS days_now,
        sum(CASE WHEN is_then OR is_now THEN human_events ELSE 0 END) AS human_events
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
WHERE days_then > 0 OR days_now > 0 OR user_id = $user_id
ORDER BY org_id, user_id

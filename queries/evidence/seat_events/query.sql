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
)

SELECT
    event.org_id,
    event.user_id,
    cast(row_number() OVER (
        ORDER BY event.ts, event.app_id, event.action, event.event_id, event.duration_ms
    ) AS bigint) AS number,
    event.ts,
    event.app_id,
    event.action,
    event.event_id,
    CASE WHEN event.day BETWEEN span.then_first AND span.then_last THEN event.day END AS day_then,
    CASE WHEN event.day BETWEEN span.now_first AND span.now_last THEN event.day END AS day_now
FROM counted_events AS event
CROSS JOIN span
WHERE
    event.day BETWEEN coalesce($cohort, $month - 28)
        AND period_end('month', coalesce(period_after('month', $cohort, $period, $week_start), $month), $week_start)
    AND event.day <= $as_of
    AND (event.day BETWEEN span.then_first AND span.then_last OR event.day BETWEEN span.now_first AND span.now_last)
    AND event.org_id = $org_id
    AND event.user_id = $user_id
    AND event.is_human
ORDER BY org_id, user_id, number

WITH counting AS (
    SELECT active_on, org_id
    FROM seat_places
    WHERE
        active_on BETWEEN $day - 27 AND $day
        AND dimension = $dimension
        AND segment = $segment
        AND $day >= valid_from
        AND $day <= valid_until
        AND user_id = $user_id
)

SELECT
    event.user_id,
    cast(row_number() OVER (
        ORDER BY event.ts, event.org_id, event.app_id, event.action, event.event_id, event.duration_ms
    ) AS bigint) AS number,
    event.day AS active_on,
    event.org_id,
    event.ts,
    event.app_id,
    event.action,
    event.event_id,
    seconds(event.usage_ms) AS usage_seconds
FROM counted_events AS event
LEFT SEMI JOIN counting ON event.day = counting.active_on AND event.org_id = counting.org_id
WHERE event.day BETWEEN $day - 27 AND $day AND event.user_id = $user_id AND event.is_human
ORDER BY user_id, number

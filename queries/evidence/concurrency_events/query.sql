WITH placed AS (
    SELECT
        event.*,
        CASE WHEN event.ts <= peak.users_at AND peak.users_at < event.ends_at THEN event.user_id END AS user_at_peak,
        CASE
            WHEN event.concurrent_id <> '' AND event.ts <= peak.rooms_at AND peak.rooms_at < event.ends_at THEN event.concurrent_id
        END AS room_at_peak,
        CASE WHEN event.concurrent_id <> '' AND event.concurrent_id = peak.largest_room THEN event.user_id END AS user_in_largest_room
    FROM lasting_events AS event
    INNER JOIN concurrency_moments AS peak ON event.day = peak.day AND event.app_id = peak.app_id
    WHERE event.day = $day AND event.app_id = $app_id AND peak.day = $day AND peak.app_id = $app_id
)

SELECT
    day,
    app_id,
    cast(row_number() OVER (ORDER BY ts, user_id, org_id, concurrent_id, action, event_id, ends_at) AS bigint) AS number,
    ts,
    ends_at,
    user_id,
    org_id,
    concurrent_id,
    event_id,
    user_at_peak,
    room_at_peak,
    user_in_largest_room
FROM placed
WHERE user_at_peak IS NOT NULL OR room_at_peak IS NOT NULL OR user_in_largest_room IS NOT NULL
ORDER BY day, app_id, number

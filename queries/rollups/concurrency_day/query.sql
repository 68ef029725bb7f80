-- How many people and rooms an app held at once. Nobody comes but at the start of an event, so that only there can a
-- number be higher than ever before: each start is looked at, and what has begun and not ended by then is counted.
WITH human AS (
    SELECT
        e.day,
        e.app_id,
        e.user_id,
        nullif(e.concurrent_id, '') AS room,
        e.ts,
        cast(e.ts AS bigint) AS begins_us,
        cast(e.ts AS bigint) + e.duration_ms * 1000 AS ends_us
    FROM events AS e
    LEFT JOIN excluded_actions AS action ON action.action = e.action
    LEFT JOIN excluded_apps AS app ON app.app_id = e.app_id
    LEFT JOIN users AS u ON u.user_id = e.user_id
    WHERE e.user_id <> '' AND action.action IS NULL AND app.app_id IS NULL AND NOT coalesce(u.is_internal, false)
        AND e.duration_ms > 0
),

starts AS (
    SELECT DISTINCT
        day,
        app_id,
        ts,
        begins_us
    FROM human
),

at_once AS (
    SELECT
        starts.day,
        starts.app_id,
        starts.ts,
        count(DISTINCT human.user_id) AS users,
        count(DISTINCT human.room) AS rooms
    FROM starts
    INNER JOIN human ON starts.day = human.day AND starts.app_id = human.app_id
    WHERE human.begins_us <= starts.begins_us AND starts.begins_us < human.ends_us
    GROUP BY starts.day, starts.app_id, starts.ts
),

peaks AS (
    SELECT
        day,
        app_id,
        max(users) AS peak_users,
        first_value(ts ORDER BY users DESC, ts) AS peak_at,
        max(rooms) AS peak_rooms
    FROM at_once
    GROUP BY day, app_id
),

rooms AS (
    SELECT
        day,
        app_id,
        room,
        count(DISTINCT user_id) AS users
    FROM human
    WHERE room IS NOT NULL
    GROUP BY day, app_id, room
),

largest AS (
    SELECT
        day,
        app_id,
        max(users) AS users
    FROM rooms
    GROUP BY day, app_id
)

SELECT
    peaks.day,
    peaks.app_id,
    peaks.peak_users,
    peaks.peak_at,
    peaks.peak_rooms,
    coalesce(largest.users, 0) AS largest_room
FROM peaks
LEFT JOIN largest ON peaks.day = largest.day AND peaks.app_id = largest.app_id
ORDER BY day, app_id

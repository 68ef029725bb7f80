WITH entity AS (
    SELECT
        day,
        app_id,
        ts,
        ends_at,
        user_id,
        kind,
        CASE WHEN kind = 'user' THEN user_id ELSE concurrent_id END AS id
    FROM (SELECT *, unnest(make_array('user', 'room')) AS kind FROM lasting_events) AS seen
    WHERE kind = 'user' OR concurrent_id <> ''
),

followed AS (
    SELECT
        *,
        max(ends_at) OVER (
            PARTITION BY day, app_id, kind, id ORDER BY ts, ends_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS ended_at
    FROM entity
),

numbered AS (
    SELECT
        *,
        sum(CASE WHEN ts <= ended_at THEN 0 ELSE 1 END) OVER (
            PARTITION BY day, app_id, kind, id ORDER BY ts, ends_at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS stay
    FROM followed
),

stays AS (
    SELECT
        day,
        app_id,
        kind,
        id,
        min(ts) AS begins_at,
        max(ends_at) AS ends_at
    FROM numbered
    GROUP BY day, app_id, kind, id, stay
),

moves AS (
    SELECT
        day,
        app_id,
        kind,
        move,
        CASE WHEN move = 1 THEN begins_at ELSE ends_at END AS moved_at
    FROM (SELECT *, unnest(make_array(1, -1)) AS move FROM stays) AS moved
),

counted AS (
    SELECT
        day,
        app_id,
        kind,
        moved_at,
        sum(move) OVER (
            PARTITION BY day, app_id, kind ORDER BY moved_at, move ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS at_once
    FROM moves
),

peak AS (
    SELECT
        day,
        app_id,
        max(at_once) FILTER (WHERE kind = 'user') AS users,
        first_value(moved_at ORDER BY at_once DESC, moved_at) FILTER (WHERE kind = 'user') AS users_at,
        max(at_once) FILTER (WHERE kind = 'room') AS rooms,
        first_value(moved_at ORDER BY at_once DESC, moved_at) FILTER (WHERE kind = 'room') AS rooms_at
    FROM counted
    GROUP BY day, app_id
),

room AS (
    SELECT
        day,
        app_id,
        concurrent_id,
        count(DISTINCT user_id) AS users
    FROM lasting_events
    WHERE concurrent_id <> ''
    GROUP BY day, app_id, concurrent_id
),

largest AS (
    SELECT
        day,
        app_id,
        first_value(concurrent_id ORDER BY users DESC, concurrent_id) AS concurrent_id,
        max(users) AS users
    FROM room
    GROUP BY day, app_id
)

SELECT
    peak.day,
    peak.app_id,
    peak.users,
    peak.users_at,
    coalesce(peak.rooms, 0) AS rooms,
    peak.rooms_at,
    coalesce(largest.concurrent_id, '') AS largest_room,
    coalesce(largest.users, 0) AS largest_room_users
FROM peak
LEFT JOIN largest ON peak.day = largest.day AND peak.app_id = largest.app_id
ORDER BY day, app_id

WITH meeting AS (
    SELECT
        cast(date_trunc('month', room.day) AS date) AS month,
        room.org_id,
        count(DISTINCT room.concurrent_id) AS meetings
    FROM room_day AS room
    INNER JOIN apps AS app
        ON room.app_id = app.app_id AND room.day >= app.valid_from AND room.day <= app.valid_until
    WHERE room.org_id <> '' AND app.category = 'communication'
    GROUP BY cast(date_trunc('month', room.day) AS date), room.org_id
),

span AS (
    SELECT
        month,
        org_id,
        meetings,
        period_end('month', month, $week_start) AS last_day
    FROM meeting
)

SELECT
    month,
    org_id,
    meetings,
    rate(meetings, least(last_day, $as_of) - month + 1) AS meetings_per_day,
    month >= $first_day AND last_day <= $as_of AS is_complete
FROM span
ORDER BY month, org_id

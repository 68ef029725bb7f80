WITH met AS (
    SELECT count(DISTINCT room.concurrent_id) AS meetings
    FROM room_day AS room
    INNER JOIN apps AS app
        ON room.app_id = app.app_id AND room.day >= app.valid_from AND room.day <= app.valid_until
    WHERE
        room.day BETWEEN $month AND period_end('month', $month, 'monday')
        AND room.day <= $as_of
        AND room.org_id = $org_id
        AND app.category = 'communication'
),

span AS (
    SELECT
        meetings,
        least(period_end('month', $month, 'monday'), $as_of) AS until_day
    FROM met
    WHERE EXISTS (SELECT 1 FROM days WHERE day BETWEEN $month AND period_end('month', $month, 'monday'))
)

SELECT
    $month AS month,
    $org_id AS org_id,
    until_day,
    until_day - $month + 1 AS days,
    meetings,
    rate(meetings, until_day - $month + 1) AS meetings_per_day,
    meetings > 0 AS is_counted
FROM span
ORDER BY month, org_id

WITH week AS (
    SELECT
        period_start('week', day, $week_start) AS week,
        max(day) AS last_day
    FROM days
    WHERE day <= $as_of AND day >= period_start('week', $as_of, $week_start) - 77
    GROUP BY period_start('week', day, $week_start)
),

seats AS (
    SELECT
        period_start('week', day, $week_start) AS week,
        count(DISTINCT user_id) AS active_seats
    FROM user_day
    WHERE org_id = $org_id AND human_events > 0 AND day <= $as_of
    AND day >= period_start('week', $as_of, $week_start) - 77
    GROUP BY period_start('week', day, $week_start)
),

work AS (
    SELECT
        period_start('week', day, $week_start) AS week,
        count(*) AS active_days,
        count(*) FILTER (WHERE is_dag) AS dag_days,
        sum(usage_ms) AS usage_ms
    FROM org_day
    WHERE org_id = $org_id AND day <= $as_of AND day >= period_start('week', $as_of, $week_start) - 77
    GROUP BY period_start('week', day, $week_start)
),

met AS (
    SELECT
        period_start('week', room.day, $week_start) AS week,
        count(DISTINCT room.concurrent_id) AS meetings
    FROM room_day AS room
    INNER JOIN apps AS app
        ON room.app_id = app.app_id AND room.day >= app.valid_from AND room.day <= app.valid_until
    WHERE room.org_id = $org_id AND app.category = 'communication' AND room.day <= $as_of
    AND room.day >= period_start('week', $as_of, $week_start) - 77
    GROUP BY period_start('week', room.day, $week_start)
),

built AS (
    SELECT
        week,
        coalesce(sum(in_use) FILTER (WHERE kind = 'connector'), 0) AS connectors,
        coalesce(sum(in_use) FILTER (WHERE kind = 'lowcode'), 0) AS lowcode,
        coalesce(sum(first_seen) FILTER (WHERE kind = 'lowcode'), 0) AS lowcode_first_seen
    FROM integration_assets
    WHERE org_id = $org_id
    GROUP BY week
)

SELECT
    $org_id AS org_id,
    week.week,
    coalesce(seats.active_seats, 0) AS active_seats,
    coalesce(work.active_days, 0) AS active_days,
    coalesce(work.dag_days, 0) AS dag_days,
    seconds(coalesce(work.usage_ms, 0)) AS usage_seconds,
    coalesce(met.meetings, 0) AS meetings,
    coalesce(built.connectors, 0) AS connectors,
    coalesce(built.lowcode, 0) AS lowcode,
    coalesce(built.lowcode_first_seen, 0) AS lowcode_first_seen,
    coalesce(deep.level, 0) AS level,
    week.week >= $first_day AND week.week + 6 <= $as_of AS is_complete
FROM week
LEFT JOIN seats ON week.week = seats.week
LEFT JOIN work ON week.week = work.week
LEFT JOIN met ON week.week = met.week
LEFT JOIN built ON week.week = built.week
LEFT JOIN deep_window AS deep
    ON deep.org_id = $org_id AND week.last_day >= deep.from_day AND week.last_day <= deep.until_day
ORDER BY org_id, week

WITH calendar AS (
    SELECT
        id AS org_id,
        entity,
        active_days(calendar(month, days), $as_of - 27, $as_of) AS days
    FROM activity_calendar
    WHERE entity <> 'user' AND month >= $as_of - 58
    GROUP BY id, entity
),

days_of AS (
    SELECT
        org_id,
        coalesce(sum(days) FILTER (WHERE entity = 'org'), 0) AS active_days,
        coalesce(sum(days) FILTER (WHERE entity = 'dag'), 0) AS dag_days
    FROM calendar
    GROUP BY org_id
),

seats_of AS (
    SELECT
        org_id,
        count(*) AS active_seats
    FROM seat_month
    WHERE month = period_start('month', $as_of, $week_start) AND (seen_bits >> ($as_of - month)) & 1 = 1
    GROUP BY org_id
),

meetings_of AS (
    SELECT
        room.org_id,
        count(DISTINCT room.concurrent_id) AS meetings
    FROM room_day AS room
    INNER JOIN apps AS app
        ON room.app_id = app.app_id AND room.day >= app.valid_from AND room.day <= app.valid_until
    WHERE room.day BETWEEN $as_of - 27 AND $as_of AND app.category = 'communication'
    GROUP BY room.org_id
)

SELECT
    registered.org_id,
    coalesce(org.size_band, '(unknown)') AS size_band,
    coalesce(org.industry, '(unknown)') AS industry,
    org.headcount,
    coalesce(seats_of.active_seats, 0) AS active_seats,
    rate(coalesce(seats_of.active_seats, 0), org.headcount) AS seats_share,
    coalesce(days_of.active_days, 0) AS active_days,
    coalesce(days_of.dag_days, 0) AS dag_days,
    coalesce(meetings_of.meetings, 0) AS meetings,
    rate(coalesce(meetings_of.meetings, 0), 28) AS meetings_per_day,
    coalesce(deep.level, 0) AS level,
    coalesce(days_of.active_days, 0) > 0 AS is_active
FROM org_registration AS registered
LEFT JOIN org_segments AS org
    ON registered.org_id = org.org_id AND $as_of >= org.valid_from AND $as_of <= org.valid_until
LEFT JOIN days_of ON registered.org_id = days_of.org_id
LEFT JOIN seats_of ON registered.org_id = seats_of.org_id
LEFT JOIN meetings_of ON registered.org_id = meetings_of.org_id
LEFT JOIN deep_window AS deep ON registered.org_id = deep.org_id AND deep.until_day = $as_of AND deep.from_day >= period_start('month', $as_of, $week_start)
ORDER BY org_id

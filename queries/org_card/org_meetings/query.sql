WITH met AS (
    SELECT
        room.org_id,
        count(DISTINCT room.concurrent_id) AS meetings
    FROM room_day AS room
    INNER JOIN apps AS app
        ON room.app_id = app.app_id AND room.day >= app.valid_from AND room.day <= app.valid_until
    WHERE room.org_id = $org_id AND room.day <= $as_of AND app.category = 'communication'
    GROUP BY room.org_id
)

SELECT
    profile.org_id,
    coalesce(met.meetings, 0) AS meetings,
    rate(coalesce(met.meetings, 0), $as_of - $first_day + 1) AS meetings_per_day,
    profile.meetings AS meetings_28d,
    profile.meetings_per_day AS meetings_per_day_28d,
    coalesce(present.meetings, 0) AS meetings_month,
    coalesce(present.meetings_per_day, rate(0, 1)) AS meetings_per_day_month
FROM org_profiles AS profile
LEFT JOIN met ON profile.org_id = met.org_id
LEFT JOIN meeting_volume AS present
    ON profile.org_id = present.org_id AND present.month = period_start('month', $as_of, $week_start)
WHERE profile.org_id = $org_id
ORDER BY org_id

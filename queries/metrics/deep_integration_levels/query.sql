-- Who is registered and in no row is at level 0. Rows end with their month, so each month begins its counts anew. A row brings its
-- organisation to its level and away from level 0, at its end the other way round, and tells which level was left.
WITH held AS (
    SELECT
        deep_window.from_day,
        deep_window.until_day,
        deep_window.level,
        deep_window.previous_level,
        registered.registered_on < deep_window.from_day AS was_registered,
        count(*) AS orgs
    FROM deep_window
    INNER JOIN org_registration AS registered ON deep_window.org_id = registered.org_id
    WHERE deep_window.from_day >= $from_month
    GROUP BY 1, 2, 3, 4, 5
),

row_turn AS (
    SELECT
        CASE WHEN turn IN ('go', 'return_to_0') THEN until_day + 1 ELSE from_day END AS day,
        CASE WHEN turn IN ('come', 'go') THEN level WHEN turn = 'left' THEN previous_level ELSE 0 END AS level,
        sum(CASE WHEN turn IN ('come', 'return_to_0') THEN orgs WHEN turn IN ('go', 'leave_0') THEN -orgs ELSE 0 END) AS orgs,
        sum(
            CASE
                WHEN turn = 'come' AND level <> previous_level THEN orgs
                WHEN turn = 'leave_0' AND NOT was_registered THEN -orgs
                ELSE 0
            END
        ) AS entered,
        sum(CASE WHEN turn = 'left' AND level <> previous_level AND was_registered THEN orgs ELSE 0 END) AS left_level
    FROM (SELECT *, unnest(make_array('come', 'go', 'leave_0', 'return_to_0', 'left')) AS turn FROM held) AS turn_of_row
    GROUP BY 1, 2
),

turn_day AS (
    SELECT
        day,
        level,
        sum(orgs) AS orgs,
        sum(entered) AS entered,
        sum(left_level) AS left_level
    FROM (
        SELECT day, level, orgs, entered, left_level
        FROM row_turn
        UNION ALL
        SELECT
            greatest(registered_on, $from_month) AS day,
            0 AS level,
            count(*) AS orgs,
            count(*) FILTER (WHERE registered_on >= $from_month) AS entered,
            0 AS left_level
        FROM org_registration
        GROUP BY greatest(registered_on, $from_month)
    ) AS turn
    GROUP BY day, level
),

level_name (level, name) AS (
    VALUES (0, 'inactive'), (1, 'basic'), (2, 'workflow'), (3, 'connected'), (4, 'data_loop'), (5, 'deep')
)

SELECT
    days.day,
    level_name.level,
    level_name.name,
    sum(coalesce(turn_day.orgs, 0)) OVER (PARTITION BY level_name.level ORDER BY days.day) AS orgs,
    CASE WHEN days.day > $first_day THEN coalesce(turn_day.entered, 0) END AS entered,
    CASE WHEN days.day > $first_day THEN coalesce(turn_day.left_level, 0) END AS "left",
    days.day >= $first_day + 27 AS is_complete
FROM days
CROSS JOIN level_name
LEFT JOIN turn_day ON days.day = turn_day.day AND level_name.level = turn_day.level
WHERE days.day >= $from_month
ORDER BY day, level

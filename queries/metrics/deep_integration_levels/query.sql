-- A registered organisation is at level 0 until its first window begins.
WITH move AS (
    SELECT
        deep_window.from_day AS day,
        deep_window.level,
        coalesce(deep_window.previous_level, 0) AS previous_level,
        deep_window.previous_level IS NOT NULL OR registered.registered_on < deep_window.from_day AS was_registered
    FROM deep_window
    INNER JOIN org_registration AS registered ON deep_window.org_id = registered.org_id
    WHERE deep_window.level <> coalesce(deep_window.previous_level, 0)
),

first_window AS (
    SELECT
        org_id,
        from_day
    FROM deep_window
    WHERE previous_level IS NULL
),

turn AS (
    SELECT day, level, 1 AS entered, 0 AS left_level
    FROM move
    UNION ALL
    SELECT day, previous_level AS level, 0, 1
    FROM move
    WHERE was_registered
    UNION ALL
    SELECT registered.registered_on AS day, 0 AS level, 1, 0
    FROM org_registration AS registered
    LEFT JOIN first_window
        ON registered.org_id = first_window.org_id AND registered.registered_on = first_window.from_day
    WHERE first_window.org_id IS NULL
),

turn_day AS (
    SELECT
        day,
        level,
        sum(entered) AS entered,
        sum(left_level) AS left_level
    FROM turn
    GROUP BY day, level
),

level_name (level, name) AS (
    VALUES (0, 'inactive'), (1, 'basic'), (2, 'workflow'), (3, 'connected'), (4, 'data_loop'), (5, 'deep')
)

SELECT
    days.day,
    level_name.level,
    level_name.name,
    sum(coalesce(turn_day.entered, 0) - coalesce(turn_day.left_level, 0))
        OVER (PARTITION BY level_name.level ORDER BY days.day) AS orgs,
    CASE WHEN days.day > $first_day THEN coalesce(turn_day.entered, 0) END AS entered,
    CASE WHEN days.day > $first_day THEN coalesce(turn_day.left_level, 0) END AS "left",
    days.day >= $first_day + 27 AS is_complete
FROM days
CROSS JOIN level_name
LEFT JOIN turn_day ON days.day = turn_day.day AND level_name.level = turn_day.level
ORDER BY day, level

WITH held AS (
    SELECT
        registered.org_id,
        coalesce(present.level, 0) AS level,
        CASE WHEN registered.registered_on < $day THEN coalesce(before.level, 0) END AS level_before
    FROM org_registration AS registered
    LEFT JOIN deep_window AS present
        ON registered.org_id = present.org_id AND $day >= present.from_day AND $day <= present.until_day
    LEFT JOIN deep_window AS before
        ON registered.org_id = before.org_id AND $day - 1 >= before.from_day AND $day - 1 <= before.until_day
    WHERE registered.registered_on <= $day
),

moved AS (
    SELECT org_id, level, level_before
    FROM held
    WHERE level_before IS NULL OR level <> level_before
)

SELECT
    $day AS day,
    level,
    org_id,
    other_level,
    has_entered,
    NOT has_entered AS has_left
FROM (
    SELECT org_id, level, level_before AS other_level, true AS has_entered
    FROM moved
    UNION ALL
    SELECT org_id, level_before AS level, level AS other_level, false AS has_entered
    FROM moved
    WHERE level_before IS NOT NULL
) AS turn
ORDER BY day, level, org_id

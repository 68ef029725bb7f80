WITH level_name (level, name) AS (
    VALUES (0, 'inactive'), (1, 'basic'), (2, 'workflow'), (3, 'connected'), (4, 'data_loop'), (5, 'deep')
),

held AS (
    SELECT
        registered.org_id,
        coalesce(present.level, 0) AS level,
        coalesce(present.systems, 0) AS systems,
        coalesce(present.production_days, 0) AS production_days,
        coalesce(present.store_days, 0) AS store_days,
        coalesce(present.process_days, 0) AS process_days,
        coalesce(present.flow_days, 0) AS flow_days,
        coalesce(present.decide_days, 0) AS decide_days
    FROM org_registration AS registered
    LEFT JOIN deep_window AS present
        ON registered.org_id = present.org_id AND $day >= present.from_day AND $day <= present.until_day
    WHERE registered.registered_on <= $day
)

SELECT
    definition.day,
    held.org_id,
    coalesce(org.name, '') AS name,
    held.level,
    level_name.name AS level_name,
    held.systems,
    held.production_days,
    held.store_days,
    held.process_days,
    held.flow_days,
    held.decide_days,
    concat_ws(
        ';',
        CASE WHEN held.level = 0 THEN 'event' END,
        CASE WHEN held.level = 1 THEN 'eligible_event' END,
        CASE WHEN held.level = 2 AND held.systems < definition.systems THEN 'systems' END,
        CASE WHEN held.level = 2 AND held.production_days < definition.production_days THEN 'production_days' END,
        CASE WHEN held.level = 3 AND held.store_days < definition.store_days THEN 'store_days' END,
        CASE WHEN held.level = 3 AND held.process_days < definition.process_days THEN 'process_days' END,
        CASE WHEN held.level = 3 AND held.flow_days < definition.flow_days THEN 'flow_days' END,
        CASE WHEN held.level = 4 AND held.decide_days < definition.decide_days THEN 'decide_days' END
    ) AS missing,
    held.level >= 2 AS is_listed,
    held.level = 5 AS is_deep
FROM held
INNER JOIN level_name ON held.level = level_name.level
INNER JOIN deep_definitions AS definition ON definition.day = $day
LEFT JOIN orgs AS org
    ON held.org_id = org.org_id AND definition.day >= org.valid_from AND definition.day <= org.valid_until
ORDER BY day, org_id

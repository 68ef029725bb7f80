WITH run AS (
    SELECT
        org_id,
        max(from_day) AS since
    FROM deep_window
    WHERE org_id = $org_id AND (previous_level IS NULL OR level <> previous_level)
    GROUP BY org_id
),

level_name (level, name) AS (
    VALUES (0, 'inactive'), (1, 'basic'), (2, 'workflow'), (3, 'connected'), (4, 'data_loop'), (5, 'deep')
),

held AS (
    SELECT
        definition.day,
        coalesce(present.level, 0) AS level,
        coalesce(present.systems, 0) AS systems,
        coalesce(present.production_days, 0) AS production_days,
        coalesce(present.store_days, 0) AS store_days,
        coalesce(present.process_days, 0) AS process_days,
        coalesce(present.flow_days, 0) AS flow_days,
        coalesce(present.decide_days, 0) AS decide_days
    FROM deep_definitions AS definition
    LEFT JOIN deep_window AS present ON present.org_id = $org_id AND present.until_day = definition.day
    WHERE definition.day = $as_of
)

SELECT
    $org_id AS org_id,
    held.level,
    level_name.name AS level_name,
    run.since,
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
    held.systems,
    definition.systems AS systems_needed,
    held.production_days,
    definition.production_days AS production_days_needed,
    held.store_days,
    definition.store_days AS store_days_needed,
    held.process_days,
    definition.process_days AS process_days_needed,
    held.flow_days,
    definition.flow_days AS flow_days_needed,
    held.decide_days,
    definition.decide_days AS decide_days_needed
FROM held
INNER JOIN deep_definitions AS definition ON held.day = definition.day
INNER JOIN level_name ON held.level = level_name.level
LEFT JOIN run ON run.org_id = $org_id
ORDER BY org_id

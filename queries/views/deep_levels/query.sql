SELECT
    definition.day,
    held.org_id,
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
        CASE WHEN held.level = 1 THEN 'eligible_event' END,
        CASE WHEN held.level = 2 AND held.systems < definition.systems THEN 'systems' END,
        CASE WHEN held.level = 2 AND held.production_days < definition.production_days THEN 'production_days' END,
        CASE WHEN held.level = 3 AND held.store_days < definition.store_days THEN 'store_days' END,
        CASE WHEN held.level = 3 AND held.process_days < definition.process_days THEN 'process_days' END,
        CASE WHEN held.level = 3 AND held.flow_days < definition.flow_days THEN 'flow_days' END,
        CASE WHEN held.level = 4 AND held.decide_days < definition.decide_days THEN 'decide_days' END
    ) AS missing
FROM deep_window AS held
INNER JOIN deep_definitions AS definition ON definition.day BETWEEN held.from_day AND held.until_day
INNER JOIN (
    VALUES (1, 'basic'), (2, 'workflow'), (3, 'connected'), (4, 'data_loop'), (5, 'deep')
) AS level_name (level, name) ON held.level = level_name.level
ORDER BY day, org_id

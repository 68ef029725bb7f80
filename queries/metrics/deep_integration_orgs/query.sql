WITH run AS (
    SELECT
        org_id,
        max(day) AS since
    FROM level_changes
    GROUP BY org_id
),

level_name (level, name) AS (
    VALUES (2, 'workflow'), (3, 'connected'), (4, 'data_loop'), (5, 'deep')
)

SELECT
    present.org_id,
    coalesce(org.name, '') AS name,
    present.level,
    level_name.name AS level_name,
    run.since,
    present.systems,
    present.production_days,
    present.store_days,
    present.process_days,
    present.flow_days,
    present.decide_days,
    concat_ws(
        ';',
        CASE WHEN present.level = 2 AND present.systems < definition.systems THEN 'systems' END,
        CASE WHEN present.level = 2 AND present.production_days < definition.production_days THEN 'production_days' END,
        CASE WHEN present.level = 3 AND present.store_days < definition.store_days THEN 'store_days' END,
        CASE WHEN present.level = 3 AND present.process_days < definition.process_days THEN 'process_days' END,
        CASE WHEN present.level = 3 AND present.flow_days < definition.flow_days THEN 'flow_days' END,
        CASE WHEN present.level = 4 AND present.decide_days < definition.decide_days THEN 'decide_days' END
    ) AS missing
FROM deep_window AS present
INNER JOIN run ON present.org_id = run.org_id
INNER JOIN level_name ON present.level = level_name.level
INNER JOIN deep_definitions AS definition ON present.until_day = definition.day
LEFT JOIN orgs AS org
    ON present.org_id = org.org_id AND $as_of >= org.valid_from AND $as_of <= org.valid_until
WHERE present.until_day = $as_of AND present.from_day >= period_start('month', $as_of, $week_start)
ORDER BY org_id

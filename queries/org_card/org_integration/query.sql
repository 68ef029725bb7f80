-- Who has no row has no event in the window.
WITH run AS (
    SELECT
        org_id,
        max(day) AS since
    FROM level_changes
    WHERE org_id = $org_id
    GROUP BY org_id
)

SELECT
    $org_id AS org_id,
    coalesce(held.level, 0) AS level,
    coalesce(held.level_name, 'inactive') AS level_name,
    run.since,
    coalesce(held.missing, 'event') AS missing,
    coalesce(held.systems, 0) AS systems,
    definition.systems AS systems_needed,
    coalesce(held.production_days, 0) AS production_days,
    definition.production_days AS production_days_needed,
    coalesce(held.store_days, 0) AS store_days,
    definition.store_days AS store_days_needed,
    coalesce(held.process_days, 0) AS process_days,
    definition.process_days AS process_days_needed,
    coalesce(held.flow_days, 0) AS flow_days,
    definition.flow_days AS flow_days_needed,
    coalesce(held.decide_days, 0) AS decide_days,
    definition.decide_days AS decide_days_needed
FROM deep_definitions AS definition
LEFT JOIN deep_levels AS held ON held.org_id = $org_id AND definition.day = held.day
LEFT JOIN run ON run.org_id = $org_id
WHERE definition.day = $as_of
ORDER BY org_id

WITH asked AS (
    SELECT
        definition.*,
        rule.name AS rule,
        rule.for_level
    FROM deep_definitions AS definition
    CROSS JOIN (
        VALUES ('systems', 3), ('production_days', 3), ('store_days', 4), ('process_days', 4), ('flow_days', 4),
        ('decide_days', 5)
    ) AS rule (name, for_level)
    WHERE definition.day = $day
),

counted AS (
    SELECT
        asked.rule,
        asked.for_level,
        CASE
            WHEN asked.rule = 'systems' THEN asked.systems
            WHEN asked.rule = 'production_days' THEN asked.production_days
            WHEN asked.rule = 'store_days' THEN asked.store_days
            WHEN asked.rule = 'process_days' THEN asked.process_days
            WHEN asked.rule = 'flow_days' THEN asked.flow_days
            ELSE asked.decide_days
        END AS needed,
        coalesce(
            CASE
                WHEN asked.rule = 'systems' THEN present.systems
                WHEN asked.rule = 'production_days' THEN present.production_days
                WHEN asked.rule = 'store_days' THEN present.store_days
                WHEN asked.rule = 'process_days' THEN present.process_days
                WHEN asked.rule = 'flow_days' THEN present.flow_days
                ELSE present.decide_days
            END, 0
        ) AS found
    FROM asked
    LEFT JOIN deep_window AS present
        ON present.org_id = $org_id AND asked.day >= present.from_day AND asked.day <= present.until_day
)

SELECT
    $org_id AS org_id,
    for_level,
    rule,
    found,
    needed,
    greatest(needed - found, 0) AS short,
    found >= needed AS is_met
FROM counted
ORDER BY org_id, for_level, rule

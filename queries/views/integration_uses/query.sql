WITH used AS (
    SELECT
        used.day,
        used.org_id,
        used.app_id,
        used.human_events + used.machine_events AS events,
        app.system,
        app.stage,
        unnest(make_array('systems', 'production_days', 'store_days', 'process_days', 'flow_days', 'decide_days')) AS rule
    FROM org_app_day AS used
    INNER JOIN apps AS app
        ON used.app_id = app.app_id AND used.day >= app.valid_from AND used.day <= app.valid_until
    INNER JOIN deep_definitions AS definition ON used.day = definition.day
    WHERE
        used.org_id <> ''
        AND used.human_events + used.machine_events > 0
        AND app.category <> ''
        AND strpos(
            concat(';', definition.excluded_categories, ';'),
            concat(';', replace(replace(app.category, '%', '%25'), ';', '%3B'), ';')
        ) = 0
)

SELECT
    day,
    org_id,
    app_id,
    rule,
    CASE WHEN rule = 'systems' THEN system ELSE '' END AS system,
    events
FROM used
WHERE
    CASE
        WHEN rule IN ('systems', 'production_days') THEN system <> ''
        WHEN rule = 'store_days' THEN stage LIKE '%;store;%'
        WHEN rule = 'process_days' THEN stage LIKE '%;process;%'
        WHEN rule = 'flow_days' THEN stage LIKE '%;flow;%'
        ELSE stage LIKE '%;decide;%'
    END
ORDER BY day, org_id, app_id, rule, system

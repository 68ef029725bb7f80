WITH org_app AS (
    SELECT
        used.day,
        used.org_id,
        excluded.category IS NULL AS is_eligible,
        CASE WHEN coalesce(app.category, '') <> '' AND excluded.category IS NULL THEN app.system ELSE '' END AS system,
        CASE WHEN coalesce(app.category, '') <> '' AND excluded.category IS NULL THEN app.stage ELSE '' END AS stage
    FROM org_app_day AS used
    LEFT JOIN apps AS app
        ON used.app_id = app.app_id AND used.day >= app.valid_from AND used.day <= app.valid_until
    LEFT JOIN excluded_categories AS excluded ON app.category = excluded.category
    WHERE used.org_id <> '' AND used.human_events + used.machine_events > 0
)

SELECT
    day,
    org_id,
    bool_or(is_eligible) AS is_eligible,
    bool_or(system <> '') AS is_production,
    bool_or(stage LIKE '%;store;%') AS is_store,
    bool_or(stage LIKE '%;process;%') AS is_process,
    bool_or(stage LIKE '%;flow;%') AS is_flow,
    bool_or(stage LIKE '%;decide;%') AS is_decide,
    coalesce(
        array_to_string(
            array_agg(DISTINCT replace(replace(system, '%', '%25'), ';', '%3B')
                ORDER BY replace(replace(system, '%', '%25'), ';', '%3B')) FILTER (WHERE system <> ''),
            ';'
        ),
        ''
    ) AS systems
FROM org_app
GROUP BY day, org_id
ORDER BY day, org_id

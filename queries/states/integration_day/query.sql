-- What an app's row says of a day of its use, as bits: 1 eligible, 2 production, 4 store, 8 process, 16 flow, 32 decide.
-- The row is cut where other categories are excluded.
WITH stretch AS (
    SELECT
        excluded_categories,
        min(day) AS first_day,
        max(day) AS last_day
    FROM deep_definitions
    GROUP BY since, excluded_categories
),

app_stretch AS (
    SELECT
        app.app_id,
        app.category,
        app.system,
        app.stage,
        greatest(app.valid_from, stretch.first_day) AS valid_from,
        least(app.valid_until, stretch.last_day) AS valid_until,
        strpos(
            concat(';', stretch.excluded_categories, ';'),
            concat(';', replace(replace(app.category, '%', '%25'), ';', '%3B'), ';')
        ) > 0 AS is_excluded
    FROM apps AS app
    INNER JOIN stretch ON app.valid_from <= stretch.last_day AND app.valid_until >= stretch.first_day
),

app_fact AS (
    SELECT
        app_id,
        valid_from,
        valid_until,
        CASE
            WHEN category = '' THEN 1
            WHEN is_excluded THEN 0
            ELSE
                1
                + CASE WHEN system <> '' THEN 2 ELSE 0 END
                + CASE WHEN stage LIKE '%;store;%' THEN 4 ELSE 0 END
                + CASE WHEN stage LIKE '%;process;%' THEN 8 ELSE 0 END
                + CASE WHEN stage LIKE '%;flow;%' THEN 16 ELSE 0 END
                + CASE WHEN stage LIKE '%;decide;%' THEN 32 ELSE 0 END
        END AS facts,
        CASE
            WHEN category <> '' AND NOT is_excluded THEN replace(replace(system, '%', '%25'), ';', '%3B')
            ELSE ''
        END AS system
    FROM app_stretch
),

org_fact AS (
    SELECT
        used.day,
        used.org_id,
        bit_or(coalesce(app_fact.facts, 1)) AS facts
    FROM org_app_day AS used
    LEFT JOIN app_fact
        ON used.app_id = app_fact.app_id AND used.day >= app_fact.valid_from AND used.day <= app_fact.valid_until
    WHERE used.org_id <> '' AND used.human_events + used.machine_events > 0
    GROUP BY used.day, used.org_id
),

system_use AS (
    SELECT
        used.day,
        used.org_id,
        app_fact.system
    FROM org_app_day AS used
    INNER JOIN app_fact
        ON used.app_id = app_fact.app_id AND used.day >= app_fact.valid_from AND used.day <= app_fact.valid_until
    WHERE app_fact.system <> '' AND used.org_id <> '' AND used.human_events + used.machine_events > 0
    GROUP BY used.day, used.org_id, app_fact.system
),

system_day AS (
    SELECT
        day,
        org_id,
        array_to_string(array_sort(array_agg(system)), ';') AS systems
    FROM system_use
    GROUP BY day, org_id
)

SELECT
    org_fact.day,
    org_fact.org_id,
    org_fact.facts & 1 > 0 AS is_eligible,
    org_fact.facts & 2 > 0 AS is_production,
    org_fact.facts & 4 > 0 AS is_store,
    org_fact.facts & 8 > 0 AS is_process,
    org_fact.facts & 16 > 0 AS is_flow,
    org_fact.facts & 32 > 0 AS is_decide,
    coalesce(system_day.systems, '') AS systems
FROM org_fact
LEFT JOIN system_day ON org_fact.day = system_day.day AND org_fact.org_id = system_day.org_id
ORDER BY day, org_id

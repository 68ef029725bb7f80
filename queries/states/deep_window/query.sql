-- A counter over the trailing 28 days goes up on the day that brings something and down 28 days later. Between two such
-- days nothing changes, so a row holds from one of them until the next.
WITH org_app AS (
    SELECT
        used.org_id,
        used.day,
        excluded.category IS NULL AS is_eligible,
        CASE WHEN coalesce(app.category, '') <> '' AND excluded.category IS NULL THEN app.system ELSE '' END AS system,
        CASE WHEN coalesce(app.category, '') <> '' AND excluded.category IS NULL THEN app.stage ELSE '' END AS stage
    FROM org_app_day AS used
    LEFT JOIN apps AS app
        ON used.app_id = app.app_id AND used.day >= app.valid_from AND used.day <= app.valid_until
    LEFT JOIN excluded_categories AS excluded ON app.category = excluded.category
    WHERE used.org_id <> '' AND used.human_events + used.machine_events > 0 AND used.day <= $as_of
),

org_day_facts AS (
    SELECT
        org_id,
        day,
        max(CASE WHEN is_eligible THEN 1 ELSE 0 END) AS eligible,
        max(CASE WHEN system <> '' THEN 1 ELSE 0 END) AS production,
        max(CASE WHEN stage LIKE '%;store;%' THEN 1 ELSE 0 END) AS store,
        max(CASE WHEN stage LIKE '%;process;%' THEN 1 ELSE 0 END) AS process,
        max(CASE WHEN stage LIKE '%;flow;%' THEN 1 ELSE 0 END) AS flow,
        max(CASE WHEN stage LIKE '%;decide;%' THEN 1 ELSE 0 END) AS decide
    FROM org_app
    GROUP BY org_id, day
),

-- A system counts once however often it is used, so only the gaps of 28 days and more change its counter.
system_use AS (
    SELECT
        org_id,
        day,
        lag(day) OVER (PARTITION BY org_id, system ORDER BY day) AS previous_day,
        lead(day) OVER (PARTITION BY org_id, system ORDER BY day) AS next_day
    FROM (SELECT DISTINCT org_id, system, day FROM org_app WHERE system <> '') AS used_system
),

change AS (
    SELECT org_id, day, 1 AS active, eligible, production, store, process, flow, decide, 0 AS systems
    FROM org_day_facts
    UNION ALL
    SELECT org_id, day + 28 AS day, -1, -eligible, -production, -store, -process, -flow, -decide, 0
    FROM org_day_facts
    UNION ALL
    SELECT org_id, day, 0, 0, 0, 0, 0, 0, 0, 1
    FROM system_use
    WHERE previous_day IS NULL OR day >= previous_day + 28
    UNION ALL
    SELECT org_id, day + 28 AS day, 0, 0, 0, 0, 0, 0, 0, -1
    FROM system_use
    WHERE next_day IS NULL OR next_day >= day + 28
),

change_day AS (
    SELECT
        org_id,
        day,
        sum(active) AS active,
        sum(eligible) AS eligible,
        sum(production) AS production,
        sum(store) AS store,
        sum(process) AS process,
        sum(flow) AS flow,
        sum(decide) AS decide,
        sum(systems) AS systems
    FROM change
    WHERE day <= $as_of
    GROUP BY org_id, day
),

counted AS (
    SELECT
        org_id,
        day AS from_day,
        coalesce(lead(day) OVER org - 1, $as_of) AS until_day,
        sum(active) OVER org AS active_days,
        sum(eligible) OVER org AS eligible_days,
        sum(production) OVER org AS production_days,
        sum(store) OVER org AS store_days,
        sum(process) OVER org AS process_days,
        sum(flow) OVER org AS flow_days,
        sum(decide) OVER org AS decide_days,
        sum(systems) OVER org AS systems
    FROM change_day
    WINDOW org AS (PARTITION BY org_id ORDER BY day)
)

SELECT
    org_id,
    from_day,
    until_day,
    CASE
        WHEN active_days = 0 THEN 0
        WHEN eligible_days = 0 THEN 1
        WHEN production_days < $production_days OR systems < $systems THEN 2
        WHEN store_days < $store_days OR process_days < $process_days OR flow_days < $flow_days THEN 3
        WHEN decide_days < $decide_days THEN 4
        ELSE 5
    END AS level,
    systems,
    production_days,
    store_days,
    process_days,
    flow_days,
    decide_days
FROM counted
ORDER BY org_id, from_day

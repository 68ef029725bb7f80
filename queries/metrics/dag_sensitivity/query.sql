-- Thresholds are taken times 0, 0.5, 1, 2 and 4, counted in half milliseconds so that nothing is lost; usage is whole
-- milliseconds, so half of one more is reached by the next whole one.
WITH factor AS (
    SELECT
        app_min_usage_ms,
        org_min_usage_ms,
        unnest(make_array(0, 1, 2, 4, 8)) AS half_steps
    FROM dag_definitions
    WHERE day = $as_of
),

app_threshold AS (
    SELECT DISTINCT (app_min_usage_ms * half_steps + 1) / 2 AS usage_ms
    FROM factor
),

org_threshold AS (
    SELECT DISTINCT (org_min_usage_ms * half_steps + 1) / 2 AS usage_ms
    FROM factor
),

grid AS (
    SELECT
        least_apps.min_apps,
        app_threshold.usage_ms AS app_min_usage_ms,
        org_threshold.usage_ms AS org_min_usage_ms
    FROM (SELECT unnest(make_array(1, 2, 3, 4, 5, 6)) AS min_apps) AS least_apps
    CROSS JOIN app_threshold
    CROSS JOIN org_threshold
),

app_use AS (
    SELECT
        active.org_id,
        active.usage_ms AS org_usage_ms,
        used.usage_ms
    FROM org_day AS active
    INNER JOIN org_app_day AS used ON active.day = used.day AND active.org_id = used.org_id
    INNER JOIN dag_definitions AS definition ON active.day = definition.day
    WHERE active.day = $as_of AND active.users >= definition.min_users AND used.human_events > 0
),

org_apps AS (
    SELECT
        app_use.org_id,
        app_use.org_usage_ms AS usage_ms,
        app_threshold.usage_ms AS app_min_usage_ms,
        count(*) FILTER (WHERE app_use.usage_ms >= app_threshold.usage_ms) AS apps
    FROM app_threshold
    CROSS JOIN app_use
    GROUP BY app_use.org_id, app_use.org_usage_ms, app_threshold.usage_ms
),

-- Organisations that are alike at all thresholds are counted once.
candidate AS (
    SELECT
        org_apps.app_min_usage_ms,
        least(org_apps.apps, 6) AS apps,
        org_threshold.usage_ms AS org_min_usage_ms,
        count(*) AS orgs
    FROM org_threshold
    INNER JOIN org_apps ON org_apps.usage_ms >= org_threshold.usage_ms
    GROUP BY 1, 2, 3
)

SELECT
    $as_of AS day,
    grid.min_apps,
    seconds(grid.app_min_usage_ms) AS app_min_usage_seconds,
    seconds(grid.org_min_usage_ms) AS org_min_usage_seconds,
    coalesce(sum(candidate.orgs), 0) AS dag
FROM grid
LEFT JOIN candidate
    ON grid.app_min_usage_ms = candidate.app_min_usage_ms
    AND grid.org_min_usage_ms = candidate.org_min_usage_ms
    AND candidate.apps >= grid.min_apps
GROUP BY grid.min_apps, grid.app_min_usage_ms, grid.org_min_usage_ms
ORDER BY min_apps, app_min_usage_seconds, org_min_usage_seconds

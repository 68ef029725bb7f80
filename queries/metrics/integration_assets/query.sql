WITH asset_week AS (
    SELECT
        used.org_id,
        app.category AS kind,
        used.app_id,
        period_start('week', used.day, $week_start) AS week
    FROM org_app_day AS used
    INNER JOIN apps AS app
        ON used.app_id = app.app_id AND used.day >= app.valid_from AND used.day <= app.valid_until
    WHERE
        app.category IN ('connector', 'lowcode')
        AND used.org_id <> ''
        AND used.human_events + used.machine_events > 0
    GROUP BY used.org_id, app.category, used.app_id, period_start('week', used.day, $week_start)
),

seen AS (
    SELECT
        org_id,
        kind,
        week,
        CASE WHEN lag(week) OVER (PARTITION BY org_id, kind, app_id ORDER BY week) IS NULL THEN 1 ELSE 0 END AS first_seen
    FROM asset_week
),

counted AS (
    SELECT
        week,
        org_id,
        kind,
        count(*) AS in_use,
        sum(first_seen) AS first_seen
    FROM seen
    GROUP BY week, org_id, kind
)

SELECT
    week,
    org_id,
    kind,
    in_use,
    first_seen,
    sum(first_seen) OVER (PARTITION BY org_id, kind ORDER BY week) AS cumulative,
    week >= $first_day AND week + 6 <= $as_of AS is_complete
FROM counted
ORDER BY week, org_id, kind

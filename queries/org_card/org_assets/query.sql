WITH used AS (
    SELECT
        org_id,
        kind,
        week,
        in_use,
        first_seen,
        cumulative,
        min(week) OVER (PARTITION BY kind) AS first_week,
        max(week) OVER (PARTITION BY kind) AS last_week
    FROM integration_assets
    WHERE org_id = $org_id
)

SELECT
    org_id,
    kind,
    last_week,
    in_use,
    first_seen,
    cumulative,
    rate(cumulative, (period_start('week', $as_of, $week_start) - first_week) / 7 + 1) AS per_week
FROM used
WHERE week = last_week
ORDER BY org_id, kind

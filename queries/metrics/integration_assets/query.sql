WITH seen AS (
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

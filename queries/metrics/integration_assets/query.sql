WITH first_used AS (
    SELECT
        org_id,
        kind,
        min(first_week) AS week
    FROM asset_month
    GROUP BY org_id, kind, app_id
),

-- What was first seen before the first month that is asked for counts from there on, in no week of its own.
counted AS (
    SELECT
        week,
        org_id,
        kind,
        sum(in_use) AS in_use,
        sum(first_seen) AS first_seen
    FROM (
        SELECT week, org_id, kind, count(*) AS in_use, 0 AS first_seen
        FROM asset_week
        WHERE week >= $from_month
        GROUP BY week, org_id, kind
        UNION ALL
        SELECT greatest(week, $from_month - 1) AS week, org_id, kind, 0 AS in_use, count(*) AS first_seen
        FROM first_used
        GROUP BY greatest(week, $from_month - 1), org_id, kind
    ) AS piece
    GROUP BY week, org_id, kind
),

added AS (
    SELECT
        week,
        org_id,
        kind,
        in_use,
        first_seen,
        sum(first_seen) OVER (PARTITION BY org_id, kind ORDER BY week) AS cumulative
    FROM counted
)

SELECT
    week,
    org_id,
    kind,
    in_use,
    first_seen,
    cumulative,
    week >= $first_day AND week + 6 <= $as_of AS is_complete
FROM added
WHERE in_use > 0
ORDER BY week, org_id, kind

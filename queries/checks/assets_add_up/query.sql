-- Of the weeks before the first month that is asked for only what they came to matters.
WITH compared AS (
    SELECT
        *,
        coalesce(lag(cumulative) OVER (PARTITION BY org_id, kind ORDER BY week), 0) AS cumulative_before
    FROM (
        SELECT
            greatest(week, $from_month - 1) AS week,
            org_id,
            kind,
            max(in_use) AS in_use,
            max(first_seen) AS first_seen,
            max(cumulative) AS cumulative
        FROM integration_assets
        GROUP BY greatest(week, $from_month - 1), org_id, kind
    ) AS summed
)

SELECT week, org_id, kind, in_use, first_seen, cumulative
FROM compared
WHERE
    week >= $from_month
    AND (cumulative <> cumulative_before + first_seen OR first_seen > in_use OR in_use > cumulative)
ORDER BY week, org_id, kind

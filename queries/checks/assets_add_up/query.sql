WITH compared AS (
    SELECT
        *,
        coalesce(lag(cumulative) OVER (PARTITION BY org_id, kind ORDER BY week), 0) AS cumulative_before
    FROM integration_assets
)

SELECT week, org_id, kind, in_use, first_seen, cumulative
FROM compared
WHERE cumulative <> cumulative_before + first_seen OR first_seen > in_use OR in_use > cumulative
ORDER BY week, org_id, kind

-- Months in which nobody was left to be active, until there is one again.
WITH filled AS (
    SELECT
        *,
        unnest(generate_series(
            month,
            coalesce(
                cast(lead(month) OVER segments - interval '1 month' AS date),
                period_start('month', $as_of, $week_start)
            ),
            interval '1 month'
        )) AS row_month
    FROM segment_flow
    WINDOW segments AS (PARTITION BY entity, dimension, segment ORDER BY month)
)

SELECT
    entity,
    dimension,
    segment,
    row_month AS month,
    CASE WHEN row_month = month THEN active ELSE 0 END AS active,
    CASE WHEN row_month = month THEN "new" ELSE 0 END AS "new",
    CASE WHEN row_month = month THEN retained ELSE 0 END AS retained,
    CASE WHEN row_month = month THEN resurrected ELSE 0 END AS resurrected,
    CASE WHEN row_month = month THEN moved_in ELSE 0 END AS moved_in,
    CASE WHEN row_month = month THEN churned ELSE 0 END AS churned,
    CASE WHEN row_month = month THEN moved_out ELSE 0 END AS moved_out,
    row_month >= $first_day AND period_end('month', row_month, $week_start) <= $as_of AS is_complete
FROM filled
ORDER BY entity, dimension, segment, month

WITH placed AS (
    SELECT
        org_id,
        month = $month AS is_now,
        headcount,
        seats,
        CASE $dimension
            WHEN 'size_band' THEN size_band
            WHEN 'industry' THEN industry
            WHEN 'region' THEN region
            ELSE edition
        END AS segment
    FROM org_month_ends
    WHERE month IN ($month, period_start('month', $month - 1, $week_start))
    UNION ALL
    SELECT coalesce($org_id, ''), true, cast(NULL AS bigint), cast(NULL AS bigint), ''
),

paired AS (
    SELECT
        org_id,
        coalesce(max(segment) FILTER (WHERE NOT is_now), '') AS segment_before,
        coalesce(max(segment) FILTER (WHERE is_now), '') AS segment_now,
        sum(headcount) FILTER (WHERE NOT is_now AND segment = $segment) AS headcount_before,
        sum(headcount) FILTER (WHERE is_now AND segment = $segment) AS headcount,
        sum(seats) FILTER (WHERE NOT is_now AND segment = $segment) AS seats_before,
        sum(seats) FILTER (WHERE is_now AND segment = $segment) AS seats
    FROM placed
    WHERE org_id <> ''
    GROUP BY org_id
)

SELECT
    $month AS month,
    $dimension AS dimension,
    $segment AS segment,
    org_id,
    segment_before,
    segment_now,
    headcount_before,
    headcount,
    seats_before,
    seats
FROM paired
WHERE segment_before = $segment OR segment_now = $segment OR org_id = $org_id
ORDER BY month, dimension, segment, org_id

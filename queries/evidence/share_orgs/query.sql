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
),

paired AS (
    SELECT
        org_id,
        max(segment) FILTER (WHERE NOT is_now) AS segment_before,
        max(segment) FILTER (WHERE is_now) AS segment_now,
        sum(headcount) FILTER (WHERE NOT is_now AND segment = $segment) AS headcount_before,
        sum(headcount) FILTER (WHERE is_now AND segment = $segment) AS headcount,
        sum(seats) FILTER (WHERE NOT is_now AND segment = $segment) AS seats_before,
        sum(seats) FILTER (WHERE is_now AND segment = $segment) AS seats
    FROM placed
    GROUP BY org_id
)

SELECT
    $month AS month,
    $dimension AS dimension,
    $segment AS segment,
    known.org_id,
    coalesce(paired.segment_before, '') AS segment_before,
    coalesce(paired.segment_now, '') AS segment_now,
    paired.headcount_before,
    paired.headcount,
    paired.seats_before,
    paired.seats
FROM known_orgs AS known
LEFT JOIN paired ON known.org_id = paired.org_id
WHERE paired.segment_before = $segment OR paired.segment_now = $segment OR known.org_id = $org_id
ORDER BY month, dimension, segment, org_id

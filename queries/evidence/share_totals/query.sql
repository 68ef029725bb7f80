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

whole AS (
    SELECT
        sum(headcount) FILTER (WHERE NOT is_now) AS all_headcount_before,
        sum(headcount) FILTER (WHERE is_now) AS all_headcount,
        sum(seats) FILTER (WHERE NOT is_now) AS all_seats_before,
        sum(seats) FILTER (WHERE is_now) AS all_seats,
        coalesce(sum(headcount) FILTER (WHERE NOT is_now AND segment = $segment), 0) AS headcount_before,
        coalesce(sum(headcount) FILTER (WHERE is_now AND segment = $segment), 0) AS headcount,
        coalesce(sum(seats) FILTER (WHERE NOT is_now AND segment = $segment), 0) AS seats_before,
        coalesce(sum(seats) FILTER (WHERE is_now AND segment = $segment), 0) AS seats
    FROM placed
)

SELECT
    $month AS month,
    $dimension AS dimension,
    $segment AS segment,
    all_headcount_before,
    all_headcount,
    all_seats_before,
    all_seats,
    rate(headcount_before, all_headcount_before) AS headcount_share_before,
    rate(headcount, all_headcount) AS headcount_share,
    rate(seats_before, all_seats_before) AS share_before,
    rate(seats, all_seats) AS share,
    rate(seats, all_seats) - rate(seats_before, all_seats_before) AS change
FROM whole
ORDER BY month, dimension, segment

WITH seat AS (
    SELECT
        month,
        org_id,
        sum((seen_bits >> (period_end('month', month, $week_start) - month)) & 1) AS seats
    FROM seat_month
    WHERE org_id <> ''
    GROUP BY month, org_id
),

month_end AS (
    SELECT
        period_start('month', day, $week_start) AS month,
        day
    FROM days
    WHERE day = period_end('month', day, $week_start) AND day >= $first_day + 27 AND day <= $as_of
)

SELECT
    month_end.month,
    held.org_id,
    held.headcount,
    coalesce(seat.seats, 0) AS seats,
    held.size_band,
    held.industry,
    held.region,
    held.edition
FROM org_segments AS held
INNER JOIN org_registration AS registered ON held.org_id = registered.org_id
INNER JOIN month_end ON month_end.day >= held.valid_from AND month_end.day <= held.valid_until
LEFT JOIN seat ON held.org_id = seat.org_id AND month_end.month = seat.month
WHERE registered.registered_on <= month_end.day AND held.headcount BETWEEN 1 AND 9999999999
ORDER BY month, org_id

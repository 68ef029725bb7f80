WITH month_of_day AS (
    SELECT
        day,
        cast(date_trunc('month', day) AS date) AS month,
        cast(date_trunc('month', day) + interval '1 month' AS date) AS next_month
    FROM days
    WHERE day <= $as_of
),

-- The months that see a day's activity: its own, and the next one if it begins within 27 days.
reach AS (
    SELECT day, month, 1 << (day - month) AS active_bits, (268435455 << (day - month)) & 2147483647 AS seen_bits
    FROM month_of_day
    UNION ALL
    SELECT day, next_month, 0, (1 << (day + 28 - next_month)) - 1
    FROM month_of_day
    WHERE day + 27 >= next_month AND next_month <= $as_of
),

seat AS (
    SELECT
        reach.month,
        used.user_id,
        used.org_id,
        bit_or(reach.active_bits) AS active_bits,
        bit_or(reach.seen_bits) AS seen_bits
    FROM user_day AS used
    INNER JOIN reach ON used.day = reach.day
    WHERE used.human_events > 0
    GROUP BY reach.month, used.user_id, used.org_id
),

seat_in_order AS (
    SELECT
        month,
        user_id,
        org_id,
        active_bits,
        seen_bits,
        coalesce(lag(org_id) OVER seats, '') <> '' OR (org_id <> '' AND lead(org_id) OVER seats IS NOT NULL) AS has_others,
        coalesce(bit_or(active_bits) OVER seats_before, 0) AS active_bits_before,
        coalesce(bit_or(seen_bits) OVER seats_before, 0) AS seen_bits_before
    FROM seat
    WINDOW
        seats AS (PARTITION BY month, user_id ORDER BY org_id),
        seats_before AS (
            PARTITION BY month, user_id ORDER BY org_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
)

SELECT
    month,
    user_id,
    org_id,
    has_others,
    active_bits,
    seen_bits,
    active_bits - (active_bits & active_bits_before) AS once_active_bits,
    seen_bits - (seen_bits & seen_bits_before) AS once_seen_bits
FROM seat_in_order
ORDER BY month, user_id, org_id

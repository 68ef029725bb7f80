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
        bit_or(CASE WHEN used.check_ins > 0 THEN reach.active_bits ELSE 0 END) AS check_in_bits,
        bit_or(reach.seen_bits) AS seen_bits
    FROM user_day AS used
    INNER JOIN reach ON used.day = reach.day
    WHERE used.human_events > 0
    GROUP BY reach.month, used.user_id, used.org_id
)

SELECT
    month,
    user_id,
    org_id,
    org_id <> '' AND (coalesce(lag(org_id) OVER seats, '') <> '' OR lead(org_id) OVER seats IS NOT NULL) AS has_others,
    active_bits,
    check_in_bits,
    seen_bits
FROM seat
WINDOW seats AS (PARTITION BY month, user_id ORDER BY org_id)
ORDER BY month, user_id, org_id

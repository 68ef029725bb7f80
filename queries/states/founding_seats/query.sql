WITH begun AS (
    SELECT
        org_id,
        min(month) AS month
    FROM org_month
    GROUP BY org_id
    HAVING min(month) >= $from_month
)

SELECT
    seat.month,
    seat.org_id,
    seat.user_id
FROM seat_month AS seat
INNER JOIN begun ON seat.org_id = begun.org_id AND seat.month = begun.month
WHERE seat.month >= $from_month AND seat.active_bits > 0
ORDER BY month, org_id, user_id

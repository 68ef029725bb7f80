SELECT
    month,
    'user' AS entity,
    user_id AS id,
    bit_or(active_bits) AS days
FROM seat_month
WHERE active_bits <> 0
GROUP BY month, user_id
UNION ALL
SELECT
    period_start('month', day, 'monday') AS month,
    'org' AS entity,
    org_id AS id,
    bit_or(day_bit(day)) AS days
FROM org_day
GROUP BY period_start('month', day, 'monday'), org_id
UNION ALL
SELECT
    period_start('month', day, 'monday') AS month,
    'dag' AS entity,
    org_id AS id,
    bit_or(day_bit(day)) AS days
FROM org_day
WHERE is_dag
GROUP BY period_start('month', day, 'monday'), org_id
ORDER BY month, entity, id

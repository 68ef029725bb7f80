WITH active AS (
    SELECT 'user' AS entity, user_id AS id, day
    FROM user_day
    WHERE human_events > 0
    UNION ALL
    SELECT 'org' AS entity, org_id AS id, day
    FROM org_day
    UNION ALL
    SELECT 'dag' AS entity, org_id AS id, day
    FROM org_day
    WHERE is_dag
)

SELECT
    period_start('month', day, 'monday') AS month,
    entity,
    id,
    bit_or(day_bit(day)) AS days
FROM active
GROUP BY period_start('month', day, 'monday'), entity, id
ORDER BY month, entity, id

SELECT
    'user' AS entity,
    user_id AS id,
    day
FROM user_day
WHERE human_events > 0 AND day <= $as_of
GROUP BY user_id, day
UNION ALL
SELECT
    'org' AS entity,
    org_id AS id,
    day
FROM org_day
UNION ALL
SELECT
    'dag' AS entity,
    org_id AS id,
    day
FROM org_day
WHERE is_dag
ORDER BY entity, id, day

SELECT
    calendar.month,
    calendar.entity,
    calendar.id,
    first_active(calendar(calendar.month, calendar.days)) AS first_day
FROM activity_calendar AS calendar
LEFT JOIN (
    SELECT DISTINCT 'org' AS entity, org_id AS id
    FROM orgs
    WHERE registered_on IS NOT NULL
    UNION ALL
    SELECT 'user' AS entity, user_id AS id
    FROM users
    WHERE registered_on IS NOT NULL
) AS dated ON calendar.entity = dated.entity AND calendar.id = dated.id
WHERE calendar.entity <> 'dag' AND dated.id IS NULL
GROUP BY calendar.month, calendar.entity, calendar.id
ORDER BY month, entity, id

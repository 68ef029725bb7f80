SELECT
    campaign,
    registered_on,
    count(*) AS users
FROM users
WHERE NOT is_internal
GROUP BY campaign, registered_on
ORDER BY campaign, registered_on NULLS FIRST

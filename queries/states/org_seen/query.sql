SELECT
    cast(date_trunc('month', day) AS date) AS month,
    org_id,
    min(day) AS first_day
FROM org_app_day
WHERE org_id <> ''
GROUP BY cast(date_trunc('month', day) AS date), org_id
ORDER BY month, org_id

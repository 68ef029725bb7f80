SELECT
    daily.day,
    daily.dag,
    coalesce(listed.orgs, 0) AS listed
FROM daily_activity AS daily
LEFT JOIN (SELECT day, count(*) AS orgs FROM dag_orgs GROUP BY day) AS listed ON daily.day = listed.day
WHERE daily.dag <> coalesce(listed.orgs, 0)
ORDER BY day

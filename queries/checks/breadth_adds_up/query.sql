SELECT
    daily.day,
    coalesce(breadth.orgs, 0) AS orgs,
    daily.active_orgs_28d
FROM daily_activity AS daily
LEFT JOIN (SELECT day, sum(orgs) AS orgs FROM app_breadth GROUP BY day) AS breadth ON daily.day = breadth.day
WHERE daily.active_orgs_28d <> coalesce(breadth.orgs, 0)
ORDER BY day

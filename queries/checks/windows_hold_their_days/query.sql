SELECT day
FROM daily_activity
WHERE
    dau > wau OR wau > mau
    OR active_orgs > active_orgs_7d OR active_orgs_7d > active_orgs_28d
    OR dag > dag_7d OR dag_7d > dag_28d
    OR dag > active_orgs OR dag_7d > active_orgs_7d OR dag_28d > active_orgs_28d
ORDER BY day

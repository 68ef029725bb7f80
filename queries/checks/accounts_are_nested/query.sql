SELECT list
FROM account_list_penetration
WHERE registered > accounts OR active_28d > registered OR dag_28d > active_28d OR deep > registered
ORDER BY list

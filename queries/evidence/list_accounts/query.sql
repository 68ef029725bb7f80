WITH counted AS (
    SELECT
        list,
        account,
        count(*) FILTER (WHERE org_id <> '') AS orgs,
        count(registered_on) AS orgs_registered,
        count(*) FILTER (WHERE active_days > 0) AS orgs_active_28d,
        count(*) FILTER (WHERE dag_days > 0) AS orgs_dag_28d,
        count(*) FILTER (WHERE level = 5) AS orgs_deep
    FROM listed_orgs
    WHERE list = $list
    GROUP BY list, account
)

SELECT
    *,
    orgs_registered > 0 AS is_registered,
    orgs_active_28d > 0 AS is_active_28d,
    orgs_dag_28d > 0 AS is_dag_28d,
    orgs_deep > 0 AS is_deep
FROM counted
ORDER BY list, account

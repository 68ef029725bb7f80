-- Rows of deep_window end with their month, so each month begins its count anew.
WITH deep_change AS (
    SELECT
        day,
        sum(orgs) AS orgs
    FROM (
        SELECT from_day AS day, 1 AS orgs
        FROM deep_window
        WHERE level = 5
        UNION ALL
        SELECT until_day + 1 AS day, -1 AS orgs
        FROM deep_window
        WHERE level = 5
    ) AS turn
    GROUP BY day
)

SELECT
    days.day,
    users.active AS dau,
    users.active_7d AS wau,
    users.active_28d AS mau,
    orgs.active AS active_orgs,
    orgs.active_7d AS active_orgs_7d,
    orgs.active_28d AS active_orgs_28d,
    dag.active AS dag,
    dag.active_7d AS dag_7d,
    dag.active_28d AS dag_28d,
    sum(coalesce(deep_change.orgs, 0)) OVER (ORDER BY days.day) AS deep_orgs,
    rate(users.active, users.active_28d) AS stickiness,
    rate(dag.active, dag.active_28d) AS dag_stickiness,
    days.day >= $first_day + 6 AS is_complete_7d,
    days.day >= $first_day + 27 AS is_complete_28d
FROM days
INNER JOIN trailing_activity AS users ON days.day = users.day AND users.entity = 'user'
INNER JOIN trailing_activity AS orgs ON days.day = orgs.day AND orgs.entity = 'org'
INNER JOIN trailing_activity AS dag ON days.day = dag.day AND dag.entity = 'dag'
LEFT JOIN deep_change ON days.day = deep_change.day
ORDER BY day

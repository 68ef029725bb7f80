WITH listed AS (
    SELECT day, org_id, 1 AS dag, 0 AS near_miss
    FROM dag_orgs
    UNION ALL
    SELECT day, org_id, 0, 1
    FROM dag_near_misses
),

org AS (
    SELECT day, org_id, sum(dag) AS dag, sum(near_miss) AS near_miss
    FROM listed
    GROUP BY day, org_id
),

listed_day AS (
    SELECT
        day,
        count(*) FILTER (WHERE dag > 0 AND near_miss > 0) AS in_both,
        sum(dag + near_miss) AS listed
    FROM org
    GROUP BY day
)

SELECT listed_day.day, listed_day.in_both, listed_day.listed, coalesce(daily.active_orgs, 0) AS active_orgs
FROM listed_day
LEFT JOIN daily_activity AS daily ON listed_day.day = daily.day
WHERE listed_day.in_both > 0 OR listed_day.listed > coalesce(daily.active_orgs, 0)
ORDER BY day

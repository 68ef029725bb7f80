WITH piece AS (
    SELECT day, 0 AS in_both, count(*) AS listed
    FROM dag_orgs
    GROUP BY day
    UNION ALL
    SELECT day, 0, count(*)
    FROM dag_near_misses
    GROUP BY day
    UNION ALL
    SELECT near_miss.day, count(*), 0
    FROM dag_near_misses AS near_miss
    INNER JOIN dag_orgs AS dag ON near_miss.day = dag.day AND near_miss.org_id = dag.org_id
    GROUP BY near_miss.day
),

listed_day AS (
    SELECT day, sum(in_both) AS in_both, sum(listed) AS listed
    FROM piece
    GROUP BY day
)

SELECT listed_day.day, listed_day.in_both, listed_day.listed, coalesce(daily.active_orgs, 0) AS active_orgs
FROM listed_day
LEFT JOIN daily_activity AS daily ON listed_day.day = daily.day
WHERE listed_day.in_both > 0 OR listed_day.listed > coalesce(daily.active_orgs, 0)
ORDER BY day

WITH cell AS (
    SELECT 'user' AS entity, grain, period, cohort_size, "on"
    FROM user_retention
    WHERE is_complete
    UNION ALL
    SELECT 'org' AS entity, grain, period, cohort_size, "on"
    FROM org_retention
    WHERE is_complete
    UNION ALL
    SELECT 'dag' AS entity, grain, period, cohort_size, "on"
    FROM dag_retention
    WHERE is_complete
)

SELECT
    entity,
    grain,
    period,
    count(*) AS cohorts,
    sum(cohort_size) AS cohort_size,
    sum("on") AS "on",
    rate(sum("on"), sum(cohort_size)) AS on_rate
FROM cell
GROUP BY entity, grain, period
ORDER BY entity, grain, period

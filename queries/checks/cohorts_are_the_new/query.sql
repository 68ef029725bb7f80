WITH retention AS (
    SELECT 'user' AS entity, *
    FROM user_retention
    UNION ALL
    SELECT 'org' AS entity, *
    FROM org_retention
    UNION ALL
    SELECT 'dag' AS entity, *
    FROM dag_retention
),

cohort AS (
    SELECT entity, grain, cohort, cohort_size
    FROM retention
    WHERE period = 0
)

SELECT
    coalesce(growth.entity, cohort.entity) AS entity,
    coalesce(growth.grain, cohort.grain) AS grain,
    coalesce(growth.period_start, cohort.cohort) AS period_start,
    coalesce(growth."new", 0) AS "new",
    coalesce(cohort.cohort_size, 0) AS cohort_size
FROM (SELECT entity, grain, period_start, "new" FROM growth_accounting WHERE grain <> 'trailing_28') AS growth
FULL OUTER JOIN cohort
    ON growth.entity = cohort.entity AND growth.grain = cohort.grain AND growth.period_start = cohort.cohort
WHERE coalesce(growth."new", 0) <> coalesce(cohort.cohort_size, 0)
ORDER BY entity, grain, period_start

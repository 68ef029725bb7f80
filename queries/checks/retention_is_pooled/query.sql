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

pooled AS (
    SELECT entity, grain, period, sum(cohort_size) AS cohort_size, sum("on") AS retained
    FROM retention
    WHERE is_complete
    GROUP BY entity, grain, period
)

SELECT
    coalesce(summary.entity, pooled.entity) AS entity,
    coalesce(summary.grain, pooled.grain) AS grain,
    coalesce(summary.period, pooled.period) AS period,
    coalesce(summary.cohort_size, 0) AS cohort_size,
    coalesce(pooled.cohort_size, 0) AS expected_size,
    coalesce(summary."on", 0) AS "on",
    coalesce(pooled.retained, 0) AS expected_on
FROM retention_summary AS summary
FULL OUTER JOIN pooled
    ON summary.entity = pooled.entity AND summary.grain = pooled.grain AND summary.period = pooled.period
WHERE
    coalesce(summary.cohort_size, 0) <> coalesce(pooled.cohort_size, 0)
    OR coalesce(summary."on", 0) <> coalesce(pooled.retained, 0)
ORDER BY entity, grain, period

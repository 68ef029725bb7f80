WITH cell AS (
    SELECT 'user' AS entity, *
    FROM user_retention
    UNION ALL
    SELECT 'org' AS entity, *
    FROM org_retention
    UNION ALL
    SELECT 'dag' AS entity, *
    FROM dag_retention
)

SELECT
    entity,
    grain,
    period,
    cohort,
    cohort_size,
    CASE WHEN is_complete THEN cohort_size END AS counted_size,
    "on",
    on_rate,
    is_complete,
    mature_on
FROM cell
WHERE entity = $entity AND grain = $grain AND period = $period
ORDER BY entity, grain, period, cohort

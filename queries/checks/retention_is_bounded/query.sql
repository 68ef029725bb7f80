WITH retention AS (
    SELECT 'user' AS entity, *
    FROM user_retention
    UNION ALL
    SELECT 'org' AS entity, *
    FROM org_retention
    UNION ALL
    SELECT 'dag' AS entity, *
    FROM dag_retention
)

SELECT entity, grain, cohort, period, cohort_size, "on"
FROM retention
WHERE
    "on" > on_or_after OR on_or_after > cohort_size OR on_or_before > cohort_size
    OR (period = 0 AND "on" <> cohort_size)
    OR (period > 0 AND "on" > on_or_before)
ORDER BY entity, grain, cohort, period

WITH compared AS (
    SELECT
        *,
        lag(reached_on) OVER (PARTITION BY entity ORDER BY threshold) AS previous_on
    FROM milestones
)

SELECT entity, threshold, reached_on
FROM compared
WHERE reached_on < previous_on OR days_since_previous <> reached_on - previous_on
ORDER BY entity, threshold

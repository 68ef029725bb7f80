WITH worked AS (
    SELECT
        period_start('month', day, $week_start) AS month,
        org_id,
        count(*) FILTER (WHERE is_dag) AS dag_days,
        max(day) AS last_active_on
    FROM org_day
    GROUP BY period_start('month', day, $week_start), org_id
),

-- Users who are in sight after the report day were so on it: they add to no peak.
peak AS (
    SELECT
        month,
        org_id,
        array_max(day_counts(seen_bits, users)) AS users
    FROM seat_patterns
    GROUP BY month, org_id
)

SELECT
    worked.month,
    worked.org_id,
    worked.dag_days,
    worked.last_active_on,
    deep.level AS deep_level,
    peak.users AS peak_28d_users
FROM worked
INNER JOIN peak ON worked.month = peak.month AND worked.org_id = peak.org_id
INNER JOIN deep_window AS deep
    ON
        worked.org_id = deep.org_id
        AND worked.month = period_start('month', deep.from_day, $week_start)
        AND worked.last_active_on >= deep.from_day
        AND worked.last_active_on <= deep.until_day
ORDER BY month, org_id

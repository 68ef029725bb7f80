WITH used AS (
    SELECT
        org_id,
        sum(usage_ms) AS usage_ms,
        max(CASE WHEN is_dag AND day = $as_of THEN 1 ELSE 0 END) AS is_dag
    FROM org_day
    WHERE day BETWEEN $as_of - 27 AND $as_of AND org_id = $org_id
    GROUP BY org_id
)

SELECT
    profile.org_id,
    profile.headcount,
    profile.active_seats,
    profile.seats_share,
    profile.active_days,
    profile.dag_days,
    seconds(coalesce(used.usage_ms, 0)) AS usage_seconds,
    coalesce(used.is_dag, 0) = 1 AS is_dag
FROM org_profiles AS profile
LEFT JOIN used ON profile.org_id = used.org_id
WHERE profile.org_id = $org_id
ORDER BY org_id

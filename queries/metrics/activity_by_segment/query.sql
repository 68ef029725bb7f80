SELECT
    counted.day,
    counted.dimension,
    counted.segment,
    counted.registered_orgs,
    counted.headcount,
    counted.dau,
    counted.mau,
    counted.active_orgs,
    counted.dag,
    counted.deep_orgs,
    rate(
        counted.dau, sum(CASE WHEN counted.dimension = 'role' THEN counted.dau ELSE 0 END) OVER (PARTITION BY counted.day)
    ) AS dau_share,
    CASE
        WHEN work_days.is_work_day OR NOT $dag_rate_on_work_days THEN rate(counted.dag, counted.registered_orgs)
    END AS dag_rate,
    rate(counted.mau, counted.headcount) AS seat_penetration,
    counted.day >= $first_day + 27 AS is_complete
FROM segment_day AS counted
LEFT JOIN work_days ON counted.day = work_days.day AND work_days.role = ''
ORDER BY day, dimension, segment

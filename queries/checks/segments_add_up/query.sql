WITH segment AS (
    SELECT
        day,
        dimension,
        sum(registered_orgs) AS registered_orgs,
        sum(active_orgs) AS active_orgs,
        sum(dag) AS dag,
        sum(deep_orgs) AS deep_orgs,
        sum(dau) AS dau,
        sum(mau) AS mau
    FROM activity_by_segment
    GROUP BY day, dimension
),

registered AS (
    SELECT day, sum(orgs) AS orgs
    FROM deep_integration_levels
    GROUP BY day
),

dimension (dimension) AS (
    VALUES ('edition'), ('industry'), ('region'), ('role'), ('size_band')
),

compared AS (
    SELECT
        daily.day,
        dimension.dimension,
        concat_ws(
            ';',
            CASE
                WHEN dimension.dimension <> 'role' AND coalesce(segment.registered_orgs, 0) <> registered.orgs
                    THEN 'registered_orgs'
            END,
            CASE
                WHEN dimension.dimension <> 'role' AND coalesce(segment.active_orgs, 0) <> daily.active_orgs
                    THEN 'active_orgs'
            END,
            CASE WHEN dimension.dimension <> 'role' AND coalesce(segment.dag, 0) <> daily.dag THEN 'dag' END,
            CASE
                WHEN dimension.dimension <> 'role' AND coalesce(segment.deep_orgs, 0) <> daily.deep_orgs
                    THEN 'deep_orgs'
            END,
            CASE WHEN dimension.dimension = 'role' AND coalesce(segment.dau, 0) <> daily.dau THEN 'dau' END,
            CASE WHEN dimension.dimension = 'role' AND coalesce(segment.mau, 0) <> daily.mau THEN 'mau' END
        ) AS number
    FROM daily_activity AS daily
    CROSS JOIN dimension
    INNER JOIN registered ON daily.day = registered.day
    LEFT JOIN segment ON daily.day = segment.day AND dimension.dimension = segment.dimension
)

SELECT day, dimension, number
FROM compared
WHERE number <> ''
ORDER BY day, dimension

WITH part (dimension) AS (
    VALUES ('edition'), ('industry'), ('region'), ('role'), ('size_band')
),

added AS (
    SELECT
        day,
        dimension,
        sum(dau) AS dau,
        sum(mau) AS mau,
        coalesce(sum(active_orgs), 0) AS active_orgs,
        coalesce(sum(dag), 0) AS dag,
        coalesce(sum(deep_orgs), 0) AS deep_orgs
    FROM activity_by_segment
    GROUP BY day, dimension
),

compared AS (
    SELECT
        daily.day,
        part.dimension,
        daily.dau,
        daily.mau,
        daily.active_orgs,
        daily.dag,
        daily.deep_orgs,
        coalesce(added.dau, 0) AS added_dau,
        coalesce(added.mau, 0) AS added_mau,
        coalesce(added.active_orgs, 0) AS added_active_orgs,
        coalesce(added.dag, 0) AS added_dag,
        coalesce(added.deep_orgs, 0) AS added_deep_orgs
    FROM daily_activity AS daily
    CROSS JOIN part
    LEFT JOIN added ON daily.day = added.day AND part.dimension = added.dimension
)

SELECT *
FROM compared
WHERE
    CASE
        WHEN dimension = 'role' THEN dau <> added_dau OR mau <> added_mau
        ELSE active_orgs <> added_active_orgs OR dag <> added_dag OR deep_orgs <> added_deep_orgs
    END
ORDER BY day, dimension

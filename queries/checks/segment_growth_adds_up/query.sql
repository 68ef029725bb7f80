WITH part (dimension) AS (
    VALUES ('edition'), ('industry'), ('region'), ('size_band')
),

added AS (
    SELECT
        entity,
        dimension,
        month,
        sum(active) AS active,
        sum("new") AS "new",
        sum(retained + moved_in) AS retained,
        sum(resurrected) AS resurrected,
        sum(churned) AS churned,
        sum(moved_in) AS moved_in,
        sum(moved_out) AS moved_out
    FROM segment_growth
    GROUP BY entity, dimension, month
),

compared AS (
    SELECT
        growth.entity,
        part.dimension,
        growth.period_start AS month,
        growth.active,
        growth."new",
        growth.retained,
        growth.resurrected,
        growth.churned,
        coalesce(added.active, 0) AS added_active,
        coalesce(added."new", 0) AS added_new,
        coalesce(added.retained, 0) AS added_retained,
        coalesce(added.resurrected, 0) AS added_resurrected,
        coalesce(added.churned, 0) AS added_churned,
        coalesce(added.moved_in, 0) AS moved_in,
        coalesce(added.moved_out, 0) AS moved_out
    FROM growth_accounting AS growth
    CROSS JOIN part
    LEFT JOIN added
        ON growth.entity = added.entity AND part.dimension = added.dimension AND growth.period_start = added.month
    WHERE growth.grain = 'month' AND growth.entity <> 'user'
)

SELECT *
FROM compared
WHERE
    active <> added_active
    OR "new" <> added_new
    OR retained <> added_retained
    OR resurrected <> added_resurrected
    OR churned <> added_churned
    OR moved_in <> moved_out
ORDER BY entity, dimension, month

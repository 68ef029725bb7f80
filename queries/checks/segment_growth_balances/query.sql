WITH balanced AS (
    SELECT
        entity,
        dimension,
        segment,
        month,
        lag(month) OVER months AS month_before,
        active,
        "new" + retained + resurrected + moved_in AS parts,
        coalesce(lag(active) OVER months, 0) + "new" + resurrected + moved_in - churned - moved_out AS balance
    FROM segment_growth
    WINDOW months AS (PARTITION BY entity, dimension, segment ORDER BY month)
)

SELECT entity, dimension, segment, month, month_before, active, parts, balance
FROM balanced
WHERE active <> parts OR active <> balance OR month_before <> month - interval '1 month'
ORDER BY entity, dimension, segment, month

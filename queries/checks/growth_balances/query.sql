WITH balanced AS (
    SELECT
        entity,
        grain,
        period_start,
        active,
        "new" + retained + resurrected AS parts,
        coalesce(lag(active) OVER (PARTITION BY entity, grain ORDER BY period_start), 0)
        + "new" + resurrected - churned AS balance
    FROM growth_accounting
)

SELECT entity, grain, period_start, active, parts, balance
FROM balanced
WHERE active <> parts OR active <> balance
ORDER BY entity, grain, period_start

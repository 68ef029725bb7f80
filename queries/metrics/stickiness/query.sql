WITH active AS (
    SELECT
        entity,
        id,
        count(*) AS days_active
    FROM entity_day
    WHERE day >= $as_of - 27
    GROUP BY entity, id
),

counted AS (
    SELECT
        entity,
        days_active,
        count(*) AS entities
    FROM active
    GROUP BY entity, days_active
),

grid AS (
    SELECT
        entity.entity,
        length_of.days_active
    FROM (VALUES ('dag'), ('org'), ('user')) AS entity (entity)
    CROSS JOIN (SELECT unnest(range(1, 29)) AS days_active) AS length_of
)

SELECT
    grid.entity,
    grid.days_active,
    coalesce(counted.entities, 0) AS entities,
    sum(coalesce(counted.entities, 0))
        OVER (PARTITION BY grid.entity ORDER BY grid.days_active DESC) AS at_least,
    $as_of >= $first_day + 27 AS is_complete
FROM grid
LEFT JOIN counted ON grid.entity = counted.entity AND grid.days_active = counted.days_active
ORDER BY entity, days_active

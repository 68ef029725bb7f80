-- An active day keeps its entity in a trailing window of n days for n days, or until the entity's next active day takes
-- over: so each active day adds one on the day and takes one away later, and the running sum counts distinct entities.
WITH active_day AS (
    SELECT
        entity,
        day,
        lead(day) OVER (PARTITION BY entity, id ORDER BY day) AS next_day
    FROM entity_day
),

change AS (
    SELECT entity, day, 1 AS on_day, 1 AS in_7d, 1 AS in_28d
    FROM active_day
    UNION ALL
    SELECT entity, least(day + 7, coalesce(next_day, day + 7)) AS day, 0, -1, 0
    FROM active_day
    UNION ALL
    SELECT entity, least(day + 28, coalesce(next_day, day + 28)) AS day, 0, 0, -1
    FROM active_day
),

entity_change AS (
    SELECT
        day,
        sum(on_day) FILTER (WHERE entity = 'user') AS users,
        sum(in_7d) FILTER (WHERE entity = 'user') AS users_7d,
        sum(in_28d) FILTER (WHERE entity = 'user') AS users_28d,
        sum(on_day) FILTER (WHERE entity = 'org') AS orgs,
        sum(in_7d) FILTER (WHERE entity = 'org') AS orgs_7d,
        sum(in_28d) FILTER (WHERE entity = 'org') AS orgs_28d,
        sum(on_day) FILTER (WHERE entity = 'dag') AS dag,
        sum(in_7d) FILTER (WHERE entity = 'dag') AS dag_7d,
        sum(in_28d) FILTER (WHERE entity = 'dag') AS dag_28d
    FROM change
    GROUP BY day
),

deep_change AS (
    SELECT
        day,
        sum(orgs) AS orgs
    FROM (
        SELECT from_day AS day, 1 AS orgs
        FROM deep_window
        WHERE level = 5
        UNION ALL
        SELECT until_day + 1 AS day, -1 AS orgs
        FROM deep_window
        WHERE level = 5
    ) AS turn
    GROUP BY day
),

daily AS (
    SELECT
        days.day,
        coalesce(entity_change.users, 0) AS dau,
        sum(coalesce(entity_change.users_7d, 0)) OVER (ORDER BY days.day) AS wau,
        sum(coalesce(entity_change.users_28d, 0)) OVER (ORDER BY days.day) AS mau,
        coalesce(entity_change.orgs, 0) AS active_orgs,
        sum(coalesce(entity_change.orgs_7d, 0)) OVER (ORDER BY days.day) AS active_orgs_7d,
        sum(coalesce(entity_change.orgs_28d, 0)) OVER (ORDER BY days.day) AS active_orgs_28d,
        coalesce(entity_change.dag, 0) AS dag,
        sum(coalesce(entity_change.dag_7d, 0)) OVER (ORDER BY days.day) AS dag_7d,
        sum(coalesce(entity_change.dag_28d, 0)) OVER (ORDER BY days.day) AS dag_28d,
        sum(coalesce(deep_change.orgs, 0)) OVER (ORDER BY days.day) AS deep_orgs
    FROM days
    LEFT JOIN entity_change ON days.day = entity_change.day
    LEFT JOIN deep_change ON days.day = deep_change.day
)

SELECT
    day,
    dau,
    wau,
    mau,
    active_orgs,
    active_orgs_7d,
    active_orgs_28d,
    dag,
    dag_7d,
    dag_28d,
    deep_orgs,
    rate(dau, mau) AS stickiness,
    rate(dag, dag_28d) AS dag_stickiness,
    day >= $first_day + 6 AS is_complete_7d,
    day >= $first_day + 27 AS is_complete_28d
FROM daily
ORDER BY day

WITH active AS (
    SELECT calendar.entity, calendar.id, calendar.month, org.kind
    FROM (
        SELECT entity, id, month, least(period_end('month', month, $week_start), $as_of) AS last_day
        FROM activity_calendar
        WHERE entity <> 'user'
    ) AS calendar
    INNER JOIN org_kinds AS org
        ON calendar.id = org.org_id AND calendar.last_day >= org.from_day AND calendar.last_day <= org.until_day
),

-- Each active month of an organisation beside the one before and the one after it in which it was active.
stretch AS (
    SELECT
        entity,
        month,
        kind,
        lag(month) OVER months AS month_before,
        lead(month) OVER months AS month_after,
        lag(kind) OVER months AS kind_before
    FROM active
    WINDOW months AS (PARTITION BY entity, id ORDER BY month)
),

-- What befell how many of a kind; there are far fewer kinds than organisations.
kind_turn AS (
    SELECT
        entity,
        month,
        kind,
        CASE WHEN month_before >= month - interval '1 month' THEN kind_before END AS kind_before,
        CASE
            WHEN month_before IS NULL THEN 'new'
            WHEN month_before < month - interval '1 month' THEN 'resurrected'
            ELSE 'kept'
        END AS came_by,
        month_after IS NULL OR month_after > month + interval '1 month' AS is_last,
        count(*) AS orgs
    FROM stretch
    GROUP BY 1, 2, 3, 4, 5, 6
),

turn AS (
    SELECT
        befell.entity,
        place.dimension,
        befell.month,
        place.segment,
        coalesce(place_before.segment, '') AS segment_before,
        befell.came_by,
        befell.is_last,
        sum(befell.orgs) AS orgs
    FROM kind_turn AS befell
    INNER JOIN kind_segments AS place ON befell.kind = place.kind
    LEFT JOIN kind_segments AS place_before
        ON befell.kind_before = place_before.kind AND place.dimension = place_before.dimension
    GROUP BY 1, 2, 3, 4, 5, 6, 7
),

counted AS (
    SELECT
        entity,
        dimension,
        segment,
        month,
        sum(CASE WHEN came_by IN ('new', 'resurrected', 'retained', 'moved_in') THEN orgs ELSE 0 END) AS active,
        sum(CASE WHEN came_by = 'new' THEN orgs ELSE 0 END) AS "new",
        sum(CASE WHEN came_by = 'retained' THEN orgs ELSE 0 END) AS retained,
        sum(CASE WHEN came_by = 'resurrected' THEN orgs ELSE 0 END) AS resurrected,
        sum(CASE WHEN came_by = 'moved_in' THEN orgs ELSE 0 END) AS moved_in,
        sum(CASE WHEN came_by = 'churned' THEN orgs ELSE 0 END) AS churned,
        sum(CASE WHEN came_by = 'moved_out' THEN orgs ELSE 0 END) AS moved_out
    FROM (
        SELECT
            turn.entity,
            turn.dimension,
            CASE WHEN side.side = 'moved_out' THEN turn.segment_before ELSE turn.segment END AS segment,
            CASE WHEN side.side = 'churned' THEN cast(turn.month + interval '1 month' AS date) ELSE turn.month END
                AS month,
            CASE
                WHEN side.side <> 'active' THEN side.side
                WHEN turn.came_by <> 'kept' THEN turn.came_by
                WHEN turn.segment = turn.segment_before THEN 'retained'
                ELSE 'moved_in'
            END AS came_by,
            turn.orgs
        FROM turn
        CROSS JOIN (VALUES ('active'), ('churned'), ('moved_out')) AS side (side)
        WHERE
            side.side = 'active'
            OR (side.side = 'churned' AND turn.is_last)
            OR (side.side = 'moved_out' AND turn.came_by = 'kept' AND turn.segment <> turn.segment_before)
    ) AS flow
    WHERE month <= $as_of
    GROUP BY entity, dimension, segment, month
),

-- Months in which nobody was left to be active, until there is one again.
filled AS (
    SELECT
        *,
        unnest(generate_series(
            month,
            coalesce(
                cast(lead(month) OVER segments - interval '1 month' AS date),
                period_start('month', $as_of, $week_start)
            ),
            interval '1 month'
        )) AS row_month
    FROM counted
    WINDOW segments AS (PARTITION BY entity, dimension, segment ORDER BY month)
)

SELECT
    entity,
    dimension,
    segment,
    row_month AS month,
    CASE WHEN row_month = month THEN active ELSE 0 END AS active,
    CASE WHEN row_month = month THEN "new" ELSE 0 END AS "new",
    CASE WHEN row_month = month THEN retained ELSE 0 END AS retained,
    CASE WHEN row_month = month THEN resurrected ELSE 0 END AS resurrected,
    CASE WHEN row_month = month THEN moved_in ELSE 0 END AS moved_in,
    CASE WHEN row_month = month THEN churned ELSE 0 END AS churned,
    CASE WHEN row_month = month THEN moved_out ELSE 0 END AS moved_out,
    row_month >= $first_day AND period_end('month', row_month, $week_start) <= $as_of AS is_complete
FROM filled
ORDER BY entity, dimension, segment, month

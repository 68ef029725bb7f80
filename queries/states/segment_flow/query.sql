WITH active_month AS (
    SELECT org_id, month, least(period_end('month', month, $week_start), $as_of) AS last_day, dag_days
    FROM org_month
    WHERE month >= period_after('month', $from_month, -1, $week_start)
),

active AS (
    SELECT active_month.org_id, active_month.month, active_month.dag_days, org.kind
    FROM active_month
    INNER JOIN org_kinds AS org
        ON
            active_month.month = org.month
            AND active_month.org_id = org.org_id
            AND active_month.last_day >= org.from_day
            AND active_month.last_day <= org.until_day
),

-- An organisation counts in its month, and as one of before in the next.
side AS (
    SELECT
        entity,
        org_id,
        CASE WHEN is_before THEN period_after('month', month, 1, $week_start) ELSE month END AS month,
        CASE WHEN NOT is_before THEN kind END AS kind,
        CASE WHEN is_before THEN kind END AS kind_before
    FROM (
        SELECT entity, org_id, month, kind, unnest(make_array(true, false)) AS is_before
        FROM (SELECT *, unnest(make_array('dag', 'org')) AS entity FROM active) AS as_entity
        WHERE entity = 'org' OR dag_days > 0
    ) AS placed
),

pair AS (
    SELECT
        entity,
        org_id,
        month,
        max(kind) AS kind,
        max(kind_before) AS kind_before
    FROM side
    WHERE month >= $from_month AND month <= $as_of
    GROUP BY entity, org_id, month
),

begun AS (
    SELECT
        org_id,
        min(month) AS org_month,
        min(month) FILTER (WHERE dag_days > 0) AS dag_month
    FROM org_month
    GROUP BY org_id
),

-- What befell how many of a kind; there are far fewer kinds than organisations. Kinds are numbered anew in each month.
kind_turn AS (
    SELECT
        pair.entity,
        pair.month,
        period_after('month', pair.month, -1, $week_start) AS month_before,
        pair.kind,
        pair.kind_before,
        CASE WHEN pair.entity = 'org' THEN begun.org_month ELSE begun.dag_month END = pair.month AS is_new,
        count(*) AS orgs
    FROM pair
    INNER JOIN begun ON pair.org_id = begun.org_id
    GROUP BY 1, 2, 3, 4, 5, 6
),

turn AS (
    SELECT
        befell.entity,
        befell.month,
        befell.dimension,
        coalesce(place.segment, '') AS segment,
        coalesce(place_before.segment, '') AS segment_before,
        befell.is_new,
        befell.orgs
    FROM (
        SELECT *, unnest(make_array('edition', 'industry', 'region', 'size_band')) AS dimension
        FROM kind_turn
    ) AS befell
    LEFT JOIN kind_segments AS place
        ON befell.month = place.month AND befell.kind = place.kind AND befell.dimension = place.dimension
    LEFT JOIN kind_segments AS place_before
        ON
            befell.month_before = place_before.month
            AND befell.kind_before = place_before.kind
            AND befell.dimension = place_before.dimension
),

-- A segment is never empty: an empty one is none.
flow AS (
    SELECT
        entity,
        month,
        dimension,
        CASE WHEN is_before THEN segment_before ELSE segment END AS segment,
        CASE
            WHEN is_before AND segment = '' THEN 'churned'
            WHEN is_before THEN 'moved_out'
            WHEN segment_before = segment THEN 'retained'
            WHEN segment_before <> '' THEN 'moved_in'
            WHEN is_new THEN 'new'
            ELSE 'resurrected'
        END AS what,
        orgs
    FROM (SELECT *, unnest(make_array(true, false)) AS is_before FROM turn) AS sided
    WHERE
        CASE WHEN is_before THEN segment_before <> '' AND segment_before <> segment ELSE segment <> '' END
)

SELECT
    month,
    entity,
    dimension,
    segment,
    sum(CASE WHEN what IN ('new', 'resurrected', 'retained', 'moved_in') THEN orgs ELSE 0 END) AS active,
    sum(CASE WHEN what = 'new' THEN orgs ELSE 0 END) AS "new",
    sum(CASE WHEN what = 'retained' THEN orgs ELSE 0 END) AS retained,
    sum(CASE WHEN what = 'resurrected' THEN orgs ELSE 0 END) AS resurrected,
    sum(CASE WHEN what = 'moved_in' THEN orgs ELSE 0 END) AS moved_in,
    sum(CASE WHEN what = 'churned' THEN orgs ELSE 0 END) AS churned,
    sum(CASE WHEN what = 'moved_out' THEN orgs ELSE 0 END) AS moved_out
FROM flow
GROUP BY month, entity, dimension, segment
ORDER BY month, entity, dimension, segment

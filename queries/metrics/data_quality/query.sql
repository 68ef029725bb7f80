WITH accepted AS (
    SELECT
        days.day,
        coalesce(quality_day.events, 0) AS events
    FROM days
    LEFT JOIN quality_day ON days.day = quality_day.day
),

compared AS (
    SELECT
        day,
        events,
        lag(events) OVER (ORDER BY day) AS events_before
    FROM accepted
),

batch_total AS (
    SELECT
        day,
        sum(duplicate) AS duplicate,
        sum(late) AS late
    FROM batch_days
    WHERE day <= $as_of
    GROUP BY day
),

unknown AS (
    SELECT day, 'unknown_org' AS rule, unknown_orgs AS ids
    FROM quality_day
    UNION ALL
    SELECT day, 'unknown_user' AS rule, unknown_users AS ids
    FROM quality_day
    UNION ALL
    SELECT day, 'unknown_app' AS rule, unknown_apps AS ids
    FROM quality_day
),

finding AS (
    SELECT day, 'accepted' AS rule, cast(events AS VARCHAR) AS value
    FROM accepted
    UNION ALL
    SELECT day, 'duplicate' AS rule, cast(duplicate AS VARCHAR) AS value
    FROM batch_total
    WHERE duplicate > 0
    UNION ALL
    SELECT cast(NULL AS DATE) AS day, 'rejected' AS rule, cast(count(*) AS VARCHAR) AS value
    FROM rejects
    HAVING count(*) > 0
    UNION ALL
    SELECT day, 'late' AS rule, cast(late AS VARCHAR) AS value
    FROM batch_total
    WHERE late > 0
    UNION ALL
    SELECT day, rule, cast(ids AS VARCHAR) AS value
    FROM unknown
    WHERE ids > 0
    UNION ALL
    SELECT day, 'missing_day' AS rule, '1' AS value
    FROM accepted
    WHERE events = 0
    UNION ALL
    SELECT day, 'volume_change' AS rule, cast(rate(events, events_before) AS VARCHAR) AS value
    FROM compared
    WHERE events > 0 AND events_before > 0 AND (events > 3 * events_before OR 3 * events < events_before)
)

SELECT
    day,
    rule AS "check",
    value,
    CASE WHEN rule IN ('accepted', 'duplicate') THEN 'info' ELSE 'warning' END AS severity
FROM finding
ORDER BY day NULLS FIRST, rule

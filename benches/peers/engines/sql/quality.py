"""What is odd about the data."""


def data_quality(q):
    # `duplicate`, `late` and `rejected` are what ingest saw; the peers keep no such record.
    return f"""
        WITH accepted AS (
            SELECT days.day AS day, coalesce(a.events, 0) AS events FROM days
            LEFT JOIN (SELECT day, sum(events) AS events FROM org_app_day GROUP BY day) AS a ON days.day = a.day
        ),
        compared AS (
            SELECT day, events, lag(events) OVER (ORDER BY day) AS events_before FROM accepted
        ),
        finding AS (
            SELECT day, 'accepted' AS rule, events AS found FROM accepted
            UNION ALL
            SELECT day, rule, ids AS found FROM (
                SELECT used.day AS day, 'unknown_org' AS rule, count(DISTINCT used.org_id) AS ids
                FROM org_app_day AS used
                LEFT JOIN (SELECT DISTINCT org_id AS known FROM orgs) AS o ON used.org_id = o.known
                WHERE o.known IS NULL AND used.org_id <> '' GROUP BY used.day
                UNION ALL {q.unknown_users()}
                UNION ALL
                SELECT used.day AS day, 'unknown_app' AS rule, count(DISTINCT used.app_id) AS ids
                FROM org_app_day AS used
                LEFT JOIN (SELECT DISTINCT app_id AS known FROM apps) AS a ON used.app_id = a.known
                WHERE a.known IS NULL GROUP BY used.day
            ) AS unknown
            UNION ALL
            SELECT day, 'missing_day' AS rule, 1 AS found FROM accepted WHERE events = 0
            UNION ALL
            SELECT day, 'volume_change' AS rule, {q.rate('events', 'events_before')} AS found FROM compared
            WHERE events > 0 AND events_before > 0 AND (events > 3 * events_before OR 3 * events < events_before)
        )
        SELECT {q.to_date('finding.day')} AS day, rule AS "check", found AS value,
            CASE WHEN rule = 'accepted' THEN 'info' ELSE 'warning' END AS severity
        FROM finding ORDER BY 1, 2"""

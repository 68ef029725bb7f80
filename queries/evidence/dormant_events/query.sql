SELECT
    event.org_id,
    cast(row_number() OVER (
        ORDER BY event.ts, event.user_id, event.app_id, event.action, event.event_id, event.duration_ms
    ) AS bigint) AS number,
    event.day AS active_on,
    event.ts,
    event.user_id,
    event.app_id,
    event.action,
    event.event_id,
    event.counts_as,
    event.is_human
FROM counted_events AS event
INNER JOIN (SELECT org_id, max(day) AS day FROM org_day WHERE org_id = $org_id GROUP BY org_id) AS last
    ON event.org_id = last.org_id
WHERE event.org_id = $org_id AND event.day >= last.day AND event.day <= $as_of
ORDER BY org_id, number

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
    event.counts_as
FROM counted_events AS event
LEFT SEMI JOIN integration_uses AS counting
    ON event.day = counting.day AND event.org_id = counting.org_id AND event.app_id = counting.app_id
WHERE event.day BETWEEN $day - 27 AND $day AND event.org_id = $org_id AND (event.is_human OR event.is_machine)
ORDER BY org_id, number

SELECT
    $week AS week,
    event.org_id,
    $kind AS kind,
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
LEFT SEMI JOIN asset_uses AS used
    ON event.day = used.day AND event.org_id = used.org_id AND event.app_id = used.app_id AND used.kind = $kind
WHERE event.day BETWEEN $week AND $week + 6 AND event.org_id = $org_id AND (event.is_human OR event.is_machine)
ORDER BY week, org_id, kind, number

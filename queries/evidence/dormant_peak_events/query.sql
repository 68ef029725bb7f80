SELECT
    event.org_id,
    event.user_id,
    cast(row_number() OVER (
        ORDER BY event.ts, event.app_id, event.action, event.event_id, event.duration_ms
    ) AS bigint) AS number,
    event.day AS active_on,
    event.ts,
    event.app_id,
    event.action,
    event.event_id
FROM counted_events AS event
INNER JOIN org_peaks AS peak ON event.org_id = peak.org_id
WHERE
    event.day <= $as_of
    AND event.org_id = $org_id
    AND peak.org_id = $org_id
    AND event.user_id = $user_id
    AND event.is_human
    AND event.day >= peak.peak_on - 27
    AND event.day <= peak.peak_on
ORDER BY org_id, user_id, number

SELECT
    event.user_id,
    cast(row_number() OVER (
        ORDER BY event.ts, event.org_id, event.app_id, event.action, event.event_id, event.duration_ms
    ) AS bigint) AS number,
    event.day AS active_on,
    event.ts,
    event.org_id,
    event.app_id,
    event.action,
    event.event_id,
    event.action = 'check_in' AS is_check_in
FROM counted_events AS event
INNER JOIN users AS person ON event.user_id = person.user_id
INNER JOIN campaign_terms AS term ON term.campaign = $campaign
WHERE
    event.user_id = $user_id
    AND event.is_human
    AND event.day <= $as_of
    AND (
        (event.day >= term.start_on AND event.day <= term.end_on)
        OR (event.day >= person.registered_on AND event.day <= person.registered_on + 30)
    )
ORDER BY user_id, number

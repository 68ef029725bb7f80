SELECT
    org_id,
    cast(row_number() OVER (ORDER BY ts, user_id, app_id, action, event_id, duration_ms) AS bigint) AS number,
    day AS first_event_on,
    ts,
    user_id,
    app_id,
    action,
    event_id,
    counts_as
FROM counted_events
WHERE org_id = $org_id AND day = (SELECT min(first_day) FROM org_seen WHERE org_id = $org_id)
ORDER BY org_id, number

SELECT
    day,
    app_id,
    ts,
    arrow_cast(cast(ts AS bigint) + duration_ms * 1000, 'Timestamp(Microsecond, Some("UTC"))') AS ends_at,
    user_id,
    org_id,
    concurrent_id,
    action,
    event_id
FROM counted_events
WHERE is_human AND duration_ms > 0

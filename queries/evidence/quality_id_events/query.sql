SELECT
    day,
    "check",
    cast(row_number() OVER (ORDER BY ts, user_id, org_id, app_id, action, event_id, duration_ms) AS bigint) AS number,
    id,
    ts,
    user_id,
    org_id,
    app_id,
    action,
    event_id
FROM unknown_ids
WHERE day = $day AND "check" = $check
ORDER BY day, "check", number

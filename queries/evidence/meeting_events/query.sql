SELECT
    $month AS month,
    event.org_id,
    cast(row_number() OVER (
        ORDER BY
            event.ts, event.user_id, event.app_id, event.concurrent_id, event.action, event.event_id, event.duration_ms
    ) AS bigint) AS number,
    event.day AS active_on,
    event.ts,
    event.concurrent_id,
    event.app_id,
    coalesce(app.category, '') AS category,
    event.user_id,
    event.action,
    event.event_id,
    seconds(event.usage_ms) AS usage_seconds
FROM counted_events AS event
LEFT JOIN apps AS app
    ON event.app_id = app.app_id AND event.day >= app.valid_from AND event.day <= app.valid_until
WHERE
    event.day BETWEEN $month AND period_end('month', $month, 'monday')
    AND event.day <= $as_of
    AND event.org_id = $org_id
    AND event.is_human
    AND event.concurrent_id <> ''
ORDER BY month, org_id, number

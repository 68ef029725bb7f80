SELECT
    used.day,
    used.org_id,
    app.category AS kind,
    used.app_id,
    coalesce(app.name, '') AS name,
    used.human_events + used.machine_events AS events
FROM org_app_day AS used
INNER JOIN apps AS app
    ON used.app_id = app.app_id AND used.day >= app.valid_from AND used.day <= app.valid_until
WHERE
    app.category IN ('connector', 'lowcode')
    AND used.org_id <> ''
    AND used.human_events + used.machine_events > 0
    AND used.day <= $as_of
ORDER BY day, org_id, kind, app_id

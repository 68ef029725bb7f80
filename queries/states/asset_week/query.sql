SELECT
    period_start('week', used.day, $week_start) AS week,
    used.org_id,
    app.category AS kind,
    used.app_id
FROM org_app_day AS used
INNER JOIN apps AS app
    ON used.app_id = app.app_id AND used.day >= app.valid_from AND used.day <= app.valid_until
WHERE
    app.category IN ('connector', 'lowcode')
    AND used.org_id <> ''
    AND used.human_events + used.machine_events > 0
GROUP BY period_start('week', used.day, $week_start), used.org_id, app.category, used.app_id
ORDER BY week, org_id, kind, app_id

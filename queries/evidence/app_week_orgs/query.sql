SELECT
    $week AS week,
    app_id,
    org_id,
    count(*) AS days,
    sum(human_events) AS human_events,
    seconds(sum(usage_ms)) AS usage_seconds,
    org_id <> '' AS is_org
FROM org_app_day
WHERE day BETWEEN $week AND period_end('week', $week, $week_start) AND day <= $as_of AND app_id = $app_id AND human_events > 0
GROUP BY app_id, org_id
ORDER BY week, app_id, org_id

SELECT
    day,
    org_id,
    sum(events) AS events,
    sum(human_events) AS human_events,
    sum(machine_events) AS machine_events
FROM org_app_day
WHERE day = $day
GROUP BY day, org_id
ORDER BY day, org_id

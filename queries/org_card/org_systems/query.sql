SELECT
    org_id,
    system,
    count(DISTINCT app_id) AS apps,
    count(DISTINCT day) AS days,
    sum(events) AS events,
    max(day) AS last_on
FROM integration_uses
WHERE day BETWEEN $as_of - 27 AND $as_of AND org_id = $org_id AND rule = 'systems'
GROUP BY org_id, system
ORDER BY org_id, system

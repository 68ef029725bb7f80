SELECT
    org_id,
    rule,
    CASE WHEN rule = 'systems' THEN system ELSE cast(day AS varchar) END AS counted,
    day AS active_on,
    app_id,
    events
FROM integration_uses
WHERE day BETWEEN $day - 27 AND $day AND org_id = $org_id
ORDER BY org_id, rule, counted, active_on, app_id

SELECT
    org_id,
    rule,
    CASE WHEN rule = 'systems' THEN system ELSE cast(day AS varchar) END AS counted,
    count(DISTINCT app_id) AS apps,
    count(*) AS uses
FROM integration_uses
WHERE day BETWEEN $day - 27 AND $day AND org_id = $org_id
GROUP BY org_id, rule, CASE WHEN rule = 'systems' THEN system ELSE cast(day AS varchar) END
ORDER BY org_id, rule, counted

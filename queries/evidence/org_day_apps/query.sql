SELECT *
FROM org_apps
WHERE day = $day AND org_id = $org_id
ORDER BY day, org_id, app_id

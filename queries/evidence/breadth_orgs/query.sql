WITH used AS (
    SELECT org_id, app_id, day
    FROM org_app_day
    WHERE day BETWEEN $day - 27 AND $day AND org_id <> '' AND human_events > 0
    UNION ALL
    SELECT $org_id, cast(NULL AS varchar), cast(NULL AS date)
    WHERE $org_id <> ''
)

SELECT
    $day AS day,
    count(DISTINCT app_id) AS apps,
    org_id,
    count(DISTINCT day) AS days
FROM used
GROUP BY org_id
HAVING count(DISTINCT app_id) = $apps OR org_id = $org_id
ORDER BY day, apps, org_id

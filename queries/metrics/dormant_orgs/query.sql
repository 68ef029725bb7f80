WITH dormant AS (
    SELECT
        org_id,
        max(last_active_on) AS last_active_on,
        max(peak_28d_users) AS peak_28d_users
    FROM org_month
    GROUP BY org_id
    HAVING max(last_active_on) <= $as_of - 28
)

SELECT
    dormant.org_id,
    coalesce(org.name, '') AS name,
    dormant.last_active_on,
    $as_of - dormant.last_active_on AS days_inactive,
    dormant.peak_28d_users,
    last_month.deep_level AS deep_level_before
FROM dormant
INNER JOIN org_month AS last_month
    ON dormant.org_id = last_month.org_id AND dormant.last_active_on = last_month.last_active_on
LEFT JOIN orgs AS org
    ON dormant.org_id = org.org_id AND $as_of >= org.valid_from AND $as_of <= org.valid_until
ORDER BY org_id

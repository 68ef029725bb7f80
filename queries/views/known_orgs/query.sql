SELECT
    known.org_id,
    coalesce(org.name, '') AS name
FROM (SELECT org_id FROM orgs UNION SELECT org_id FROM org_seen) AS known
LEFT JOIN orgs AS org
    ON known.org_id = org.org_id AND $as_of >= org.valid_from AND $as_of <= org.valid_until
ORDER BY org_id

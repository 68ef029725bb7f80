-- Who has no row has no event in the window.
SELECT
    days.day,
    registered.org_id,
    coalesce(org.name, '') AS name,
    coalesce(held.level, 0) AS level,
    coalesce(held.level_name, 'inactive') AS level_name,
    coalesce(held.systems, 0) AS systems,
    coalesce(held.production_days, 0) AS production_days,
    coalesce(held.store_days, 0) AS store_days,
    coalesce(held.process_days, 0) AS process_days,
    coalesce(held.flow_days, 0) AS flow_days,
    coalesce(held.decide_days, 0) AS decide_days,
    coalesce(held.missing, 'event') AS missing,
    coalesce(held.level, 0) >= 2 AS is_listed,
    coalesce(held.level, 0) = 5 AS is_deep
FROM org_registration AS registered
INNER JOIN days ON days.day = $day AND registered.registered_on <= days.day
LEFT JOIN deep_levels AS held ON registered.org_id = held.org_id AND held.day = $day
LEFT JOIN orgs AS org ON registered.org_id = org.org_id AND $day >= org.valid_from AND $day <= org.valid_until
ORDER BY day, org_id

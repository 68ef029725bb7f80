SELECT
    $week AS week,
    org_id,
    kind,
    app_id,
    last_value(name ORDER BY day) AS name,
    min(day) AS first_used_on,
    count(*) FILTER (WHERE day >= $week) AS days,
    coalesce(sum(events) FILTER (WHERE day >= $week), 0) AS events,
    max(day) >= $week AS is_in_use,
    min(day) >= $week AS is_first_seen,
    CASE WHEN max(day) >= $week THEN $week END AS week_used
FROM asset_uses
WHERE day <= $week + 6 AND org_id = $org_id AND kind = $kind
GROUP BY org_id, kind, app_id
ORDER BY week, org_id, kind, app_id

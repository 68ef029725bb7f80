SELECT
    from_day AS day,
    org_id,
    level,
    previous_level
FROM deep_window
WHERE level <> previous_level
ORDER BY day, org_id

SELECT
    day,
    "check",
    id,
    count(*) AS events
FROM unknown_ids
WHERE day = $day AND "check" = $check
GROUP BY day, "check", id
ORDER BY day, "check", id

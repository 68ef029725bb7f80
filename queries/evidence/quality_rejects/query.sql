SELECT
    $check AS "check",
    batch,
    source,
    line,
    reason,
    left(raw, 80) AS raw
FROM rejects
WHERE $check = 'rejected'
ORDER BY "check", batch, source, line

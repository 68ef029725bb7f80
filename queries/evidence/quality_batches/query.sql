SELECT
    day,
    $check AS "check",
    batch,
    accepted,
    duplicate,
    late,
    CASE $check WHEN 'accepted' THEN accepted WHEN 'duplicate' THEN duplicate WHEN 'late' THEN late ELSE 0 END AS counted
FROM batch_days
WHERE day = $day
ORDER BY day, "check", batch

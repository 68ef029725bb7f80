SELECT
    used.org_id,
    used.user_id,
    peak.peak_on,
    count(*) AS days,
    sum(used.human_events) AS human_events
FROM user_day AS used
INNER JOIN org_peaks AS peak ON used.org_id = peak.org_id
WHERE
    used.org_id = $org_id
    AND peak.org_id = $org_id
    AND used.human_events > 0
    AND used.day >= peak.peak_on - 27
    AND used.day <= peak.peak_on
GROUP BY used.org_id, used.user_id, peak.peak_on
ORDER BY org_id, user_id

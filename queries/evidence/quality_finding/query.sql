WITH accepted AS (
    SELECT
        day,
        cast(value AS bigint) AS events
    FROM data_quality
    WHERE "check" = 'accepted'
),

found AS (
    SELECT
        finding.day,
        finding."check",
        finding.value,
        accepted.events,
        before.events AS events_before,
        CASE WHEN finding."check" <> 'volume_change' THEN cast(finding.value AS bigint) END AS number
    FROM data_quality AS finding
    LEFT JOIN accepted ON finding.day = accepted.day
    LEFT JOIN accepted AS before ON finding.day - 1 = before.day
    WHERE finding."check" = $check AND finding.day IS NOT DISTINCT FROM $day
)

SELECT
    day,
    "check",
    CASE
        WHEN "check" = 'volume_change' THEN cast(rate(events, events_before) AS varchar)
        WHEN "check" = 'missing_day' THEN CASE WHEN events = 0 THEN '1' ELSE '0' END
        ELSE value
    END AS value,
    events,
    events_before,
    CASE WHEN "check" IN ('accepted', 'duplicate', 'late') THEN number END AS batch_events,
    CASE WHEN "check" IN ('unknown_app', 'unknown_org', 'unknown_user') THEN number END AS ids,
    CASE WHEN "check" = 'rejected' THEN number END AS records
FROM found
ORDER BY day, "check"

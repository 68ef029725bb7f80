WITH asked AS (
    SELECT
        known.org_id,
        known.name,
        max(active.day) AS last_active_on
    FROM known_orgs AS known
    LEFT JOIN org_day AS active ON known.org_id = active.org_id
    WHERE known.org_id = $org_id
    GROUP BY known.org_id, known.name
),

since AS (
    SELECT
        used.org_id,
        sum(used.events) AS events,
        sum(used.human_events) AS human_events
    FROM org_app_day AS used
    INNER JOIN asked ON used.org_id = asked.org_id
    WHERE used.day >= asked.last_active_on AND used.day <= $as_of
    GROUP BY used.org_id
)

SELECT
    asked.org_id,
    asked.name,
    asked.last_active_on,
    $day - asked.last_active_on AS days_inactive,
    coalesce(since.events, 0) AS events_since,
    coalesce(since.human_events, 0) AS human_events_since,
    peak.peak_on,
    peak.users AS peak_28d_users,
    deep.level AS deep_level_before,
    deep.systems,
    deep.production_days,
    deep.store_days,
    deep.process_days,
    deep.flow_days,
    deep.decide_days,
    coalesce(asked.last_active_on <= $day - 28, false) AS is_dormant
FROM asked
LEFT JOIN since ON asked.org_id = since.org_id
LEFT JOIN org_peaks AS peak ON asked.org_id = peak.org_id
LEFT JOIN deep_window AS deep
    ON
        asked.org_id = deep.org_id
        AND asked.last_active_on >= deep.from_day
        AND asked.last_active_on <= deep.until_day
ORDER BY org_id

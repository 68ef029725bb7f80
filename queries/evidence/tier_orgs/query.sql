WITH looked_at AS (
    SELECT
        least(period_end('month', $month, 'monday'), $as_of) AS day,
        period_end('month', $month - interval '1 year', 'monday') AS day_year_before
    FROM days
    WHERE day BETWEEN $month AND period_end('month', $month, 'monday')
    LIMIT 1
),

first_event AS (
    SELECT
        org_id,
        min(first_day) AS day
    FROM org_seen
    GROUP BY org_id
),

registered AS (
    SELECT
        org_id,
        min(registered_on) AS registered_on
    FROM orgs
    GROUP BY org_id
),

measured AS (
    SELECT
        known.org_id,
        known.name,
        registered.registered_on,
        first_event.day AS first_event_on,
        looked_at.day,
        looked_at.day_year_before,
        max(org.headcount) FILTER (WHERE looked_at.day BETWEEN org.valid_from AND org.valid_until) AS headcount,
        max(org.headcount) FILTER (WHERE looked_at.day_year_before BETWEEN org.valid_from AND org.valid_until)
            AS headcount_year_before
    FROM known_orgs AS known
    CROSS JOIN looked_at
    LEFT JOIN orgs AS org ON known.org_id = org.org_id
    LEFT JOIN registered ON known.org_id = registered.org_id
    LEFT JOIN first_event ON known.org_id = first_event.org_id
    GROUP BY
        known.org_id,
        known.name,
        registered.registered_on,
        first_event.day,
        looked_at.day,
        looked_at.day_year_before
),

told AS (
    SELECT
        *,
        headcount >= $min_headcount
            AND (registered_on IS NULL OR registered_on <= day OR coalesce(first_event_on <= day, false)) AS is_counted,
        headcount_year_before >= $min_headcount AND (registered_on IS NULL OR registered_on <= day_year_before) AS was_counted
    FROM measured
),

seen AS (
    SELECT
        org_id,
        day,
        sum(events) AS events
    FROM org_app_day
    WHERE org_id = $org_id
    GROUP BY org_id, day
)

SELECT
    $month AS month,
    $min_headcount AS min_headcount,
    told.org_id,
    told.name,
    told.registered_on AS registered_at,
    told.first_event_on,
    seen.events AS first_events,
    told.day,
    told.headcount,
    coalesce(told.is_counted, false) AS is_counted,
    told.day_year_before,
    told.headcount_year_before,
    coalesce(told.was_counted, false) AS was_counted
FROM told
LEFT JOIN seen ON told.org_id = seen.org_id AND told.first_event_on = seen.day
WHERE told.is_counted OR told.was_counted OR told.org_id = $org_id
ORDER BY month, min_headcount, org_id

WITH dormant AS (
    SELECT
        org_id,
        max(day) AS last_active_on
    FROM org_day
    GROUP BY org_id
    HAVING max(day) <= $as_of - 28
),

peak AS (
    SELECT
        org_id,
        max(users) AS users
    FROM (
        SELECT
            seat.org_id,
            observed.day,
            sum(seat.users * ((seat.seen_bits >> (observed.day - seat.month)) & 1)) AS users
        FROM seat_patterns AS seat
        LEFT SEMI JOIN dormant ON seat.org_id = dormant.org_id
        INNER JOIN (
            SELECT day, cast(date_trunc('month', day) AS date) AS month
            FROM days
            WHERE day <= $as_of
        ) AS observed ON seat.month = observed.month
        GROUP BY seat.org_id, observed.day
    ) AS users_28d
    GROUP BY org_id
)

SELECT
    dormant.org_id,
    coalesce(org.name, '') AS name,
    dormant.last_active_on,
    $as_of - dormant.last_active_on AS days_inactive,
    peak.users AS peak_28d_users,
    deep.level AS deep_level_before
FROM dormant
INNER JOIN peak ON dormant.org_id = peak.org_id
INNER JOIN deep_window AS deep
    ON
        dormant.org_id = deep.org_id
        AND dormant.last_active_on >= deep.from_day
        AND dormant.last_active_on <= deep.until_day
LEFT JOIN orgs AS org
    ON dormant.org_id = org.org_id AND $as_of >= org.valid_from AND $as_of <= org.valid_until
ORDER BY org_id

WITH dormant AS (
    SELECT
        org_id,
        max(day) AS last_active_on
    FROM org_day
    GROUP BY org_id
    HAVING max(day) <= $as_of - 28
),

-- A user stays in the trailing window for 28 days, so only gaps of 28 days and more change the number of users. Two active
-- days in one block of 28 days are never that far apart: the first and last day of each block tell all gaps.
block AS (
    SELECT
        seat.org_id,
        seat.user_id,
        ($as_of - seat.day) / 28 AS block,
        min(seat.day) AS first_day,
        max(seat.day) AS last_day
    FROM user_day AS seat
    LEFT SEMI JOIN dormant ON seat.org_id = dormant.org_id
    WHERE seat.human_events > 0
    GROUP BY seat.org_id, seat.user_id, ($as_of - seat.day) / 28
),

-- Where a user comes into the window, and where it goes out of it; empty where the window goes on.
edge AS (
    SELECT
        org_id,
        CASE
            WHEN coalesce(first_day - lag(last_day) OVER seat >= 28, true) THEN first_day
        END AS from_day,
        CASE
            WHEN coalesce(lead(first_day) OVER seat - last_day >= 28, true) THEN last_day + 28
        END AS end_day
    FROM block
    WINDOW seat AS (PARTITION BY org_id, user_id ORDER BY first_day)
),

change AS (
    SELECT
        org_id,
        unnest(make_array(from_day, end_day)) AS day,
        unnest(make_array(1, -1)) AS users
    FROM edge
),

users_28d AS (
    SELECT
        org_id,
        sum(sum(users)) OVER (PARTITION BY org_id ORDER BY day) AS users
    FROM change
    WHERE day IS NOT NULL
    GROUP BY org_id, day
),

peak AS (
    SELECT
        org_id,
        max(users) AS users
    FROM users_28d
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

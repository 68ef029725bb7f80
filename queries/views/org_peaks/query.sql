-- A user stays in the trailing window for 28 days: only gaps of 28 days and more take anyone out of it.
WITH edge AS (
    SELECT
        org_id,
        CASE WHEN coalesce(day - lag(day) OVER seat >= 28, true) THEN day END AS from_day,
        CASE WHEN coalesce(lead(day) OVER seat - day >= 28, true) THEN day + 28 END AS end_day
    FROM user_day
    WHERE human_events > 0 AND org_id <> '' AND day <= $as_of
    WINDOW seat AS (PARTITION BY org_id, user_id ORDER BY day)
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
        day,
        sum(sum(users)) OVER (PARTITION BY org_id ORDER BY day) AS users
    FROM change
    WHERE day IS NOT NULL
    GROUP BY org_id, day
)

SELECT
    org_id,
    day AS peak_on,
    users
FROM users_28d
QUALIFY row_number() OVER (PARTITION BY org_id ORDER BY users DESC, day) = 1
ORDER BY org_id

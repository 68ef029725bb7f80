-- An app stays in an organisation's trailing window for 28 days, so only gaps of 28 days and more change the number of its
-- apps. Two days of use in one block of 28 days are never that far apart: the first and last day of each block tell all
-- gaps, and most rows need not be sorted.
WITH block AS (
    SELECT
        org_id,
        app_id,
        ($as_of - day) / 28 AS block,
        min(day) AS first_day,
        max(day) AS last_day
    FROM org_app_day
    WHERE org_id <> '' AND human_events > 0
    GROUP BY org_id, app_id, ($as_of - day) / 28
),

-- Where an app comes into the window, and where it goes out of it; empty where the window goes on.
edge AS (
    SELECT
        org_id,
        CASE
            WHEN coalesce(first_day - lag(last_day) OVER app >= 28, true) THEN first_day
        END AS from_day,
        CASE
            WHEN coalesce(lead(first_day) OVER app - last_day >= 28, true) THEN last_day + 28
        END AS end_day
    FROM block
    WINDOW app AS (PARTITION BY org_id, app_id ORDER BY first_day)
),

change AS (
    SELECT
        org_id,
        unnest(make_array(from_day, end_day)) AS day,
        unnest(make_array(1, -1)) AS apps
    FROM edge
),

change_day AS (
    SELECT
        org_id,
        day,
        sum(apps) AS apps
    FROM change
    WHERE day <= $as_of
    GROUP BY org_id, day
),

breadth AS (
    SELECT
        day,
        apps AS apps_change,
        sum(apps) OVER (PARTITION BY org_id ORDER BY day) AS apps
    FROM change_day
),

-- An organisation goes from the row of one number to that of another.
turn AS (
    SELECT
        unnest(make_array(apps, apps - apps_change)) AS apps,
        day,
        unnest(make_array(1, -1)) AS orgs
    FROM breadth
),

turn_day AS (
    SELECT
        day,
        apps,
        sum(orgs) AS orgs
    FROM turn
    WHERE apps > 0
    GROUP BY day, apps
),

-- A number of organisations holds from one day until the next on which it changes.
held AS (
    SELECT
        apps,
        sum(orgs) OVER number AS orgs,
        day AS from_day,
        coalesce(lead(day) OVER number - 1, $as_of) AS until_day
    FROM turn_day
    WINDOW number AS (PARTITION BY apps ORDER BY day)
),

counted AS (
    SELECT
        unnest(generate_series(from_day, until_day, interval '1 day')) AS day,
        apps,
        orgs
    FROM held
    WHERE orgs > 0
)

SELECT
    day,
    apps,
    orgs,
    day >= $first_day + 27 AS is_complete
FROM counted
ORDER BY day, apps

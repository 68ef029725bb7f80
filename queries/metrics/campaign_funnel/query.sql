-- The active days from the registration on, as bits: bit 0 is the day itself, and days that lie in a later month follow those of
-- the month before it.
WITH active_after AS (
    SELECT
        user_id,
        campaign,
        registered_on,
        bit_or(
            CASE
                WHEN month <= registered_on THEN active_bits >> (registered_on - month)
                ELSE active_bits << (month - registered_on)
            END
        ) AS days
    FROM campaign_month
    WHERE month >= registered_on - 30 AND month <= registered_on + 30
    GROUP BY user_id, campaign, registered_on
),

back AS (
    SELECT
        campaign,
        registered_on,
        sum(CASE WHEN days & 127 <> 0 THEN 1 ELSE 0 END) AS activated,
        sum((days >> 1) & 1) AS on_1,
        sum((days >> 7) & 1) AS on_7,
        sum((days >> 30) & 1) AS on_30
    FROM active_after
    GROUP BY campaign, registered_on
),

-- Users who registered on one day in one campaign, or in none, are alike but for what they did. Their Nth day is known if it
-- is observed.
cohort AS (
    SELECT
        registered.campaign,
        registered.registered_on,
        registered.users,
        coalesce(back.activated, 0) AS activated,
        coalesce(back.on_1, 0) AS on_1,
        coalesce(back.on_7, 0) AS on_7,
        coalesce(back.on_30, 0) AS on_30,
        CASE WHEN registered.registered_on + 1 BETWEEN $first_day AND $as_of THEN registered.users ELSE 0 END AS known_1,
        CASE WHEN registered.registered_on + 7 BETWEEN $first_day AND $as_of THEN registered.users ELSE 0 END AS known_7,
        CASE WHEN registered.registered_on + 30 BETWEEN $first_day AND $as_of THEN registered.users ELSE 0 END AS known_30
    FROM campaign_cohorts AS registered
    LEFT JOIN back ON registered.campaign = back.campaign AND registered.registered_on = back.registered_on
),

retained AS (
    SELECT
        term.campaign,
        sum(cohort.users) FILTER (WHERE cohort.campaign <> '') AS acquired,
        sum(cohort.activated) FILTER (WHERE cohort.campaign <> '') AS activated,
        sum(cohort.on_1) FILTER (WHERE cohort.campaign <> '') AS on_1,
        sum(cohort.on_7) FILTER (WHERE cohort.campaign <> '') AS on_7,
        sum(cohort.on_30) FILTER (WHERE cohort.campaign <> '') AS on_30,
        sum(cohort.known_1) FILTER (WHERE cohort.campaign <> '') AS known_1,
        sum(cohort.known_7) FILTER (WHERE cohort.campaign <> '') AS known_7,
        sum(cohort.known_30) FILTER (WHERE cohort.campaign <> '') AS known_30,
        sum(cohort.on_1) FILTER (WHERE cohort.campaign = '') AS organic_on_1,
        sum(cohort.on_7) FILTER (WHERE cohort.campaign = '') AS organic_on_7,
        sum(cohort.on_30) FILTER (WHERE cohort.campaign = '') AS organic_on_30,
        sum(cohort.known_1) FILTER (WHERE cohort.campaign = '') AS organic_known_1,
        sum(cohort.known_7) FILTER (WHERE cohort.campaign = '') AS organic_known_7,
        sum(cohort.known_30) FILTER (WHERE cohort.campaign = '') AS organic_known_30
    FROM campaign_terms AS term
    INNER JOIN cohort
        ON
            term.campaign = cohort.campaign
            OR (cohort.campaign = '' AND cohort.registered_on >= term.start_on AND cohort.registered_on <= term.end_on)
    GROUP BY term.campaign
),

invitation AS (
    SELECT
        campaign,
        count(*) AS invited,
        count(DISTINCT invited_by) AS inviters
    FROM users
    WHERE NOT is_internal AND campaign <> '' AND invited_by <> ''
    GROUP BY campaign
),

-- The days that streaks are made of, numbered: a day in a row with another has the next number.
streak_day AS (
    SELECT
        role,
        day,
        cast(date_trunc('month', day) AS date) AS month,
        cast(row_number() OVER (PARTITION BY role ORDER BY day) AS bigint) AS place
    FROM work_days
    WHERE is_work_day OR NOT $streaks_on_work_days
),

-- Who checked in on fewer days than a streak has cannot have completed one, and that is most.
often AS (
    SELECT used.user_id, term.campaign, term.start_on, term.end_on, term.streak_days
    FROM campaign_month AS used
    INNER JOIN campaign_terms AS term ON used.campaign = term.campaign
    WHERE used.check_in_bits <> 0
    GROUP BY used.user_id, term.campaign, term.start_on, term.end_on, term.streak_days
    HAVING active_days(calendar(used.month, used.check_in_bits), term.start_on, term.end_on) >= term.streak_days
),

check_in_day AS (
    SELECT term.campaign, term.streak_days, used.user_id, streak_day.place
    FROM campaign_month AS used
    INNER JOIN often AS term ON used.user_id = term.user_id
    LEFT JOIN (SELECT DISTINCT role FROM work_days) AS listed ON used.role = listed.role
    INNER JOIN streak_day
        ON
            used.month = streak_day.month
            AND coalesce(listed.role, '') = streak_day.role
            AND (used.check_in_bits >> (streak_day.day - used.month)) & 1 = 1
    WHERE used.check_in_bits <> 0 AND streak_day.day >= term.start_on AND streak_day.day <= term.end_on
),

-- Days in a row have the same distance to their number among those with a check-in.
numbered AS (
    SELECT
        campaign,
        streak_days,
        user_id,
        place - cast(row_number() OVER (PARTITION BY campaign, user_id ORDER BY place) AS bigint) AS streak
    FROM check_in_day
),

completion AS (
    SELECT
        campaign,
        count(DISTINCT user_id) AS users
    FROM (
        SELECT campaign, user_id
        FROM numbered
        GROUP BY campaign, user_id, streak, streak_days
        HAVING count(*) >= streak_days
    ) AS completed
    GROUP BY campaign
),

funnel AS (
    SELECT
        term.campaign,
        coalesce(retained.acquired, 0) AS acquired,
        coalesce(invitation.inviters, 0) AS inviters,
        coalesce(invitation.invited, 0) AS invited,
        coalesce(retained.activated, 0) AS activated,
        coalesce(completion.users, 0) AS streak_completed,
        term.cost,
        cast(coalesce(completion.users, 0) * term.reward AS decimal(38, 2)) AS reward_cost,
        retained.on_1,
        retained.on_7,
        retained.on_30,
        retained.known_1,
        retained.known_7,
        retained.known_30,
        retained.organic_on_1,
        retained.organic_on_7,
        retained.organic_on_30,
        retained.organic_known_1,
        retained.organic_known_7,
        retained.organic_known_30
    FROM campaign_terms AS term
    LEFT JOIN retained ON term.campaign = retained.campaign
    LEFT JOIN invitation ON term.campaign = invitation.campaign
    LEFT JOIN completion ON term.campaign = completion.campaign
)

SELECT
    campaign,
    acquired,
    inviters,
    invited,
    rate(invited, inviters) AS k_factor,
    activated,
    streak_completed,
    cost,
    reward_cost,
    rate(cast((cost + reward_cost) * 100 AS bigint), 100 * acquired) AS cost_per_acquired,
    rate(cast((cost + reward_cost) * 100 AS bigint), 100 * on_30) AS cost_per_retained,
    rate(on_1, known_1) AS d1,
    rate(on_7, known_7) AS d7,
    rate(on_30, known_30) AS d30,
    rate(organic_on_1, organic_known_1) AS organic_d1,
    rate(organic_on_7, organic_known_7) AS organic_d7,
    rate(organic_on_30, organic_known_30) AS organic_d30
FROM funnel
ORDER BY campaign

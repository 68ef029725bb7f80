-- Users who registered on one day in one campaign, or in none, are alike but for what they did. Their Nth day is known if it
-- is observed.
WITH cohort AS (
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
    LEFT JOIN campaign_return AS back
        ON registered.campaign = back.campaign AND registered.registered_on = back.registered_on
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

role_days AS (
    SELECT
        role,
        calendar(month, days) AS days
    FROM streak_days
    GROUP BY role
),

checked_in AS (
    SELECT
        used.user_id,
        used.campaign,
        coalesce(role_days.role, '') AS role,
        calendar(used.month, used.check_in_bits) AS days
    FROM campaign_month AS used
    LEFT JOIN role_days ON used.role = role_days.role
    WHERE used.check_in_bits <> 0
    GROUP BY used.user_id, used.campaign, role_days.role
),

completion AS (
    SELECT
        term.campaign,
        count(*) AS users
    FROM checked_in
    INNER JOIN role_days ON checked_in.role = role_days.role
    INNER JOIN campaign_terms AS term ON checked_in.campaign = term.campaign
    WHERE longest_streak_among(checked_in.days, role_days.days, term.start_on, term.end_on) >= greatest(term.streak_days, 1)
    GROUP BY term.campaign
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

WITH counted AS (
    SELECT
        campaign,
        count(*) FILTER (WHERE is_acquired) AS acquired,
        count(invited_by) FILTER (WHERE is_acquired) AS invited,
        count(DISTINCT invited_by) FILTER (WHERE is_acquired) AS inviters,
        count(*) FILTER (WHERE is_acquired AND days_in_first_7 > 0) AS activated,
        count(*) FILTER (WHERE is_acquired AND has_completed) AS streak_completed,
        count(*) FILTER (WHERE is_acquired AND is_on_1) AS on_1,
        count(*) FILTER (WHERE is_acquired AND is_observed_1) AS observed_1,
        count(*) FILTER (WHERE is_acquired AND is_on_7) AS on_7,
        count(*) FILTER (WHERE is_acquired AND is_observed_7) AS observed_7,
        count(*) FILTER (WHERE is_acquired AND is_on_30) AS on_30,
        count(*) FILTER (WHERE is_acquired AND is_observed_30) AS observed_30,
        count(*) FILTER (WHERE is_organic AND is_on_1) AS organic_on_1,
        count(*) FILTER (WHERE is_organic AND is_observed_1) AS organic_observed_1,
        count(*) FILTER (WHERE is_organic AND is_on_7) AS organic_on_7,
        count(*) FILTER (WHERE is_organic AND is_observed_7) AS organic_observed_7,
        count(*) FILTER (WHERE is_organic AND is_on_30) AS organic_on_30,
        count(*) FILTER (WHERE is_organic AND is_observed_30) AS organic_observed_30
    FROM campaign_people
    WHERE campaign = $campaign
    GROUP BY campaign
),

summed AS (
    SELECT
        term.campaign,
        term.name,
        nullif(term.start_on, DATE '0001-01-01') AS start_on,
        nullif(term.end_on, DATE '9999-12-31') AS end_on,
        term.streak_days,
        term.reward,
        coalesce(counted.acquired, 0) AS acquired,
        coalesce(counted.invited, 0) AS invited,
        coalesce(counted.inviters, 0) AS inviters,
        coalesce(counted.activated, 0) AS activated,
        coalesce(counted.streak_completed, 0) AS streak_completed,
        term.cost,
        cast(coalesce(counted.streak_completed, 0) * term.reward AS decimal(38, 2)) AS reward_cost,
        coalesce(counted.on_1, 0) AS on_1,
        coalesce(counted.observed_1, 0) AS observed_1,
        coalesce(counted.on_7, 0) AS on_7,
        coalesce(counted.observed_7, 0) AS observed_7,
        coalesce(counted.on_30, 0) AS on_30,
        coalesce(counted.observed_30, 0) AS observed_30,
        coalesce(counted.organic_on_1, 0) AS organic_on_1,
        coalesce(counted.organic_observed_1, 0) AS organic_observed_1,
        coalesce(counted.organic_on_7, 0) AS organic_on_7,
        coalesce(counted.organic_observed_7, 0) AS organic_observed_7,
        coalesce(counted.organic_on_30, 0) AS organic_on_30,
        coalesce(counted.organic_observed_30, 0) AS organic_observed_30
    FROM campaign_terms AS term
    LEFT JOIN counted ON term.campaign = counted.campaign
    WHERE term.campaign = $campaign
)

SELECT
    campaign,
    name,
    start_on,
    end_on,
    streak_days,
    reward,
    acquired,
    invited,
    inviters,
    activated,
    streak_completed,
    cost,
    reward_cost,
    rate(cast((cost + reward_cost) * 100 AS bigint), 100 * acquired) AS cost_per_acquired,
    rate(cast((cost + reward_cost) * 100 AS bigint), 100 * on_30) AS cost_per_retained,
    on_1,
    observed_1,
    rate(on_1, observed_1) AS d1,
    on_7,
    observed_7,
    rate(on_7, observed_7) AS d7,
    on_30,
    observed_30,
    rate(on_30, observed_30) AS d30,
    organic_on_1,
    organic_observed_1,
    rate(organic_on_1, organic_observed_1) AS organic_d1,
    organic_on_7,
    organic_observed_7,
    rate(organic_on_7, organic_observed_7) AS organic_d7,
    organic_on_30,
    organic_observed_30,
    rate(organic_on_30, organic_observed_30) AS organic_d30
FROM summed
ORDER BY campaign

WITH named AS (
    SELECT DISTINCT campaign
    FROM users
    WHERE NOT is_internal AND campaign <> ''
),

known AS (
    SELECT campaign FROM named
    UNION
    SELECT campaign FROM campaigns
)

SELECT
    known.campaign,
    coalesce(campaigns.name, '') AS name,
    coalesce(campaigns.start_on, DATE '0001-01-01') AS start_on,
    coalesce(campaigns.end_on, DATE '9999-12-31') AS end_on,
    coalesce(campaigns.streak_days, 15) AS streak_days,
    campaigns.cost,
    CASE WHEN campaigns.campaign IS NOT NULL THEN coalesce(campaigns.reward_per_completion, 0) END AS reward
FROM known
LEFT JOIN campaigns ON known.campaign = campaigns.campaign
ORDER BY campaign

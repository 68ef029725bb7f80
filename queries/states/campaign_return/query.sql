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
    WHERE month >= cast(date_trunc('month', registered_on) AS date) AND month <= registered_on + 30
    GROUP BY user_id, campaign, registered_on
)

SELECT
    registered_on,
    campaign,
    sum(CASE WHEN days & 127 <> 0 THEN 1 ELSE 0 END) AS activated,
    sum((days >> 1) & 1) AS on_1,
    sum((days >> 7) & 1) AS on_7,
    sum((days >> 30) & 1) AS on_30
FROM active_after
GROUP BY registered_on, campaign
ORDER BY registered_on, campaign

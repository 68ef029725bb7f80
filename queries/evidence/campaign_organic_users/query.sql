SELECT
    campaign,
    user_id,
    is_organic,
    registered_on,
    days_in_first_7,
    check_in_days,
    return_days,
    is_organic AND is_on_1 AS is_on_1,
    is_organic AND is_observed_1 AS is_observed_1,
    is_organic AND is_on_7 AS is_on_7,
    is_organic AND is_observed_7 AS is_observed_7,
    is_organic AND is_on_30 AS is_on_30,
    is_organic AND is_observed_30 AS is_observed_30
FROM campaign_people
WHERE campaign = $campaign AND (is_organic OR user_id = $user_id)
ORDER BY campaign, user_id

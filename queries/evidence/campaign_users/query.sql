SELECT
    campaign,
    user_id,
    is_acquired,
    registered_on,
    CASE WHEN is_acquired THEN invited_by END AS inviter,
    is_acquired AND invited_by IS NOT NULL AS is_invited,
    days_in_first_7,
    is_acquired AND days_in_first_7 > 0 AS is_activated,
    check_in_days,
    longest_streak,
    is_acquired AND has_completed AS has_completed,
    return_days,
    is_acquired AND is_on_1 AS is_on_1,
    is_acquired AND is_observed_1 AS is_observed_1,
    is_acquired AND is_on_7 AS is_on_7,
    is_acquired AND is_observed_7 AS is_observed_7,
    is_acquired AND is_on_30 AS is_on_30,
    is_acquired AND is_observed_30 AS is_observed_30
FROM campaign_people
WHERE campaign = $campaign AND (is_acquired OR user_id = $user_id)
ORDER BY campaign, user_id

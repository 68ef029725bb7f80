SELECT campaign, acquired, inviters, invited, activated, streak_completed
FROM campaign_funnel
WHERE inviters > invited OR invited > acquired OR activated > acquired OR streak_completed > acquired
ORDER BY campaign

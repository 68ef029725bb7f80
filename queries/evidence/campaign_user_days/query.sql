WITH used AS (
    SELECT
        used.user_id,
        used.day,
        used.day - person.registered_on AS days_after,
        used.day BETWEEN term.start_on AND term.end_on AS is_in_term,
        used.human_events,
        used.check_ins
    FROM user_day AS used
    INNER JOIN users AS person ON used.user_id = person.user_id
    INNER JOIN campaign_terms AS term ON term.campaign = $campaign
    WHERE used.user_id = $user_id AND used.human_events > 0 AND used.day <= $as_of
)

SELECT
    user_id,
    day AS active_on,
    days_after,
    sum(human_events) AS human_events,
    sum(check_ins) AS check_ins,
    coalesce(days_after BETWEEN 0 AND 6, false) AS is_in_first_7,
    coalesce(days_after IN (1, 7, 30), false) AS is_return_day,
    is_in_term AND sum(check_ins) > 0 AS is_check_in_day
FROM used
WHERE is_in_term OR days_after BETWEEN 0 AND 30
GROUP BY user_id, day, days_after, is_in_term
ORDER BY user_id, active_on

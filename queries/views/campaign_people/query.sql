WITH active AS (
    SELECT
        id AS user_id,
        calendar(month, days) AS days
    FROM activity_calendar
    WHERE entity = 'user'
    GROUP BY id
),

checked_in AS (
    SELECT
        user_id,
        calendar(cast(date_trunc('month', day) AS date), day_bit(day)) AS days
    FROM user_day
    WHERE check_ins > 0
    GROUP BY user_id
),

role_days AS (
    SELECT
        role,
        calendar(month, days) AS days
    FROM streak_days
    GROUP BY role
),

met AS (
    SELECT
        term.campaign,
        person.user_id,
        person.campaign = term.campaign AS is_acquired,
        person.campaign = '' AND coalesce(person.registered_on BETWEEN term.start_on AND term.end_on, false) AS is_organic,
        person.registered_on,
        person.invited_by,
        coalesce(listed.role, '') AS role,
        greatest(term.start_on, $first_day) AS start_on,
        least(term.end_on, $as_of) AS end_on,
        greatest(term.streak_days, 1) AS streak_days
    FROM campaign_terms AS term
    CROSS JOIN users AS person
    LEFT JOIN role_days AS listed ON person.role = listed.role
    WHERE NOT person.is_internal
)

SELECT
    met.campaign,
    met.user_id,
    met.is_acquired,
    met.is_organic,
    met.registered_on,
    nullif(met.invited_by, '') AS invited_by,
    coalesce(active_days(active.days, met.registered_on, met.registered_on + 6), 0) AS days_in_first_7,
    coalesce(active_days(checked_in.days, met.start_on, met.end_on), 0) AS check_in_days,
    coalesce(longest_streak_among(checked_in.days, role_days.days, met.start_on, met.end_on), 0) AS longest_streak,
    coalesce(longest_streak_among(checked_in.days, role_days.days, met.start_on, met.end_on), 0) >= met.streak_days AS has_completed,
    coalesce(
        active_days(active.days, met.registered_on + 1, met.registered_on + 1)
        + active_days(active.days, met.registered_on + 7, met.registered_on + 7)
        + active_days(active.days, met.registered_on + 30, met.registered_on + 30), 0
    ) AS return_days,
    coalesce(was_active(active.days, met.registered_on + 1), false) AS is_on_1,
    coalesce(was_active(active.days, met.registered_on + 7), false) AS is_on_7,
    coalesce(was_active(active.days, met.registered_on + 30), false) AS is_on_30,
    coalesce(met.registered_on + 1 BETWEEN $first_day AND $as_of, false) AS is_observed_1,
    coalesce(met.registered_on + 7 BETWEEN $first_day AND $as_of, false) AS is_observed_7,
    coalesce(met.registered_on + 30 BETWEEN $first_day AND $as_of, false) AS is_observed_30
FROM met
LEFT JOIN active ON met.user_id = active.user_id
LEFT JOIN checked_in ON met.user_id = checked_in.user_id
LEFT JOIN role_days ON met.role = role_days.role
ORDER BY campaign, user_id

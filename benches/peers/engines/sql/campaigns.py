"""Campaigns: whom they brought, and who of them stayed."""

from .terms import EVER, NEVER

KNOWN = (1, 7, 30)


def campaign_funnel(q):
    """Only users whose days after registering can be observed are looked up among the user days. Who registered on one day in
    one campaign, or in none, is counted together."""
    observed = lambda place: f"person.registered_on + {place} BETWEEN {q.f} AND {q.d}"
    ours, others = "cohort.campaign <> ''", "cohort.campaign = ''"
    sums = ", ".join(
        f"sum(CASE WHEN {whose} THEN cohort.{kind}_{place} ELSE 0 END) AS {prefix}{kind}_{place}"
        for prefix, whose in (("", ours), ("organic_", others)) for kind in ("seen", "known") for place in KNOWN)
    counts = [f"{prefix}{kind}_{n}" for prefix in ("", "organic_") for kind in ("seen", "known") for n in KNOWN]
    cents = "cost + coalesce(completed.users, 0) * reward"
    shares = [f"{q.rate(f'{prefix}seen_{n}', f'{prefix}known_{n}')} AS {prefix}d{n}" for prefix in ("", "organic_") for n in KNOWN]
    return f"""
        WITH person AS (SELECT user_id, campaign, invited_by, registered_on FROM users WHERE NOT is_internal),
        term AS (
            SELECT campaign, coalesce(start_on, {EVER}) AS start_on, coalesce(end_on, {NEVER}) AS end_on, cost,
                coalesce(reward, 0) AS reward, coalesce(streak_days, 15) AS streak_days
            FROM campaigns
            UNION ALL
            SELECT named.campaign AS campaign, {EVER} AS start_on, {NEVER} AS end_on, NULL AS cost, NULL AS reward, 15 AS streak_days
            FROM (SELECT DISTINCT campaign FROM person WHERE campaign <> '') AS named
            LEFT JOIN (SELECT campaign AS known FROM campaigns) AS listed ON named.campaign = listed.known WHERE listed.known IS NULL
        ),
        back AS (
            SELECT person.user_id AS user_id, max(CASE WHEN used.day <= person.registered_on + 6 THEN 1 ELSE 0 END) AS activated,
                {', '.join(f'max(CASE WHEN used.day = person.registered_on + {n} THEN 1 ELSE 0 END) AS seen_{n}' for n in KNOWN)}
            FROM user_day AS used
            INNER JOIN (SELECT * FROM person WHERE registered_on BETWEEN {q.f - 30} AND {q.d}) AS person
                ON used.user_id = person.user_id
            WHERE used.human_events > 0 AND used.day >= person.registered_on AND used.day <= person.registered_on + 30
            GROUP BY person.user_id
        ),
        cohort AS (
            SELECT person.campaign AS campaign, person.registered_on AS registered_on, count(*) AS users,
                sum(coalesce(back.activated, 0)) AS activated,
                {', '.join(f'sum(coalesce(back.seen_{n}, 0)) AS seen_{n}' for n in KNOWN)},
                {', '.join(f'sum(CASE WHEN {observed(n)} THEN 1 ELSE 0 END) AS known_{n}' for n in KNOWN)}
            FROM person LEFT JOIN back ON person.user_id = back.user_id GROUP BY person.campaign, person.registered_on
        ),
        retained AS (
            SELECT term.campaign AS campaign, sum(CASE WHEN {ours} THEN cohort.users ELSE 0 END) AS acquired,
                sum(CASE WHEN {ours} THEN cohort.activated ELSE 0 END) AS activated, {sums}
            FROM term CROSS JOIN cohort
            WHERE term.campaign = cohort.campaign
                OR ({others} AND cohort.registered_on >= term.start_on AND cohort.registered_on <= term.end_on)
            GROUP BY term.campaign
        ),
        invitation AS (
            SELECT campaign, count(*) AS invited, count(DISTINCT invited_by) AS inviters
            FROM person WHERE campaign <> '' AND invited_by <> '' GROUP BY campaign
        ),
        checked_in AS (
            SELECT DISTINCT term.campaign AS campaign, term.streak_days AS streak_days, used.user_id AS user_id, used.day AS day
            FROM (SELECT * FROM user_day WHERE check_ins > 0) AS used
            INNER JOIN person ON used.user_id = person.user_id
            INNER JOIN term ON person.campaign = term.campaign
            WHERE used.day >= term.start_on AND used.day <= term.end_on
        ),
        numbered AS (
            SELECT campaign, streak_days, user_id,
                day - row_number() OVER (PARTITION BY campaign, user_id ORDER BY day) AS streak
            FROM checked_in
        ),
        completed AS (
            SELECT campaign, count(DISTINCT user_id) AS users
            FROM (
                SELECT campaign, user_id FROM numbered
                GROUP BY campaign, user_id, streak, streak_days HAVING count(*) >= streak_days
            ) AS streak_of
            GROUP BY campaign
        ),
        funnel AS (
            SELECT term.campaign AS name, coalesce(retained.acquired, 0) AS acquired, coalesce(invitation.inviters, 0) AS inviters,
                coalesce(invitation.invited, 0) AS invited, coalesce(retained.activated, 0) AS activated,
                coalesce(completed.users, 0) AS streak_completed, cost, coalesce(completed.users, 0) * reward AS reward_cost,
                {cents} AS cents, {', '.join(counts)}
            FROM term
            LEFT JOIN retained ON term.campaign = retained.campaign
            LEFT JOIN invitation ON term.campaign = invitation.campaign
            LEFT JOIN completed ON term.campaign = completed.campaign
        )
        SELECT name AS campaign, acquired, inviters, invited, {q.rate('invited', 'inviters')} AS k_factor, activated,
            streak_completed, cost, reward_cost, {q.rate('cents', '(100 * acquired)')} AS cost_per_acquired,
            {q.rate('cents', '(100 * seen_30)')} AS cost_per_retained,
            {', '.join(shares)}
        FROM funnel ORDER BY 1"""

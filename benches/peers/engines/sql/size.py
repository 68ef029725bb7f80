"""How large organisations are, how many there are, and which of those that are wanted."""

from .terms import TIERS, milestones as thresholds


def org_size_tiers(q):
    """Of each month's end and of the year before, the few rows that hold on the day."""
    tiers = ", ".join(f"sum(CASE WHEN headcount >= {tier} THEN orgs ELSE 0 END) AS {{name}}_{tier}" for tier in TIERS)
    counted = lambda name: f"""
        SELECT month, {tiers.format(name=name)} FROM {name} GROUP BY month"""
    of_tier = lambda name: "coalesce(CASE tier.tier " + " ".join(f"WHEN {t} THEN {name}_{t}" for t in TIERS) + " END, 0)"
    return f"""
        WITH present AS (
            SELECT month.month AS month, org.headcount AS headcount, 1 AS orgs
            FROM orgs AS org
            INNER JOIN org_registration AS registered ON org.org_id = registered.org_id
            INNER JOIN month ON month.as_at >= org.valid_from AND month.as_at <= org.valid_until
                AND month.as_at >= registered.registered_on
            WHERE org.headcount >= {TIERS[0]}
        ),
        earlier AS (
            SELECT month.month AS month, org.headcount AS headcount, 1 AS orgs
            FROM orgs AS org
            INNER JOIN month ON month.year_before >= org.valid_from AND month.year_before <= org.valid_until
                AND month.year_before >= coalesce(org.registered_on, org.valid_from)
            WHERE org.headcount >= {TIERS[0]}
        ),
        present_tier AS ({counted('present')}),
        earlier_tier AS ({counted('earlier')}),
        counted AS (
            SELECT month.first_day AS first_day, month.last_day AS last_day, tier.tier AS tier, {of_tier('present')} AS orgs,
                {of_tier('earlier')} AS before
            FROM month CROSS JOIN (SELECT * FROM {q.values([(tier,) for tier in TIERS], ['tier'])}) AS tier
            LEFT JOIN present_tier ON month.month = present_tier.month
            LEFT JOIN earlier_tier ON month.month = earlier_tier.month
        )
        SELECT {q.to_date('first_day')} AS month, tier AS min_headcount, orgs, before AS orgs_year_before,
            {q.change_rate('orgs - before', 'before')} AS growth,
            CASE WHEN last_day <= {q.d} THEN 1 ELSE 0 END AS is_complete
        FROM counted ORDER BY 1, 2"""


def milestones(q):
    """The first active day is looked up only for the few ids that no file gives a date."""
    dated = lambda entity, key, file, table: f"""
        SELECT '{entity}' AS entity, {key} AS id, min(registered_on) AS day FROM {file} AS listed
        GROUP BY {key} HAVING min(registered_on) IS NOT NULL
        UNION ALL
        SELECT '{entity}' AS entity, used.{key} AS id, min(used.day) AS day
        FROM {table} AS used
        LEFT JOIN (SELECT {key} AS known FROM {file} AS listed WHERE registered_on IS NOT NULL) AS dated ON used.{key} = dated.known
        WHERE dated.known IS NULL GROUP BY used.{key}"""
    return f"""
        WITH dated AS (
            {dated('org', 'org_id', 'orgs', 'org_day')}
            UNION ALL
            {dated('user', 'user_id', '(SELECT * FROM users WHERE NOT is_internal)', '(SELECT * FROM user_day WHERE human_events > 0)')}
        ),
        come AS (SELECT entity, day, count(*) AS ids FROM dated WHERE day <= {q.d} GROUP BY entity, day),
        so_far AS (SELECT entity, day, ids, sum(ids) OVER (PARTITION BY entity ORDER BY day) AS reached FROM come),
        passed AS (
            SELECT so_far.entity AS entity, listed.threshold AS threshold, so_far.day AS day
            FROM so_far
            INNER JOIN (SELECT * FROM {q.values([(number,) for number in thresholds()], ['threshold'])}) AS listed
                ON listed.threshold <= so_far.reached AND listed.threshold > so_far.reached - so_far.ids
        )
        SELECT entity, threshold, {q.to_date('passed.day')} AS reached_on,
            passed.day - lag(passed.day) OVER (PARTITION BY entity ORDER BY threshold) AS days_since_previous
        FROM passed ORDER BY 1, 2"""


def account_list_penetration(q):
    return f"""
        WITH recent AS (SELECT org_id, max(is_dag) AS dag FROM org_day WHERE day >= {q.d - 27} GROUP BY org_id),
        counted AS (
            SELECT list, count(*) AS accounts, sum(registered) AS registered, sum(active) AS active, sum(dag) AS dag,
                sum(deep) AS deep
            FROM (
                SELECT listed.list AS list, listed.account AS account,
                    max(CASE WHEN registered.org_id IS NULL THEN 0 ELSE 1 END) AS registered,
                    max(CASE WHEN recent.org_id IS NULL THEN 0 ELSE 1 END) AS active, max(coalesce(recent.dag, 0)) AS dag,
                    max(CASE WHEN deep.org_id IS NULL THEN 0 ELSE 1 END) AS deep
                FROM account_lists AS listed
                LEFT JOIN org_registration AS registered ON listed.org_id = registered.org_id
                LEFT JOIN recent ON listed.org_id = recent.org_id
                LEFT JOIN (SELECT * FROM deep_window WHERE until_day = {q.d} AND level = 5) AS deep
                    ON listed.org_id = deep.org_id
                GROUP BY listed.list, listed.account
            ) AS of_account
            GROUP BY list
        )
        SELECT list, accounts, registered, active AS active_28d, dag AS dag_28d, deep, {q.rate('active', 'accounts')} AS penetration
        FROM counted ORDER BY 1"""

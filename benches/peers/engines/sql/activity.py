"""Who is active, stays, grows and leaves."""


def daily_activity(q):
    columns, running = [], []
    for entity, (now, week, month) in (
        ("user", ("dau", "wau", "mau")),
        ("org", ("active_orgs", "active_orgs_7d", "active_orgs_28d")),
        ("dag", ("dag", "dag_7d", "dag_28d")),
    ):
        columns.append(f"""
            coalesce(sum(CASE WHEN entity = '{entity}' THEN active END), 0) AS {now},
            coalesce(sum(CASE WHEN entity = '{entity}' THEN in_7 END), 0) AS {week},
            coalesce(sum(CASE WHEN entity = '{entity}' THEN in_28 END), 0) AS {month}""")
        running += [now, f"sum({week}) OVER (ORDER BY day) AS {week}", f"sum({month}) OVER (ORDER BY day) AS {month}"]
    return f"""
        WITH change AS (
            SELECT p AS day, entity, active, enter_7 AS in_7, fresh + back_28 AS in_28 FROM flow WHERE grain = 'day'
            UNION ALL
            SELECT p + 7 AS day, entity, 0 AS active, -leave_7 AS in_7, 0 AS in_28 FROM flow WHERE grain = 'day'
            UNION ALL
            SELECT p + 28 AS day, entity, 0 AS active, 0 AS in_7, -leave_28 AS in_28 FROM flow WHERE grain = 'day'
        ),
        deep_change AS (
            SELECT from_day AS day, sum(CASE WHEN level = 5 THEN 1 ELSE -1 END) AS orgs FROM deep_move
            WHERE level = 5 OR previous_level = 5 GROUP BY from_day
        ),
        summed AS (SELECT day, {', '.join(columns)} FROM change GROUP BY day),
        daily AS (
            SELECT days.day AS day, {', '.join(f'coalesce({c}, 0) AS {c}' for c in (
                'dau', 'wau', 'mau', 'active_orgs', 'active_orgs_7d', 'active_orgs_28d', 'dag', 'dag_7d',
                'dag_28d'))}, coalesce(deep_change.orgs, 0) AS deep_orgs
            FROM days LEFT JOIN summed ON days.day = summed.day LEFT JOIN deep_change ON days.day = deep_change.day
        ),
        rolled AS (
            SELECT day, {', '.join(running)}, sum(deep_orgs) OVER (ORDER BY day) AS deep_orgs FROM daily
        )
        SELECT {q.to_date('day')} AS day, dau, wau, mau, active_orgs, active_orgs_7d, active_orgs_28d, dag, dag_7d, dag_28d,
            deep_orgs, {q.rate('dau', 'mau')} AS stickiness, {q.rate('dag', 'dag_28d')} AS dag_stickiness,
            day >= {q.f + 6} AS is_complete_7d, day >= {q.f + 27} AS is_complete_28d
        FROM rolled ORDER BY 1"""


def retention(q, entity):
    return f"""
        SELECT grain, {q.to_date('cohort_day')} AS cohort, age AS period, cohort_size, seen AS "on", on_or_after,
            on_or_before, {q.rate('seen', 'cohort_size')} AS on_rate,
            {q.rate('on_or_after', 'cohort_size')} AS on_or_after_rate, is_complete,
            {q.to_date('mature_on')} AS mature_on
        FROM retention WHERE entity = '{entity}' ORDER BY 1, 2, 3"""


def retention_summary(q):
    return f"""
        SELECT entity, grain, age AS period, cohorts, size AS cohort_size, seen_all AS "on",
            {q.rate('seen_all', 'size')} AS on_rate
        FROM (
            SELECT entity, grain, age, count(*) AS cohorts, sum(cohort_size) AS size, sum(seen) AS seen_all
            FROM retention WHERE is_complete = 1 GROUP BY entity, grain, age
        ) AS pooled ORDER BY 1, 2, 3"""


def growth_accounting(q):
    return f"""
        WITH entities AS (SELECT * FROM {q.values([('dag',), ('org',), ('user',)], ['entity'])}),
        calendar AS (
            SELECT entities.entity AS entity, period.grain AS grain, period.p AS p, period.first_day AS first_day,
                period.last_day AS last_day
            FROM entities CROSS JOIN period
        ),
        by_period AS (
            SELECT calendar.entity AS entity, calendar.grain AS grain, calendar.first_day AS period_start,
                coalesce(f.active, 0) AS active, coalesce(f.fresh, 0) AS fresh, coalesce(f.back, 0) AS back,
                coalesce(b.leaving, 0) AS churned,
                CASE WHEN calendar.first_day >= {q.f} AND calendar.last_day <= {q.d} THEN 1 ELSE 0 END AS is_complete
            FROM calendar
            LEFT JOIN flow AS f ON f.grain = calendar.grain AND f.entity = calendar.entity AND f.p = calendar.p
            LEFT JOIN (SELECT grain, entity, p + 1 AS p, leaving FROM flow) AS b
                ON b.grain = calendar.grain AND b.entity = calendar.entity AND b.p = calendar.p
        ),
        by_day AS (
            SELECT calendar.entity AS entity, calendar.p AS p, coalesce(f.fresh, 0) AS fresh,
                coalesce(f.back_28, 0) AS back, coalesce(b.leave_28, 0) AS churned
            FROM calendar
            LEFT JOIN flow AS f ON f.grain = calendar.grain AND f.entity = calendar.entity AND f.p = calendar.p
            LEFT JOIN (SELECT grain, entity, p + 28 AS p, leave_28 FROM flow) AS b
                ON b.grain = calendar.grain AND b.entity = calendar.entity AND b.p = calendar.p
            WHERE calendar.grain = 'day'
        ),
        moved AS (
            SELECT entity, grain, period_start, active, fresh, back, churned, is_complete FROM by_period
            UNION ALL
            SELECT entity, 'trailing_28' AS grain, p AS period_start,
                sum(fresh + back - churned) OVER (PARTITION BY entity ORDER BY p) AS active, fresh, back, churned,
                CASE WHEN p >= {q.f + 27} THEN 1 ELSE 0 END AS is_complete
            FROM by_day
        )
        SELECT entity, grain, {q.to_date('period_start')} AS period_start, active, fresh AS "new",
            active - fresh - back AS retained, back AS resurrected, churned,
            {q.rate('fresh + back', 'churned')} AS quick_ratio, is_complete
        FROM moved ORDER BY 1, 2, 3"""


def stickiness(q):
    return f"""
        WITH counted AS (
            SELECT entity, days_active, count(*) AS entities FROM active_28 GROUP BY entity, days_active
        ),
        grid AS (
            SELECT entity, days_active FROM (SELECT * FROM {q.values([('dag',), ('org',), ('user',)], ['entity'])}) AS e
            CROSS JOIN (SELECT * FROM {q.values([(n,) for n in range(1, 29)], ['days_active'])}) AS n
        )
        SELECT grid.entity AS entity, grid.days_active AS days_active, coalesce(counted.entities, 0) AS entities,
            sum(coalesce(counted.entities, 0)) OVER (
                PARTITION BY grid.entity ORDER BY grid.days_active DESC
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS at_least,
            {1 if q.d >= q.f + 27 else 0} AS is_complete
        FROM grid
        LEFT JOIN counted ON grid.entity = counted.entity AND grid.days_active = counted.days_active
        ORDER BY 1, 2"""


def dormant_orgs(q):
    """A user stays in the trailing window for 28 days, so only gaps of 28 days and more change the number of users. Two days
    in one block of 28 are never that far apart: the first and last day of each block tell all gaps."""
    edges = trailing(q, "seat.org_id", "seat.user_id", "user_day AS seat INNER JOIN dormant ON seat.org_id = dormant.org_id")
    return f"""
        WITH dormant AS (
            SELECT org_id, max(day) AS last_active_on FROM org_day GROUP BY org_id HAVING max(day) <= {q.d - 28}
        ),
        {edges},
        peak AS (
            SELECT org_id, max(held) AS users FROM (
                SELECT org_id, sum(step) OVER (PARTITION BY org_id ORDER BY day) AS held FROM change_day
            ) AS held_by GROUP BY org_id
        )
        SELECT dormant.org_id AS org_id, coalesce(org.name, '') AS name, {q.to_date('dormant.last_active_on')} AS last_active_on,
            {q.d} - dormant.last_active_on AS days_inactive, peak.users AS peak_28d_users, deep.level AS deep_level_before
        FROM dormant
        INNER JOIN peak ON dormant.org_id = peak.org_id
        INNER JOIN deep_window AS deep
            ON dormant.org_id = deep.org_id AND dormant.last_active_on >= deep.from_day
            AND dormant.last_active_on <= deep.until_day
        LEFT JOIN (SELECT * FROM orgs WHERE valid_from <= {q.d} AND valid_until >= {q.d}) AS org ON dormant.org_id = org.org_id
        ORDER BY 1"""


def trailing(q, org, member, table):
    """`change_day` (org_id, day, step): by how many the members that an organisation has in the trailing 28 days change."""
    neighbour = lambda name, column: f"{name}({column}) OVER (PARTITION BY org_id, member ORDER BY first_day)"
    block = q.idiv(f"{q.d} - day", "28")
    return f"""block AS (
            SELECT {org} AS org_id, {member} AS member, min(day) AS first_day, max(day) AS last_day
            FROM {table} WHERE {org} <> '' AND human_events > 0 GROUP BY {org}, {member}, {block}
        ),
        neighboured AS (
            SELECT org_id, first_day, last_day, {neighbour('lag', 'last_day')} AS day_before,
                {neighbour('lead', 'first_day')} AS day_after
            FROM block
        ),
        change_day AS (
            SELECT org_id, day, sum(step) AS step
            FROM (
                SELECT org_id, first_day AS day, 1 AS step FROM neighboured
                WHERE day_before IS NULL OR first_day - day_before >= 28
                UNION ALL
                SELECT org_id, last_day + 28 AS day, -1 AS step FROM neighboured
                WHERE day_after IS NULL OR day_after - last_day >= 28
            ) AS change
            WHERE day <= {q.d} GROUP BY org_id, day
        )"""


def weekday_comparison(q):
    compared = "day_before >= day - 56"
    return f"""
        WITH work_day AS (
            SELECT days.day AS day FROM days LEFT JOIN calendar ON days.day = calendar.day
            WHERE coalesce(calendar.is_work_day, CASE WHEN (days.day + 3) % 7 < 5 THEN 1 ELSE 0 END) = 1
        ),
        measured AS (
            SELECT work_day.day AS day, part.measure AS measure, coalesce(flow.active, 0) AS measured
            FROM work_day
            CROSS JOIN (
                SELECT * FROM {q.values([('active_orgs', 'org'), ('dag', 'dag'), ('dau', 'user')], ['measure', 'entity'])}
            ) AS part
            LEFT JOIN (SELECT * FROM flow WHERE grain = 'day') AS flow ON flow.entity = part.entity AND flow.p = work_day.day
        ),
        neighboured AS (
            SELECT day, measure, measured, lag(day) OVER (PARTITION BY measure, day % 7 ORDER BY day) AS day_before,
                lag(measured) OVER (PARTITION BY measure, day % 7 ORDER BY day) AS measured_before
            FROM measured
        ),
        compared AS (
            SELECT day, measure, measured, CASE WHEN {compared} THEN day_before END AS day_before,
                CASE WHEN {compared} THEN measured_before END AS measured_before
            FROM neighboured
        )
        SELECT {q.to_date('compared.day')} AS day, measure, measured AS "value", {q.to_date('day_before')} AS compared_on,
            measured_before AS compared_value, measured - measured_before AS difference,
            {q.change_rate('measured - measured_before', 'measured_before')} AS change_rate
        FROM compared ORDER BY 1, 2"""

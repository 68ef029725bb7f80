"""The metrics in SQL, shared by the peers that speak it.

Days are integers (days since 1970-01-01), durations milliseconds, rates millionths: integers are the fastest type in all
of these engines, and the same arithmetic works in each. The plan is the best one that we know for a column engine:

- `visit` holds each active day of a user, organisation or DAG organisation with the active day before and after it, made
  by one aggregation into sorted lists where the engine has them, by a window otherwise. Everything that looks back (windows, retention,
  growth) is a small aggregation over it; no day is joined with the 28 days around it, and no distinct count is repeated.
- `cell` is that aggregation: counts by grain, cohort and period. The tables of retention and growth come from its few
  thousand rows.
- `deep_window` counts what changes (up on a day, down 28 days later) instead of looking back from every day.
"""

from datetime import date, timedelta

EPOCH = date(1970, 1, 1)
COUNTERS = ["active", "eligible", "production", "store", "process", "flow", "decide", "systems"]
LIMITS = {"day": 30, "month": 12, "week": 26}
ORG_MIN_USAGE_MS, APP_MIN_USAGE_MS, MIN_APPS, MIN_USERS = 600_000, 60_000, 3, 1

METRICS = [
    "daily_activity", "user_retention", "org_retention", "dag_retention", "retention_summary", "growth_accounting",
    "stickiness", "dag_orgs", "dag_near_misses", "dag_sensitivity", "deep_integration_levels",
    "deep_integration_orgs", "data_quality",
]


def number(day):
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def month_of(day):
    return day.year * 12 + day.month - 1


def week_of(day):
    return (number(day) + 3) // 7


def periods(first, last):
    """All periods of the observed range: grain, number, first and last day."""
    rows = []
    for grain, number_of in (("day", number), ("week", week_of), ("month", month_of)):
        for place in range(number_of(first), number_of(last) + 1):
            if grain == "day":
                begin, end = place, place
            elif grain == "week":
                begin, end = place * 7 - 3, place * 7 + 3
            else:
                begin = number(date(place // 12, place % 12 + 1, 1))
                end = number(date((place + 1) // 12, (place + 1) % 12 + 1, 1)) - 1
            rows.append((grain, place, begin, end))
    return rows


def sent_again(events):
    """The few (day, event_id) that were sent more than once: a narrow aggregation, before anything wide is touched."""
    return f"SELECT day, event_id FROM {events} AS e WHERE event_id <> '' GROUP BY day, event_id HAVING count(*) > 1"


def deduplicated(events, columns):
    """All events whose id is not in `sent_again` pass through; only the others are aggregated. Copies are equal, so any of
    them may win. Compared with DISTINCT ON over all events this is 1.1 times as fast in DuckDB and 9 times in DataFusion; a
    window (row_number) is slower in both."""
    names = ", ".join(columns)
    again = "EXISTS (SELECT 1 FROM sent_again AS s WHERE s.day = e.day AND s.event_id = e.event_id)"
    return f"""
        SELECT {names} FROM {events} AS e WHERE NOT {again}
        UNION ALL
        SELECT DISTINCT ON (day, event_id) {names} FROM (SELECT {names} FROM {events} AS e WHERE {again}) AS r"""


class Dialect:
    """What differs between the engines. `first` and `last` are the observed range."""

    materialised = "CREATE TEMP TABLE {name} AS {query}"

    def __init__(self, first, last):
        self.first, self.last = first, last
        self.f, self.d = number(first), number(last)

    def idiv(self, a, b):
        raise NotImplementedError

    def to_date(self, days):
        raise NotImplementedError

    def month(self, days):
        raise NotImplementedError

    def values(self, rows, columns):
        body = ", ".join("(" + ", ".join(f"'{v}'" if isinstance(v, str) else str(v) for v in row) + ")" for row in rows)
        return f"(VALUES {body}) AS listed ({', '.join(columns)})"

    def text(self, number_):
        return f"CAST({number_} AS VARCHAR)"

    def rate(self, a, b):
        """Millionths, half away from zero (nothing here is negative)."""
        return f"CASE WHEN {b} > 0 THEN {self.idiv(f'2000000 * ({a}) + {b}', f'2 * ({b})')} END"

    def week(self, days):
        return self.idiv(f"({days} + 3)", "7")

    def visits(self):
        """Statements that make `visit` (entity, day, previous, next_day, first_day) and `active_28`."""
        raise NotImplementedError

    def unknown_users(self):
        """Ids of a day that the users file lacks: the distinct ids are looked up once, not on each day."""
        return """
            SELECT used.day AS day, 'unknown_user' AS rule, count(DISTINCT used.user_id) AS ids FROM user_day AS used
            INNER JOIN (
                SELECT ids.user_id AS user_id FROM (SELECT DISTINCT user_id FROM user_day) AS ids
                LEFT JOIN (SELECT user_id AS known FROM users) AS u ON ids.user_id = u.known WHERE u.known IS NULL
            ) AS lost ON used.user_id = lost.user_id
            GROUP BY used.day"""

    def concat(self, words):
        return f"concat_ws(';', {', '.join(words)})"


def states(q):
    """The states, in order: (name, query). `user_day`, `org_app_day`, `orgs`, `apps`, `users` exist as views."""
    yield "days", f"SELECT * FROM {q.values([(d,) for d in range(q.f, q.d + 1)], ['day'])}"
    yield "period", f"SELECT * FROM {q.values(periods(q.first, q.last), ['grain', 'p', 'first_day', 'last_day'])}"
    yield "org_day", f"""
        SELECT app.day AS day, app.org_id AS org_id, seat.users AS users, app.apps AS apps,
            app.apps_over_threshold AS apps_over_threshold, app.usage_ms AS usage_ms,
            CASE WHEN app.usage_ms >= {ORG_MIN_USAGE_MS} AND app.apps_over_threshold >= {MIN_APPS}
                AND seat.users >= {MIN_USERS} THEN 1 ELSE 0 END AS is_dag
        FROM (
            SELECT day, org_id, count(*) AS apps,
                sum(CASE WHEN usage_ms >= {APP_MIN_USAGE_MS} THEN 1 ELSE 0 END) AS apps_over_threshold,
                sum(usage_ms) AS usage_ms
            FROM org_app_day WHERE org_id <> '' AND human_events > 0 GROUP BY day, org_id
        ) AS app
        INNER JOIN (
            SELECT day, org_id, count(*) AS users FROM user_day WHERE org_id <> '' AND human_events > 0
            GROUP BY day, org_id
        ) AS seat ON app.day = seat.day AND app.org_id = seat.org_id"""


def cells(q):
    """Counts by entity, cohort and period, for each grain: what retention and growth are made of."""
    month = q.month
    for grain, place in (("day", lambda d: d), ("week", q.week), ("month", month)):
        only_day = ", ".join(
            f"sum(CASE WHEN {condition} THEN 1 ELSE 0 END) AS {name}" for name, condition in (
                ("enter_7", "previous IS NULL OR day - previous > 7"),
                ("leave_7", "next_day IS NULL OR next_day - day > 7"),
                ("back_28", "day - previous > 28"),
                ("leave_28", "next_day IS NULL OR next_day - day > 28"),
            )
        ) if grain == "day" else "0 AS enter_7, 0 AS leave_7, 0 AS back_28, 0 AS leave_28"
        yield f"cell_{grain}", f"""
            SELECT '{grain}' AS grain, entity, c, p,
                sum(CASE WHEN pp IS NULL OR pp < p THEN 1 ELSE 0 END) AS seen,
                sum(CASE WHEN pp = c AND p > c THEN 1 ELSE 0 END) AS returned,
                sum(CASE WHEN pn IS NULL THEN 1 ELSE 0 END) AS last_seen,
                sum(CASE WHEN pp < p - 1 THEN 1 ELSE 0 END) AS back,
                sum(CASE WHEN pn IS NULL OR pn > p + 1 THEN 1 ELSE 0 END) AS leaving,
                {only_day}
            FROM (
                SELECT entity, day, previous, next_day, {place('first_day')} AS c, {place('day')} AS p,
                    {place('previous')} AS pp, {place('next_day')} AS pn
                FROM visit
            ) AS placed
            GROUP BY entity, c, p"""
    yield "cell", "SELECT * FROM cell_day UNION ALL SELECT * FROM cell_week UNION ALL SELECT * FROM cell_month"
    yield "flow", """
        SELECT grain, entity, p, sum(seen) AS active, sum(CASE WHEN c = p THEN seen ELSE 0 END) AS fresh,
            sum(back) AS back, sum(leaving) AS leaving, sum(enter_7) AS enter_7, sum(leave_7) AS leave_7,
            sum(back_28) AS back_28, sum(leave_28) AS leave_28
        FROM cell GROUP BY grain, entity, p"""


def retention(q):
    """All cells of all three retention tables at once."""
    ages = q.values([(g, a) for g, limit in LIMITS.items() for a in range(limit + 1)], ["grain", "age"])
    # A table and not a cross join of grains and ages: DataFusion 55 loses `over.p = cohort.c + ages.age` where a join with
    # such a condition follows a cross join, and answers with too many rows.
    yield "age_of", f"SELECT * FROM {ages}"
    yield "retention", f"""
        WITH cohort AS (
            SELECT entity, grain, c, seen AS cohort_size FROM cell WHERE c = p
        ),
        aged AS (
            SELECT cell.entity AS entity, cell.grain AS grain, cell.c AS c, cell.p - cell.c AS age,
                seen, returned, last_seen
            FROM cell
        ),
        grid AS (
            SELECT cohort.entity AS entity, cohort.grain AS grain, cohort.c AS c, cohort.cohort_size AS cohort_size,
                ages.age AS age, begun.first_day AS cohort_day, over.last_day AS mature_on
            FROM cohort
            INNER JOIN age_of AS ages ON cohort.grain = ages.grain
            INNER JOIN period AS begun ON begun.grain = cohort.grain AND begun.p = cohort.c
            INNER JOIN period AS over ON over.grain = cohort.grain AND over.p = cohort.c + ages.age
        ),
        counted AS (
            SELECT grid.entity AS entity, grid.grain AS grain, grid.cohort_day AS cohort_day, grid.age AS age,
                grid.cohort_size AS cohort_size, grid.mature_on AS mature_on,
                coalesce(aged.seen, 0) AS seen,
                grid.cohort_size + coalesce(aged.last_seen, 0) - sum(coalesce(aged.last_seen, 0)) OVER (
                    PARTITION BY grid.entity, grid.grain, grid.c ORDER BY grid.age
                    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS on_or_after,
                sum(coalesce(aged.returned, 0)) OVER (
                    PARTITION BY grid.entity, grid.grain, grid.c ORDER BY grid.age
                    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS on_or_before
            FROM grid
            LEFT JOIN aged ON grid.entity = aged.entity AND grid.grain = aged.grain AND grid.c = aged.c
                AND grid.age = aged.age
        )
        SELECT entity, grain, cohort_day, age, cohort_size, mature_on,
            CASE WHEN mature_on <= {q.d} THEN 1 ELSE 0 END AS is_complete,
            CASE WHEN mature_on <= {q.d} THEN seen END AS seen,
            CASE WHEN mature_on <= {q.d} THEN on_or_after END AS on_or_after,
            CASE WHEN mature_on <= {q.d} AND age > 0 THEN on_or_before END AS on_or_before
        FROM counted"""


def deep(q):
    """`deep_window`, as rows that hold from a day until another."""
    yield "org_app", f"""
        SELECT used.org_id AS org_id, used.day AS day,
            CASE WHEN app.category IN ('communication', 'hr') THEN 0 ELSE 1 END AS eligible,
            coalesce(app.system, '') AS system,
            coalesce(app.store, 0) AS store, coalesce(app.process, 0) AS process,
            coalesce(app.flow, 0) AS flow, coalesce(app.decide, 0) AS decide
        FROM org_app_day AS used
        LEFT JOIN apps AS app
            ON used.app_id = app.app_id AND used.day >= app.valid_from AND used.day <= app.valid_until
        WHERE used.org_id <> '' AND used.human_events + used.machine_events > 0"""
    yield "deep_fact", """
        SELECT org_id, day, max(eligible) AS eligible, max(CASE WHEN system <> '' THEN 1 ELSE 0 END) AS production,
            max(store) AS store, max(process) AS process, max(flow) AS flow, max(decide) AS decide
        FROM org_app GROUP BY org_id, day"""
    yield "system_use", """
        SELECT org_id, day,
            lag(day) OVER (PARTITION BY org_id, system ORDER BY day) AS previous_day,
            lead(day) OVER (PARTITION BY org_id, system ORDER BY day) AS next_day
        FROM (SELECT DISTINCT org_id, system, day FROM org_app WHERE system <> '') AS used_system"""
    # None of the first seven counters passes 28, so all eight run in one 64-bit sum, six bits for each and the rest for the systems: one
    # window instead of eight.
    packed = " + ".join(f"CAST({name} AS BIGINT) * {64 ** place}" for place, name in enumerate(COUNTERS[1:-1], 1))
    counters = ", ".join([
        *(f"{q.idiv('packed', str(64 ** place))} % 64 AS {name}" for place, name in enumerate(COUNTERS[:-1])),
        f"{q.idiv('packed', str(64 ** 7))} AS systems"])
    yield "deep_window", f"""
        WITH fact AS (SELECT org_id, day, 1 + {packed} AS packed FROM deep_fact),
        change AS (
            SELECT org_id, day, packed FROM fact
            UNION ALL
            SELECT org_id, day + 28 AS day, -packed AS packed FROM fact WHERE day + 28 <= {q.d}
            UNION ALL
            SELECT org_id, day, CAST({64 ** 7} AS BIGINT) AS packed
            FROM system_use WHERE previous_day IS NULL OR day >= previous_day + 28
            UNION ALL
            SELECT org_id, day + 28 AS day, CAST(-{64 ** 7} AS BIGINT) AS packed
            FROM system_use WHERE (next_day IS NULL OR next_day >= day + 28) AND day + 28 <= {q.d}
        ),
        change_day AS (SELECT org_id, day, CAST(sum(packed) AS BIGINT) AS packed FROM change GROUP BY org_id, day),
        summed AS (
            SELECT org_id, day AS from_day, lead(day) OVER (PARTITION BY org_id ORDER BY day) AS next_from,
                CAST(sum(packed) OVER (PARTITION BY org_id ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS BIGINT)
                    AS packed
            FROM change_day
        ),
        counted AS (SELECT org_id, from_day, next_from, {counters} FROM summed),
        levelled AS (
            SELECT *,
                CASE WHEN active = 0 THEN 0 WHEN eligible = 0 THEN 1 WHEN production < 8 OR systems < 1 THEN 2
                    WHEN store < 4 OR process < 4 OR flow < 4 THEN 3 WHEN decide < 2 THEN 4 ELSE 5 END AS level
            FROM counted
        )
        SELECT org_id, from_day, coalesce(next_from - 1, {q.d}) AS until_day, level,
            lag(level) OVER (PARTITION BY org_id ORDER BY from_day) AS previous_level,
            systems, production, store, process, flow, decide
        FROM levelled"""
    # Two thirds of the rows keep the level of the row before; what counts levels needs only the others.
    yield "deep_move", "SELECT org_id, from_day, level, previous_level FROM deep_window " \
        "WHERE previous_level IS NULL OR level <> previous_level"
    yield "org_registration", f"""
        SELECT org_id, CASE WHEN registered_on < {q.f} THEN {q.f} ELSE registered_on END AS registered_on
        FROM (
            SELECT org_id, min(registered_on) AS registered_on
            FROM (
                SELECT org_id, min(day) AS registered_on FROM org_app_day WHERE org_id <> '' GROUP BY org_id
                UNION ALL
                SELECT org_id, min(coalesce(registered_on, -1000000)) AS registered_on FROM orgs GROUP BY org_id
            ) AS either
            GROUP BY org_id
        ) AS registered
        WHERE registered_on <= {q.d}"""


LEVELS = [(0, "inactive"), (1, "basic"), (2, "workflow"), (3, "connected"), (4, "data_loop"), (5, "deep")]


def metric(q, name):
    """The query of a metric's table."""
    day = q.to_date
    if name == "daily_activity":
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
            SELECT {day('day')} AS day, dau, wau, mau, active_orgs, active_orgs_7d, active_orgs_28d, dag, dag_7d, dag_28d,
                deep_orgs, {q.rate('dau', 'mau')} AS stickiness, {q.rate('dag', 'dag_28d')} AS dag_stickiness,
                day >= {q.f + 6} AS is_complete_7d, day >= {q.f + 27} AS is_complete_28d
            FROM rolled ORDER BY 1"""
    if name in ("user_retention", "org_retention", "dag_retention"):
        return f"""
            SELECT grain, {day('cohort_day')} AS cohort, age AS period, cohort_size, seen AS "on", on_or_after,
                on_or_before, {q.rate('seen', 'cohort_size')} AS on_rate,
                {q.rate('on_or_after', 'cohort_size')} AS on_or_after_rate, is_complete,
                {day('mature_on')} AS mature_on
            FROM retention WHERE entity = '{name.split('_')[0]}' ORDER BY 1, 2, 3"""
    if name == "retention_summary":
        return f"""
            SELECT entity, grain, age AS period, cohorts, size AS cohort_size, seen_all AS "on",
                {q.rate('seen_all', 'size')} AS on_rate
            FROM (
                SELECT entity, grain, age, count(*) AS cohorts, sum(cohort_size) AS size, sum(seen) AS seen_all
                FROM retention WHERE is_complete = 1 GROUP BY entity, grain, age
            ) AS pooled ORDER BY 1, 2, 3"""
    if name == "growth_accounting":
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
            SELECT entity, grain, {day('period_start')} AS period_start, active, fresh AS "new",
                active - fresh - back AS retained, back AS resurrected, churned,
                {q.rate('fresh + back', 'churned')} AS quick_ratio, is_complete
            FROM moved ORDER BY 1, 2, 3"""
    if name == "stickiness":
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
    if name == "dag_orgs":
        return f"""
            SELECT {day('active.day')} AS day, active.org_id AS org_id, coalesce(org.name, '') AS name,
                active.users AS users, active.apps AS apps, active.apps_over_threshold AS apps_over_threshold,
                active.usage_ms AS usage_seconds
            FROM org_day AS active
            LEFT JOIN orgs AS org
                ON active.org_id = org.org_id AND active.day >= org.valid_from AND active.day <= org.valid_until
            WHERE active.is_dag = 1 ORDER BY 1, 2"""
    if name == "dag_near_misses":
        return f"""
            WITH ruled AS (
                SELECT day, org_id,
                    CASE WHEN usage_ms < {ORG_MIN_USAGE_MS} THEN {ORG_MIN_USAGE_MS} - usage_ms ELSE 0 END AS usage_short,
                    CASE WHEN apps_over_threshold < {MIN_APPS} THEN {MIN_APPS} - apps_over_threshold ELSE 0 END
                        AS apps_short,
                    CASE WHEN users < {MIN_USERS} THEN {MIN_USERS} - users ELSE 0 END AS users_short
                FROM org_day
            )
            SELECT {day('missed.day')} AS day, missed.org_id AS org_id, coalesce(org.name, '') AS name,
                CASE WHEN usage_short > 0 THEN 'a' WHEN apps_short > 0 THEN 'b' ELSE 'c' END AS failed_rule,
                missed.apps_short AS apps_short, missed.usage_short AS usage_seconds_short
            FROM ruled AS missed
            LEFT JOIN orgs AS org
                ON missed.org_id = org.org_id AND missed.day >= org.valid_from AND missed.day <= org.valid_until
            WHERE CASE WHEN usage_short > 0 THEN 1 ELSE 0 END + CASE WHEN apps_short > 0 THEN 1 ELSE 0 END
                + CASE WHEN users_short > 0 THEN 1 ELSE 0 END = 1 AND apps_short <= 1
            ORDER BY 1, 2"""
    if name == "dag_sensitivity":
        steps = (0, 1, 2, 4, 8)
        app = sorted({(APP_MIN_USAGE_MS * s + 1) // 2 for s in steps})
        org = sorted({(ORG_MIN_USAGE_MS * s + 1) // 2 for s in steps})
        return f"""
            WITH grid AS (
                SELECT * FROM {q.values([(n, a, o) for n in range(1, 7) for a in app for o in org],
                                        ['min_apps', 'app_ms', 'org_ms'])}
            ),
            candidate AS (
                SELECT active.org_id AS org_id, active.usage_ms AS usage_ms, t.app_ms AS app_ms,
                    sum(CASE WHEN used.usage_ms >= t.app_ms THEN 1 ELSE 0 END) AS apps
                FROM (SELECT * FROM org_day WHERE day = {q.d} AND users >= {MIN_USERS}) AS active
                INNER JOIN (
                    SELECT org_id, usage_ms FROM org_app_day WHERE day = {q.d} AND human_events > 0
                ) AS used ON active.org_id = used.org_id
                CROSS JOIN (SELECT * FROM {q.values([(a,) for a in app], ['app_ms'])}) AS t
                GROUP BY active.org_id, active.usage_ms, t.app_ms
            )
            SELECT {day(str(q.d))} AS day, grid.min_apps AS min_apps, grid.app_ms AS app_min_usage_seconds,
                grid.org_ms AS org_min_usage_seconds,
                sum(CASE WHEN candidate.apps >= grid.min_apps AND candidate.usage_ms >= grid.org_ms THEN 1 ELSE 0 END)
                    AS dag
            FROM grid LEFT JOIN candidate ON grid.app_ms = candidate.app_ms
            GROUP BY grid.min_apps, grid.app_ms, grid.org_ms
            ORDER BY 1, 2, 3, 4"""
    if name == "deep_integration_levels":
        return f"""
            WITH move AS (
                SELECT m.from_day AS day, m.level AS level, coalesce(m.previous_level, 0) AS previous_level,
                    CASE WHEN m.previous_level IS NOT NULL OR r.registered_on < m.from_day THEN 1 ELSE 0 END
                        AS was_registered
                FROM deep_move AS m INNER JOIN org_registration AS r ON m.org_id = r.org_id
                WHERE m.level <> coalesce(m.previous_level, 0)
            ),
            turn AS (
                SELECT day, level, 1 AS entered, 0 AS gone FROM move
                UNION ALL
                SELECT day, previous_level AS level, 0 AS entered, 1 AS gone FROM move WHERE was_registered = 1
                UNION ALL
                SELECT r.registered_on AS day, 0 AS level, 1 AS entered, 0 AS gone
                FROM org_registration AS r
                LEFT JOIN (SELECT org_id, min(from_day) AS from_day FROM deep_move GROUP BY org_id) AS f
                    ON r.org_id = f.org_id AND r.registered_on = f.from_day
                WHERE f.from_day IS NULL
            ),
            turn_day AS (
                SELECT day, level, sum(entered) AS entered, sum(gone) AS gone FROM turn GROUP BY day, level
            ),
            daily AS (
                SELECT days.day AS day, n.level AS level, n.name AS name, coalesce(turn_day.entered, 0) AS entered,
                    coalesce(turn_day.gone, 0) AS gone
                FROM days CROSS JOIN (SELECT * FROM {q.values(LEVELS, ['level', 'name'])}) AS n
                LEFT JOIN turn_day ON days.day = turn_day.day AND n.level = turn_day.level
            )
            SELECT {day('daily.day')} AS day, level, name,
                sum(entered - gone) OVER (PARTITION BY level ORDER BY daily.day) AS orgs,
                CASE WHEN daily.day > {q.f} THEN entered END AS entered, CASE WHEN daily.day > {q.f} THEN gone END AS "left",
                CASE WHEN daily.day >= {q.f + 27} THEN 1 ELSE 0 END AS is_complete
            FROM daily ORDER BY 1, 2"""
    if name == "deep_integration_orgs":
        words = q.concat([
            f"CASE WHEN w.level = {level} AND w.{column} < {least} THEN '{word}' END" for level, column, least, word in (
                (2, "systems", 1, "systems"), (2, "production", 8, "production_days"), (3, "store", 4, "store_days"),
                (3, "process", 4, "process_days"), (3, "flow", 4, "flow_days"), (4, "decide", 2, "decide_days"))])
        return f"""
            SELECT w.org_id AS org_id, coalesce(org.name, '') AS name, w.level AS level, n.name AS level_name,
                {day('run.since')} AS since, w.systems AS systems, w.production AS production_days,
                w.store AS store_days, w.process AS process_days, w.flow AS flow_days, w.decide AS decide_days,
                {words} AS missing
            FROM (SELECT * FROM deep_window WHERE until_day = {q.d} AND level >= 2) AS w
            INNER JOIN (SELECT org_id, max(from_day) AS since FROM deep_move GROUP BY org_id) AS run
                ON w.org_id = run.org_id
            INNER JOIN (SELECT * FROM {q.values(LEVELS, ['level', 'name'])}) AS n ON w.level = n.level
            LEFT JOIN (SELECT * FROM orgs WHERE valid_from <= {q.d} AND valid_until >= {q.d}) AS org
                ON w.org_id = org.org_id
            ORDER BY 1"""
    if name == "data_quality":
        # `duplicate`, `late` and `rejected` are what ingest saw; the peers keep no such record.
        return f"""
            WITH accepted AS (
                SELECT days.day AS day, coalesce(a.events, 0) AS events FROM days
                LEFT JOIN (SELECT day, sum(events) AS events FROM org_app_day GROUP BY day) AS a ON days.day = a.day
            ),
            compared AS (
                SELECT day, events, lag(events) OVER (ORDER BY day) AS events_before FROM accepted
            ),
            finding AS (
                SELECT day, 'accepted' AS rule, events AS found FROM accepted
                UNION ALL
                SELECT day, rule, ids AS found FROM (
                    SELECT used.day AS day, 'unknown_org' AS rule, count(DISTINCT used.org_id) AS ids
                    FROM org_app_day AS used
                    LEFT JOIN (SELECT DISTINCT org_id AS known FROM orgs) AS o ON used.org_id = o.known
                    WHERE o.known IS NULL AND used.org_id <> '' GROUP BY used.day
                    UNION ALL {q.unknown_users()}
                    UNION ALL
                    SELECT used.day AS day, 'unknown_app' AS rule, count(DISTINCT used.app_id) AS ids
                    FROM org_app_day AS used
                    LEFT JOIN (SELECT DISTINCT app_id AS known FROM apps) AS a ON used.app_id = a.known
                    WHERE a.known IS NULL GROUP BY used.day
                ) AS unknown
                UNION ALL
                SELECT day, 'missing_day' AS rule, 1 AS found FROM accepted WHERE events = 0
                UNION ALL
                SELECT day, 'volume_change' AS rule, {q.rate('events', 'events_before')} AS found FROM compared
                WHERE events > 0 AND events_before > 0 AND (events > 3 * events_before OR 3 * events < events_before)
            )
            SELECT {day('finding.day')} AS day, rule AS "check", found AS value,
                CASE WHEN rule = 'accepted' THEN 'info' ELSE 'warning' END AS severity
            FROM finding ORDER BY 1, 2"""
    raise KeyError(name)


# Which states a metric reads, so that a run of some metrics makes no other state.
def needed(metrics):
    visit = {"daily_activity", "user_retention", "org_retention", "dag_retention", "retention_summary",
             "growth_accounting", "stickiness"}
    retained = {"user_retention", "org_retention", "dag_retention", "retention_summary"}
    deep_ones = {"daily_activity", "deep_integration_levels", "deep_integration_orgs"}
    return {
        "visit": bool(visit & set(metrics)),
        "retention": bool(retained & set(metrics)),
        "deep": bool(deep_ones & set(metrics)),
    }


def run(q, execute, write, metrics, clock):
    """Makes the states and writes each metric's table; `clock` notes when each was done."""
    need = needed(metrics)
    make = lambda name, query: execute(q.materialised.format(name=name, query=query))
    for name, query in states(q):
        make(name, query)
    clock("org_day")
    if need["visit"]:
        for statement in q.visits():
            execute(statement)
        clock("visit")
        for name, query in cells(q):
            make(name, query)
        clock("cell")
    if need["retention"]:
        for name, query in retention(q):
            make(name, query)
        clock("retention")
    if need["deep"]:
        for name, query in deep(q):
            make(name, query)
        clock("deep_window")
    for name in metrics:
        write(name, metric(q, name))
        clock(name)

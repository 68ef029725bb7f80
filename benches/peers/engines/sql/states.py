"""Who was active when: the states that windows, retention and growth are made of."""

from .terms import APP_MIN_USAGE_MS, LIMITS, MIN_APPS, MIN_USERS, ORG_MIN_USAGE_MS, calendar, months, periods


def states(q):
    """The states, in order: (name, query). The rollups and the dimensions exist as tables."""
    yield "days", f"SELECT * FROM {q.values(calendar(q.first, q.last), ['day', 'month', 'bit', 'seen_bits', 'next_bits'])}"
    yield "month", f"SELECT * FROM {q.values(months(q.first, q.last), ['month', 'first_day', 'last_day', 'as_at', 'year_before'])}"
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
        INNER JOIN org_users_day AS seat ON app.day = seat.day AND app.org_id = seat.org_id"""


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


def kept(q):
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

"""Deep integration over time, and who is registered."""

COUNTERS = ["active", "eligible", "production", "store", "process", "flow", "decide", "systems"]


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


def registered(q):
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

"""DuckDB."""

import os
from concurrent.futures import ThreadPoolExecutor

import duckdb

import sql
from common import COLUMNS, DIMENSIONS, ROLLUPS, batches, fresh, gather, inputs_of, main

SPECIES = "{event_id: 'VARCHAR', ts: 'TIMESTAMPTZ', user_id: 'VARCHAR', org_id: 'VARCHAR', app_id: 'VARCHAR', " \
    "action: 'VARCHAR', duration_ms: 'BIGINT', concurrent_id: 'VARCHAR'%s}"
ORDER = "org_id, user_id, app_id, ts"


def connect(job):
    connection = duckdb.connect()
    connection.execute(f"SET threads = {job['threads']}")
    connection.execute("SET timezone = 'UTC'")
    # The order of files and rows means nothing here, and keeping it costs DuckDB time and memory.
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET enable_progress_bar = false")
    if job.get("spill"):
        connection.execute(f"SET temp_directory = '{job['spill']}'")
    return connection


def source(job, files):
    """The logs as the store's columns. Types are given, nothing is sniffed."""
    listed = "[" + ", ".join(f"'{file}'" for file in files) + "]"
    kind, duration = job["format"], "coalesce(duration_ms, 0)"
    if kind == "parquet":
        table = f"read_parquet({listed})"
    elif kind == "csv":
        columns = SPECIES % ", client: 'VARCHAR'"
        table = f"read_csv({listed}, auto_detect = false, header = true, delim = ',', quote = '\"', escape = '\"', " \
            f"columns = {columns})"
    else:
        columns = SPECIES % ", duration_s: 'DECIMAL(18,6)'"
        # Some records give seconds.
        duration = "coalesce(duration_ms, CAST(round(duration_s * 1000) AS BIGINT), 0)"
        table = f"read_json({listed}, format = 'newline_delimited', columns = {columns})"
    return f"""
        SELECT coalesce(event_id, '') AS event_id, ts, coalesce(user_id, '') AS user_id, coalesce(org_id, '') AS org_id,
            app_id, coalesce(action, 'use') AS action, {duration} AS duration_ms,
            coalesce(concurrent_id, '') AS concurrent_id, CAST(ts AS DATE) AS day
        FROM {table}"""


def deduplicated(connection, events):
    connection.execute(f"CREATE TEMP TABLE sent_again AS {sql.events.sent_again(events)}")
    return sql.events.deduplicated(events, [*COLUMNS, "day"])


def ingest(job, clock):
    """One partitioned, sorted, deduplicated COPY."""
    connection, out = connect(job), job["events"]
    table = f"({source(job, inputs_of(job))})"
    if job["format"] != "parquet":
        # Text is parsed once, Parquet is read faster twice than kept.
        connection.execute(f"CREATE TEMP TABLE parsed AS {source(job, inputs_of(job))}")
        table = "parsed"
        clock("parse")
    connection.execute(f"""
        COPY (SELECT * FROM ({deduplicated(connection, table)}) ORDER BY day, {ORDER}) TO '{out}.parts'
        (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (day), WRITE_PARTITION_COLUMNS true)""")
    gather(out)
    clock("write")


HUMAN = "SELECT * FROM event WHERE is_human"


def day_tables(files):
    """Tables of some days in memory, then each rollup from them: the text is decoded once. The internal users are few: a hash join
    with them alone costs next to nothing."""
    yield "event", f"""
        SELECT e.day, e.org_id, e.app_id, e.user_id, e.action, e.duration_ms, e.concurrent_id,
            epoch_us(e.ts) - (e.day - DATE '1970-01-01') * {sql.sweep.DAY_US} AS begins, e.action <> 'push_received' AS counts,
            e.user_id <> '' AND e.action <> 'push_received' AND u.user_id IS NULL AS is_human
        FROM read_parquet({files}, hive_partitioning = false) AS e LEFT JOIN internal AS u ON e.user_id = u.user_id"""
    yield "seat", """
        SELECT day, org_id, user_id, count(*) AS events, count(*) FILTER (WHERE is_human) AS human_events,
            CAST(coalesce(sum(duration_ms) FILTER (WHERE is_human), 0) AS BIGINT) AS usage_ms,
            count(*) FILTER (WHERE is_human AND action = 'check_in') AS check_ins
        FROM event WHERE user_id <> '' GROUP BY day, org_id, user_id"""
    yield "app", sql.sweep.apps(HUMAN)
    yield "lasting", sql.sweep.lasting(HUMAN, "app")


def rollup_queries(q):
    return {
        "user_day": "SELECT * FROM seat ORDER BY day, org_id, user_id",
        "org_users_day": """
            SELECT day, org_id, count(*) AS users FROM seat WHERE org_id <> '' AND human_events > 0 GROUP BY day, org_id
            ORDER BY day, org_id""",
        "org_app_day": """
            SELECT day, org_id, app_id, count(*) AS events, count(*) FILTER (WHERE is_human) AS human_events,
                count(*) FILTER (WHERE user_id = '' AND counts) AS machine_events,
                CAST(coalesce(sum(duration_ms) FILTER (WHERE is_human), 0) AS BIGINT) AS usage_ms
            FROM event GROUP BY day, org_id, app_id ORDER BY day, org_id, app_id""",
        "app_user_day": """
            SELECT day, app_id, user_id, count(*) AS human_events, CAST(sum(duration_ms) AS BIGINT) AS usage_ms
            FROM event WHERE is_human GROUP BY day, app_id, user_id ORDER BY day, app_id, user_id""",
        "room_day": """
            SELECT day, org_id, app_id, concurrent_id, count(DISTINCT user_id) AS users, count(*) AS human_events,
                CAST(sum(duration_ms) AS BIGINT) AS usage_ms
            FROM event WHERE is_human AND concurrent_id <> '' GROUP BY day, org_id, app_id, concurrent_id
            ORDER BY day, org_id, app_id, concurrent_id""",
        "concurrency_day": sql.sweep.concurrency_day(q, "app", "lasting"),
    }


def rollups(job, clock, days=None):
    """A few days at a time: the hash tables stay small. The batches go to as many workers as there are threads, which keeps all
    cores busy also where a step of a query is not parallel."""
    connection, q = connect(job), Duck()
    connection.execute(f"CREATE TABLE internal AS SELECT user_id FROM read_parquet('{job['dims']}/users.parquet') WHERE is_internal")

    def one(batch):
        cursor, (number, listed) = connection.cursor(), batch
        for name, query in day_tables([file for files in listed.values() for file in files]):
            cursor.execute(f"CREATE TEMP TABLE {name} AS {query}")
        for name, query in rollup_queries(q).items():
            out = f"{job['rollups']}/{name}"
            cursor.execute(f"""
                COPY ({query}) TO '{out}.parts/{number}'
                (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (day), WRITE_PARTITION_COLUMNS true)""")
        cursor.close()

    for name in ROLLUPS:
        fresh(f"{job['rollups']}/{name}.parts")
    with ThreadPoolExecutor(job["threads"]) as workers:
        list(workers.map(one, enumerate(batches(job["events"], days))))
    for name in ROLLUPS:
        gather(f"{job['rollups']}/{name}", "*/day=*")
    clock("rollups")


class Duck(sql.dialect.Dialect):
    def idiv(self, a, b):
        return f"(({a}) // ({b}))"

    def to_date(self, days):
        return f"(DATE '1970-01-01' + CAST({days} AS INTEGER))"

    def from_date(self, day):
        return f"({day} - DATE '1970-01-01')"

    def month(self, days):
        at = f"(DATE '1970-01-01' + {days})"
        return f"(year({at}) * 12 + month({at}) - 1)"

    def wide(self, number_):
        return f"CAST({number_} AS HUGEINT)"

    def to_instant(self, microseconds):
        return f"make_timestamptz({microseconds})"

    def instant(self, ts):
        return f"strftime({ts}, '%Y-%m-%dT%H:%M:%S.%g+00:00')"

    def visits(self):
        """One aggregation into lists per entity, sorted, then unnested beside itself shifted by one: 1.5 times faster
        than lag and lead over a partition of text ids, which sorts all rows."""
        yield """
            CREATE TEMP TABLE listed AS
            SELECT 'user' AS entity, list_sort(list_distinct(list(day))) AS d FROM user_day
            WHERE human_events > 0 GROUP BY user_id
            UNION ALL
            SELECT 'org' AS entity, list_sort(list(day)) AS d FROM org_day GROUP BY org_id
            UNION ALL
            SELECT 'dag' AS entity, list_sort(list(day)) AS d FROM org_day WHERE is_dag = 1 GROUP BY org_id"""
        yield """
            CREATE TEMP TABLE visit AS
            SELECT entity, unnest(d) AS day, unnest(list_concat([NULL], d[:-2])) AS previous,
                unnest(d[2:]) AS next_day, d[1] AS first_day
            FROM listed"""
        yield f"""
            CREATE TEMP TABLE active_28 AS
            SELECT entity, days_active FROM (
                SELECT entity, len(list_filter(d, lambda x: x >= {self.d - 27})) AS days_active FROM listed
            ) WHERE days_active > 0"""


def open_tables(connection, job):
    for name in ROLLUPS:
        # Made a table once if the metrics read it several times.
        kind = "TABLE" if name in ("user_day", "org_app_day", "org_users_day") else "VIEW"
        connection.execute(f"""
            CREATE TEMP {kind} {name} AS SELECT * REPLACE (CAST(day - DATE '1970-01-01' AS INTEGER) AS day)
            FROM read_parquet('{job['rollups']}/{name}/*.parquet', hive_partitioning = false)""")
    for name in DIMENSIONS:
        connection.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM read_parquet('{job['dims']}/{name}.parquet')")


def metrics(job, clock):
    connection, out = connect(job), fresh(job["reports"])
    open_tables(connection, job)
    clock("read")
    write = lambda name, query: connection.execute(f"COPY ({query}) TO '{out}/{name}.csv' (FORMAT csv, HEADER)")
    sql.run(Duck(job["first"], job["last"]), connection.execute, write, job["metrics"], clock)


def day(job, clock):
    """A new day: its partition, its rollups, then all metrics. A late one: the day's sealed events join its new ones."""
    connection = connect(job)
    table = f"({source(job, inputs_of(job))})"
    sealed = f"{job['events']}/{job['day']}.parquet"
    if os.path.exists(sealed):
        table = f"(SELECT * FROM {table} UNION ALL BY NAME SELECT * FROM read_parquet('{sealed}', hive_partitioning = false))"
    fresh(job["events"])
    connection.execute(f"""
        COPY (SELECT * FROM ({deduplicated(connection, table)}) ORDER BY {ORDER}) TO '{sealed}.new' (FORMAT parquet, COMPRESSION zstd)""")
    os.replace(f"{sealed}.new", sealed)
    rollups(job, clock, [job["day"]])
    clock("ingest")
    metrics(job, clock)


if __name__ == "__main__":
    main({"ingest": ingest, "rollups": rollups, "metrics": metrics, "day": day})

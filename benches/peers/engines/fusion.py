"""DataFusion: the engine that orgpulse's own queries run on, as any user gets it from Python."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import datafusion
import pyarrow as pa

import common
import sql
from common import batches, fits, fresh, gather, main, memory

TEXT = pa.string()
EVENT = [("event_id", TEXT), ("ts", pa.timestamp("us", "UTC")), ("user_id", TEXT), ("org_id", TEXT), ("app_id", TEXT),
         ("action", TEXT), ("duration_ms", pa.int64()), ("concurrent_id", TEXT)]
ORDER = "org_id, user_id, app_id, ts"


def connect(job, partitions=None):
    config = datafusion.SessionConfig().with_target_partitions(partitions or job["threads"])
    config = config.set("datafusion.execution.parquet.compression", "zstd(3)")
    config = config.set("datafusion.execution.keep_partition_by_columns", "true")
    config = config.set("datafusion.execution.time_zone", "UTC")
    # Two thirds of the machine: enough never to spill where the others do not, and no way to be killed.
    runtime = datafusion.RuntimeEnvBuilder().with_disk_manager_os().with_fair_spill_pool(memory() * 2 // 3)
    return datafusion.SessionContext(config, runtime)


def execute(context, query):
    return context.sql(query).collect()


def source(context, job):
    logs, kind = job["logs"] + "/", job["format"]
    if kind == "parquet":
        context.register_parquet("logs", logs)
    else:
        schema = pa.schema([*EVENT, ("client", TEXT)])
        context.register_csv("logs", logs, schema=schema, has_header=True, file_extension=".csv")
    return f"""
        SELECT coalesce(event_id, '') AS event_id, ts, coalesce(user_id, '') AS user_id, coalesce(org_id, '') AS org_id,
            app_id, coalesce(action, 'use') AS action, coalesce(duration_ms, 0) AS duration_ms,
            coalesce(concurrent_id, '') AS concurrent_id, cast(ts AS DATE) AS day
        FROM logs"""


COLUMNS = [*common.COLUMNS, "day"]


def deduplicated(context, events):
    execute(context, f"CREATE TABLE sent_again AS {sql.events.sent_again(f'({events})')}")
    return sql.events.deduplicated(f"({events})", COLUMNS)


def ingest(job, clock):
    """One sorted, partitioned COPY of the deduplicated events."""
    context, out = connect(job), job["events"]
    events = source(context, job)
    if job["format"] != "parquet" and fits(job):
        # Text is parsed once and kept.
        execute(context, f"CREATE TABLE parsed AS {events}")
        events = "SELECT * FROM parsed"
        clock("parse")
    execute(context, f"""
        COPY (SELECT * FROM ({deduplicated(context, events)}) AS d ORDER BY day, {ORDER}) TO '{out}.parts/'
        STORED AS PARQUET PARTITIONED BY (day)""")
    gather(out)
    clock("write")


# Tables of some days in memory, then each rollup from them: the text is decoded once.
DAY_TABLES = {
    "event": f"""
        SELECT e.day AS day, e.org_id AS org_id, e.app_id AS app_id, e.user_id AS user_id, e.concurrent_id AS concurrent_id,
            e.duration_ms AS duration_ms, cast(e.ts AS BIGINT) - cast(cast(e.day AS INTEGER) AS BIGINT) * {sql.sweep.DAY_US} AS begins,
            CASE WHEN e.user_id <> '' AND e.action <> 'push_received' AND u.user_id IS NULL THEN 1 ELSE 0 END AS human,
            CASE WHEN e.user_id = '' AND e.action <> 'push_received' THEN 1 ELSE 0 END AS machine,
            CASE WHEN e.action = 'check_in' THEN 1 ELSE 0 END AS check_in
        FROM {{files}} AS e LEFT JOIN internal AS u ON e.user_id = u.user_id""",
    "seat": """
        SELECT day, org_id, user_id, count(*) AS events, sum(human) AS human_events, sum(human * duration_ms) AS usage_ms,
            sum(human * check_in) AS check_ins
        FROM {event} AS e WHERE user_id <> '' GROUP BY day, org_id, user_id""",
}
ROLLUPS = {
    "user_day": "SELECT * FROM {seat} AS s ORDER BY day, org_id, user_id",
    "org_users_day": """
        SELECT day, org_id, count(*) AS users FROM {seat} AS s WHERE org_id <> '' AND human_events > 0 GROUP BY day, org_id
        ORDER BY day, org_id""",
    "org_app_day": """
        SELECT day, org_id, app_id, count(*) AS events, sum(human) AS human_events, sum(machine) AS machine_events,
            sum(human * duration_ms) AS usage_ms
        FROM {event} AS e GROUP BY day, org_id, app_id ORDER BY day, org_id, app_id""",
    "app_user_day": """
        SELECT day, app_id, user_id, count(*) AS human_events, sum(duration_ms) AS usage_ms
        FROM {event} AS e WHERE human = 1 GROUP BY day, app_id, user_id ORDER BY day, app_id, user_id""",
    "room_day": """
        SELECT day, org_id, app_id, concurrent_id, count(*) AS users, sum(human_events) AS human_events, sum(usage_ms) AS usage_ms
        FROM (
            SELECT day, org_id, app_id, concurrent_id, user_id, count(*) AS human_events, sum(duration_ms) AS usage_ms
            FROM {event} AS e WHERE human = 1 AND concurrent_id <> '' GROUP BY day, org_id, app_id, concurrent_id, user_id
        ) AS seat GROUP BY day, org_id, app_id, concurrent_id ORDER BY day, org_id, app_id, concurrent_id""",
}


HUMAN = "SELECT * FROM {event} WHERE human = 1"


DAY_TABLES |= {"app": sql.sweep.apps(HUMAN), "lasting": sql.sweep.lasting(HUMAN, "{app}")}


def rollups(job, clock, days=None):
    """A few days at a time, as many batches as there are threads: no exchange between partitions, small hash tables."""
    context = connect(job, partitions=1)
    context.register_parquet("users_file", f"{job['dims']}/users.parquet")
    execute(context, "CREATE TABLE internal AS SELECT user_id FROM users_file WHERE is_internal")
    queries = {**ROLLUPS, "concurrency_day": sql.sweep.concurrency_day(Fusion(), "{app}", "{lasting}")}

    def one(batch):
        number, listed = batch
        # A folder is one table, read file by file; a union reads all at once, in several times the memory.
        folder = fresh(f"{job['rollups']}.batches/{number}")
        for file in (file for files in listed.values() for file in files):
            os.link(file, f"{folder}/{os.path.basename(file)}")
        context.register_parquet(f"files_{number}", f"{folder}/")
        names = {name: f"{name}_{number}" for name in ("files", *DAY_TABLES)}
        for name, query in DAY_TABLES.items():
            execute(context, f"CREATE TABLE {names[name]} AS {query.format(**names)}")
        for name, query in queries.items():
            execute(context, f"""
                COPY ({query.format(**names)}) TO '{job['rollups']}/{name}.parts/{number}/' STORED AS PARQUET PARTITIONED BY (day)""")
        for name in names.values():
            context.deregister_table(name)

    for name in queries:
        # Of no rows there is no part.
        fresh(f"{job['rollups']}/{name}.parts")
    with ThreadPoolExecutor(job["threads"]) as workers:
        list(workers.map(one, enumerate(batches(job["events"], days))))
    shutil.rmtree(f"{job['rollups']}.batches")
    for name in queries:
        gather(f"{job['rollups']}/{name}", "*/day=*")
    clock("rollups")


class Fusion(sql.dialect.Dialect):
    materialised = "CREATE TABLE {name} AS {query}"

    def idiv(self, a, b):
        return f"(({a}) / ({b}))"

    def to_date(self, days):
        return f"cast(cast({days} AS INTEGER) AS DATE)"

    def from_date(self, day):
        return f"cast(cast({day} AS INTEGER) AS BIGINT)"

    def month(self, days):
        at = f"cast(cast({days} AS INTEGER) AS DATE)"
        return f"cast(date_part('year', {at}) * 12 + date_part('month', {at}) - 1 AS BIGINT)"

    def wide(self, number_):
        return f"cast({number_} AS DECIMAL(38, 0))"

    def wide_idiv(self, a, b):
        # A quotient of decimals has decimals of its own, and a cast would round them.
        return f"cast((({a}) - ({a}) % ({b})) / ({b}) AS DECIMAL(38, 0))"

    def to_instant(self, microseconds):
        return f"arrow_cast({microseconds}, 'Timestamp(Microsecond, Some(\"UTC\"))')"

    def instant(self, ts):
        return f"to_char({ts}, '%Y-%m-%dT%H:%M:%S%.3f+00:00')"

    def visits(self):
        """The windows are over numbers instead of text ids: an id is looked up once by hash, and what is sorted is
        small. Lists (array_agg, unnest) are slower here."""
        yield "CREATE TABLE user_number AS SELECT user_id, row_number() OVER () AS id FROM " \
            "(SELECT DISTINCT user_id FROM user_day WHERE human_events > 0) AS u"
        yield "CREATE TABLE org_number AS SELECT org_id, row_number() OVER () AS id FROM " \
            "(SELECT DISTINCT org_id FROM org_day) AS o"
        yield """
            CREATE TABLE active AS
            SELECT DISTINCT 'user' AS entity, n.id AS id, u.day AS day
            FROM user_day AS u INNER JOIN user_number AS n ON u.user_id = n.user_id WHERE u.human_events > 0
            UNION ALL
            SELECT 'org' AS entity, n.id AS id, o.day AS day
            FROM org_day AS o INNER JOIN org_number AS n ON o.org_id = n.org_id
            UNION ALL
            SELECT 'dag' AS entity, n.id AS id, o.day AS day
            FROM org_day AS o INNER JOIN org_number AS n ON o.org_id = n.org_id WHERE o.is_dag = 1"""
        yield """
            CREATE TABLE visit AS
            SELECT entity, day, lag(day) OVER (PARTITION BY entity, id ORDER BY day) AS previous,
                lead(day) OVER (PARTITION BY entity, id ORDER BY day) AS next_day,
                first_value(day) OVER (PARTITION BY entity, id ORDER BY day) AS first_day
            FROM active"""
        yield f"""
            CREATE TABLE active_28 AS
            SELECT entity, count(*) AS days_active FROM active WHERE day >= {self.d - 27} GROUP BY entity, id"""


VIEW, COUNT = pa.string_view(), pa.int64()
TABLES = {
    "user_day": [("day", pa.date32()), ("org_id", VIEW), ("user_id", VIEW), ("events", COUNT), ("human_events", COUNT),
                 ("usage_ms", COUNT), ("check_ins", COUNT)],
    "org_app_day": [("day", pa.date32()), ("org_id", VIEW), ("app_id", VIEW), ("events", COUNT), ("human_events", COUNT),
                    ("machine_events", COUNT), ("usage_ms", COUNT)],
    "org_users_day": [("day", pa.date32()), ("org_id", VIEW), ("users", COUNT)],
    "app_user_day": [("day", pa.date32()), ("app_id", VIEW), ("user_id", VIEW), ("human_events", COUNT), ("usage_ms", COUNT)],
    "room_day": [("day", pa.date32()), ("org_id", VIEW), ("app_id", VIEW), ("concurrent_id", VIEW)],
    "concurrency_day": [("day", pa.date32()), ("app_id", VIEW), ("peak_users", COUNT), ("peak_at", pa.timestamp("us", "UTC")),
                        ("peak_rooms", COUNT), ("largest_room", COUNT)],
}
# Read several times; the others are read where they are asked for.
KEPT = {"user_day", "org_app_day", "org_users_day"}


def metrics(job, clock):
    context, out = connect(job), fresh(job["reports"])
    for name, columns in TABLES.items():
        context.register_parquet(f"{name}_files", f"{job['rollups']}/{name}/", schema=pa.schema(columns))
        others = ", ".join(column for column, _ in columns[1:])
        kind = "TABLE" if name in KEPT else "VIEW"
        execute(context, f"CREATE {kind} {name} AS SELECT cast(day AS INTEGER) AS day, {others} FROM {name}_files")
    for name in common.DIMENSIONS:
        context.register_parquet(f"{name}_file", f"{job['dims']}/{name}.parquet")
        execute(context, f"CREATE TABLE {name} AS SELECT * FROM {name}_file")
    clock("read")
    write = lambda name, query: execute(
        context, f"COPY ({query}) TO '{out}/{name}.csv' STORED AS CSV OPTIONS ('format.has_header' 'true')")
    sql.run(Fusion(job["first"], job["last"]), lambda query: execute(context, query), write, job["metrics"], clock)


def day(job, clock):
    context = connect(job)
    events = source(context, job)
    sealed = f"{job['events']}/{job['day']}.parquet"
    fresh(job["events"])
    if os.path.exists(sealed):
        context.register_parquet("sealed", sealed)
        columns = ", ".join(COLUMNS)
        events = f"SELECT {columns} FROM ({events}) AS n UNION ALL SELECT {columns} FROM sealed"
    query = f"SELECT * FROM ({deduplicated(context, events)}) AS d ORDER BY {ORDER}"
    execute(context, f"COPY ({query}) TO '{sealed}.new.parquet' STORED AS PARQUET")
    os.replace(f"{sealed}.new.parquet", sealed)
    rollups(job, clock, [job["day"]])
    clock("ingest")
    metrics(job, clock)


if __name__ == "__main__":
    main({"ingest": ingest, "rollups": rollups, "metrics": metrics, "day": day})

"""ClickHouse, in this process (chdb)."""

import os
import re
import tempfile

from chdb import session

import sql
from common import DIMENSIONS, ROLLUPS, batches, fits, fresh, main, memory

STRUCTURE = "event_id Nullable(String), ts DateTime64(6, \\'UTC\\'), user_id Nullable(String), org_id Nullable(String), " \
    "app_id String, action Nullable(String), duration_ms Nullable(Int64), concurrent_id Nullable(String)"
ORDER = "org_id, user_id, app_id, ts"
SETTINGS = {
    "session_timezone": "'UTC'",
    # NULL where an outer join finds nothing, as in SQL; a column wins over an alias of the same name.
    "join_use_nulls": 1,
    "cast_keep_nullable": 1,
    "prefer_column_name_to_alias": 1,
    "date_time_input_format": "'best_effort'",
    "input_format_skip_unknown_fields": 1,
    "input_format_json_read_numbers_as_strings": 1,
    "output_format_parquet_compression_method": "'zstd'",
    "output_format_parquet_string_as_string": 1,
    "max_partitions_per_insert_block": 0,
    "use_hive_partitioning": 0,
    "engine_file_truncate_on_insert": 1,
    "format_csv_null_representation": "''",
}


class Connection:
    def __init__(self, job):
        self.session = session.Session(tempfile.mkdtemp(dir=job["spill"]))
        # Large sorts and aggregations go to disk before the machine is full.
        spill = {f"max_bytes_before_external_{what}": memory() * 3 // 10 for what in ("sort", "group_by")}
        settings = {**SETTINGS, **spill, "max_threads": job["threads"]}
        self.session.query("SET " + ", ".join(f"{k} = {v}" for k, v in settings.items()))

    def __call__(self, query):
        return self.session.query(query, "CSV")


def source(job):
    pattern = f"{job['logs']}/*"
    duration = "coalesce(duration_ms, 0)"
    if job["format"] == "parquet":
        table = f"file('{pattern}', 'Parquet', '{STRUCTURE}')"
    elif job["format"] == "csv":
        table = f"file('{pattern}', 'CSVWithNames', '{STRUCTURE}, client Nullable(String)')"
    else:
        # Some records give seconds.
        duration = "coalesce(duration_ms, toInt64(duration_s * 1000), 0)"
        structure = STRUCTURE + ", duration_s Nullable(Decimal(18, 6))"
        table = f"file('{pattern}', 'JSONEachRow', '{structure}')"
    return f"""
        SELECT coalesce(event_id, '') AS event_id, ts, coalesce(user_id, '') AS user_id, coalesce(org_id, '') AS org_id,
            app_id, coalesce(nullIf(action, ''), 'use') AS action, {duration} AS duration_ms,
            coalesce(concurrent_id, '') AS concurrent_id, toDate32(ts) AS day
        FROM {table}"""


def deduplicated(events):
    """LIMIT BY, ClickHouse's own way to keep the first of each key. Events without an id have a number of their own."""
    return f"""
        SELECT * FROM ({events}) WHERE event_id = ''
        UNION ALL
        SELECT * FROM ({events}) WHERE event_id <> '' LIMIT 1 BY day, event_id"""


def ingest(job, clock):
    """One sorted INSERT into a file for each day."""
    query = Connection(job)
    fresh(job["events"])
    events = source(job)
    if job["format"] != "parquet" and fits(job):
        # Text is parsed once and kept.
        query(f"CREATE TABLE parsed ENGINE = Memory AS {events}")
        events = "SELECT * FROM parsed"
        clock("parse")
    query(f"""
        INSERT INTO FUNCTION file('{job['events']}/{{_partition_id}}.parquet', 'Parquet')
        PARTITION BY toString(day)
        SELECT * FROM ({deduplicated(events)}) ORDER BY day, {ORDER}""")
    clock("write")


EVENTS = "event_id String, ts DateTime64(6), user_id String, org_id String, app_id String, action String, " \
    "duration_ms Int64, concurrent_id String, day Date32"
HUMAN = "SELECT * FROM event WHERE human = 1"


def day_tables(events):
    """Tables of some days in memory, then each rollup from them: the text is decoded once."""
    yield "event", f"""
        SELECT day, org_id, app_id, user_id, concurrent_id, duration_ms,
            toUnixTimestamp64Micro(ts) - toInt64(toInt32(day)) * {sql.sweep.DAY_US} AS begins,
            user_id <> '' AND action <> 'push_received' AND user_id NOT IN internal AS human,
            user_id = '' AND action <> 'push_received' AS machine, action = 'check_in' AS check_in
        FROM {events}"""
    yield "seat", """
        SELECT day, org_id, user_id, count() AS events, countIf(human) AS human_events, sumIf(duration_ms, human) AS usage_ms,
            countIf(human AND check_in) AS check_ins
        FROM event WHERE user_id <> '' GROUP BY day, org_id, user_id"""
    yield "app", sql.sweep.apps(HUMAN)
    yield "lasting", sql.sweep.lasting(HUMAN, "app")


def rollup_queries(q):
    return {
        "user_day": "SELECT * FROM seat ORDER BY day, org_id, user_id",
        "org_users_day": """
            SELECT day, org_id, count() AS users FROM seat WHERE org_id <> '' AND human_events > 0 GROUP BY day, org_id
            ORDER BY day, org_id""",
        "org_app_day": """
            SELECT day, org_id, app_id, count() AS events, countIf(human) AS human_events, countIf(machine) AS machine_events,
                sumIf(duration_ms, human) AS usage_ms
            FROM event GROUP BY day, org_id, app_id ORDER BY day, org_id, app_id""",
        "app_user_day": """
            SELECT day, app_id, user_id, count() AS human_events, sum(duration_ms) AS usage_ms
            FROM event WHERE human GROUP BY day, app_id, user_id ORDER BY day, app_id, user_id""",
        "room_day": """
            SELECT day, org_id, app_id, concurrent_id, uniqExact(user_id) AS users, count() AS human_events,
                sum(duration_ms) AS usage_ms
            FROM event WHERE human AND concurrent_id <> '' GROUP BY day, org_id, app_id, concurrent_id
            ORDER BY day, org_id, app_id, concurrent_id""",
        "concurrency_day": sql.sweep.concurrency_day(q, "app", "lasting"),
    }


def rollups(job, clock, days=None, query=None):
    """A few days at a time: small hash tables that stay in the cache."""
    query, q = query or Connection(job), Click()
    query(f"CREATE TABLE internal ENGINE = Set AS SELECT user_id FROM file('{job['dims']}/users.parquet', 'Parquet') WHERE is_internal")
    for name in ROLLUPS:
        fresh(f"{job['rollups']}/{name}")
    for batch in batches(job["events"], days):
        names = ",".join(os.path.basename(file) for files in batch.values() for file in files)
        tables = dict(day_tables(f"file('{job['events']}/{{{names}}}', 'Parquet', '{EVENTS}')"))
        for name, text in tables.items():
            query(Click.materialised.format(name=name, query=native(text)))
        for name, text in rollup_queries(q).items():
            query(f"""
                INSERT INTO FUNCTION file('{job['rollups']}/{name}/{{_partition_id}}.parquet', 'Parquet') PARTITION BY toString(day)
                {native(text)}""")
        for name in tables:
            query(f"DROP TABLE {name}")
    clock("rollups")


def native(text):
    """The shared text in ClickHouse's words: its counters, and as signed numbers, which mix with the others."""
    text = re.sub(r"sum\(CASE WHEN ((?:(?!CASE WHEN).)+?) THEN 1 ELSE 0 END\)", r"toInt64(countIf(\1))", text, flags=re.DOTALL)
    # Of a column that cannot be null, lag and lead give 0 at the edge.
    text = re.sub(r"\b(lag|lead)\((\w+)\)", r"\1(toNullable(\2))", text)
    text = text.replace("count(*)", "toInt64(count())").replace("bit_or(", "groupBitOr(")
    return re.sub(r"count\(DISTINCT ([a-z_.]+)\)", r"toInt64(uniqExact(\1))", text)


class Click(sql.dialect.Dialect):
    # Temporary: others have a file that is written and removed.
    materialised = "CREATE TEMPORARY TABLE {name} ENGINE = Memory AS {query}"

    def idiv(self, a, b):
        return f"intDiv({a}, {b})"

    def to_date(self, days):
        return f"toDate32({days})"

    def from_date(self, day):
        return f"toInt64(toInt32({day}))"

    def month(self, days):
        # A table look-up in ClickHouse.
        return f"(toInt32(toRelativeMonthNum(toDate({days}))) - 1)"

    def values(self, rows, columns):
        kinds = ["String" if isinstance(place[0], str) else "Int32" if max(place) < 2**31 else "Int64" for place in zip(*rows)]
        structure = ", ".join(f"{name} {kind}" for name, kind in zip(columns, kinds))
        body = ", ".join("(" + ", ".join(f"'{v}'" if isinstance(v, str) else str(v) for v in row) + ")" for row in rows)
        return f"values('{structure}', {body})"

    def wide(self, number_):
        return f"toInt128({number_})"

    def power(self, place):
        return f"bitShiftLeft(toInt64(1), {place})"

    def both(self, bits, others):
        return f"bitAnd({bits}, {others})"

    def bit(self, bits, place):
        return f"toInt64(bitTest({bits}, {place}))"

    def to_instant(self, microseconds):
        return f"fromUnixTimestamp64Micro(toInt64({microseconds}))"

    def instant(self, ts):
        # The fraction has six digits, and the last three are cut.
        return f"concat(substring(formatDateTime({ts}, '%Y-%m-%dT%H:%i:%S.%f'), 1, 23), '+00:00')"

    def visits(self):
        """Arrays are what ClickHouse does best: one aggregation into a sorted array per entity, joined with itself
        shifted by one."""
        yield """
            CREATE TEMPORARY TABLE listed ENGINE = Memory AS
            SELECT 'user' AS entity, arraySort(groupUniqArray(day)) AS d FROM user_day
            WHERE human_events > 0 GROUP BY user_id
            UNION ALL
            SELECT 'org' AS entity, arraySort(groupArray(day)) AS d FROM org_day GROUP BY org_id
            UNION ALL
            SELECT 'dag' AS entity, arraySort(groupArray(day)) AS d FROM org_day WHERE is_dag = 1 GROUP BY org_id"""
        yield """
            CREATE TEMPORARY TABLE visit ENGINE = Memory AS
            SELECT toLowCardinality(entity) AS entity, v.1 AS day, v.2 AS previous, v.3 AS next_day, d[1] AS first_day
            FROM listed
            ARRAY JOIN arrayZip(d, arrayPushFront(arrayPopBack(CAST(d AS Array(Nullable(Int32)))), NULL),
                arrayPushBack(arrayPopFront(CAST(d AS Array(Nullable(Int32)))), NULL)) AS v"""
        yield f"""
            CREATE TEMPORARY TABLE active_28 ENGINE = Memory AS
            SELECT entity, arrayCount(x -> x >= {self.d - 27}, d) AS days_active FROM listed WHERE days_active > 0"""

    def concat(self, words):
        return "arrayStringConcat(arrayFilter(x -> x IS NOT NULL, [" + ", ".join(words) + "]), ';')"


TABLES = {
    "user_day": "day Date32, org_id String, user_id String, events Int64, human_events Int64, usage_ms Int64, check_ins Int64",
    "org_app_day": "day Date32, org_id String, app_id String, events Int64, human_events Int64, machine_events Int64, "
                   "usage_ms Int64",
    "org_users_day": "day Date32, org_id String, users Int64",
    "app_user_day": "day Date32, app_id String, user_id String, human_events Int64, usage_ms Int64",
    "room_day": "day Date32, org_id String, app_id String, concurrent_id String",
    "concurrency_day": "day Date32, app_id String, peak_users Int64, peak_at DateTime64(6), peak_rooms Int64, largest_room Int64",
}
# Read several times; the others are read where they are asked for.
KEPT = {"user_day", "org_app_day", "org_users_day"}


def metrics(job, clock, query=None):
    query, out = query or Connection(job), fresh(job["reports"])
    for name, structure in TABLES.items():
        kind = f"TEMPORARY TABLE {name} ENGINE = Memory" if name in KEPT else f"VIEW {name}"
        query(f"""CREATE {kind} AS SELECT * REPLACE (toInt32(day) AS day)
            FROM file('{job['rollups']}/{name}/*.parquet', 'Parquet', '{structure}')""")
    for name in DIMENSIONS:
        query(f"CREATE TEMPORARY TABLE {name} ENGINE = Memory AS SELECT * FROM file('{job['dims']}/{name}.parquet', 'Parquet')")
    clock("read")
    write = lambda name, text: query(f"INSERT INTO FUNCTION file('{out}/{name}.csv', 'CSVWithNames') {native(text)}")
    make = lambda text: query(native(text))
    sql.run(Click(job["first"], job["last"]), make, write, job["metrics"], clock)


def day(job, clock):
    query = Connection(job)
    events = source(job)
    sealed = f"{job['events']}/{job['day']}.parquet"
    fresh(job["events"])
    if os.path.exists(sealed):
        events = f"{events} UNION ALL SELECT * FROM file('{sealed}', 'Parquet', '{EVENTS}')"
    query(f"""
        INSERT INTO FUNCTION file('{sealed}.new.parquet', 'Parquet') SELECT * FROM ({deduplicated(events)}) ORDER BY {ORDER}""")
    os.replace(f"{sealed}.new.parquet", sealed)
    rollups(job, clock, [job["day"]], query)
    clock("ingest")
    metrics(job, clock, query)


if __name__ == "__main__":
    main({"ingest": ingest, "rollups": rollups, "metrics": metrics, "day": day})

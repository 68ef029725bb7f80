"""Whether a peer computed what we computed: every number of every table, or the first difference."""

import json
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

EVENTS = ["event_id", "ts", "user_id", "org_id", "app_id", "action", "duration_ms", "concurrent_id"]
TABLES = {
    "events": EVENTS,
    "user_day": ["org_id", "user_id", "events", "human_events", "usage_ms", "check_ins"],
    "org_app_day": ["org_id", "app_id", "events", "human_events", "machine_events", "usage_ms"],
    "org_users_day": ["org_id", "users"],
    "app_user_day": ["app_id", "user_id", "human_events", "usage_ms"],
    "room_day": ["org_id", "app_id", "concurrent_id", "users", "human_events", "usage_ms"],
    "concurrency_day": ["app_id", "peak_users", "peak_at", "peak_rooms", "largest_room"],
}
ROLLUPS = [name for name in TABLES if name != "events"]
INSTANTS = {"ts", "peak_at"}
NUMBERS = {"events", "human_events", "machine_events", "usage_ms", "duration_ms", "check_ins", "users", "peak_users", "peak_rooms",
           "largest_room"}
# What ingest saw and no peer keeps.
INGEST_CHECKS = "('duplicate', 'late', 'rejected')"


class Difference(Exception):
    """The peer says something else."""


def live_files(store, table):
    """Day -> files, from the table's Delta log."""
    files = {}
    for commit in sorted(Path(store, table, "_delta_log").glob("*.json")):
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                files[action["add"]["path"]] = action["add"]["partitionValues"].get("day")
            elif "remove" in action:
                files.pop(action["remove"]["path"], None)
    days = {}
    for path, day in files.items():
        days.setdefault(day, []).append(str(Path(store, table, path)))
    return days


def peer_files(folder):
    days = {}
    for file in sorted(Path(folder).glob("*.parquet")):
        days.setdefault(file.name[:10], []).append(str(file))
    return days


def in_order(folder):
    """Whether the middle day's files are sorted, so that nobody is paid for a sort that was not done without a word."""
    days = peer_files(folder)
    middle = sorted(days)[len(days) // 2]
    for file in days[middle]:
        rows = pq.read_table(file, columns=["org_id", "user_id", "app_id", "ts"]).cast(pa.schema([
            ("org_id", pa.string()), ("user_id", pa.string()), ("app_id", pa.string()), ("ts", pa.timestamp("us", "UTC"))]))
        keys = list(zip(*(rows.column(name).cast(pa.int64() if name == "ts" else pa.string()).to_pylist()
                          for name in rows.column_names)))
        if any(before > after for before, after in zip(keys, keys[1:])):
            return False
    return True


def columns_of(table):
    return ", ".join(f"epoch_us({c}) AS {c}" if c in INSTANTS else f"CAST({c} AS {'BIGINT' if c in NUMBERS else 'VARCHAR'}) AS {c}"
                     for c in TABLES[table])


def table(peer, name, store, folder, days=None):
    """Every row of a stored table, day by day, as often as it is there."""
    connection = duckdb.connect()
    connection.execute("SET timezone = 'UTC'")
    ours, theirs = live_files(store, name), peer_files(folder)
    if days:
        ours, theirs = ({d: f for d, f in side.items() if d in days} for side in (ours, theirs))
    read = lambda files: f"SELECT {columns_of(name)} FROM read_parquet({files}, hive_partitioning = false)"
    rows = 0
    # A day without rows may have no file.
    count = lambda files: (0, None) if not files else connection.execute(
        f"SELECT count(*), CAST(sum(CAST(hash(t) AS HUGEINT)) AS VARCHAR) FROM ({read(files)}) AS t").fetchone()
    for day in sorted(ours.keys() | theirs.keys()):
        left, right = count(ours.get(day)), count(theirs.get(day))
        rows += left[0]
        if left != right:
            if not (left[0] and right[0]):
                raise Difference(f"{peer}: {name} of {day}: {left[0]} and {right[0]} rows")
            for one, other, who in ((ours, theirs, "ours"), (theirs, ours, peer)):
                row = connection.execute(f"{read(one[day])} EXCEPT ALL {read(other[day])} ORDER BY ALL LIMIT 1").fetchone()
                if row:
                    raise Difference(f"{peer}: {name} of {day}: only {who} has {row}")
            raise Difference(f"{peer}: {name} of {day}: {left} and {right}")
    return rows


def normal(column, kind, ours):
    """The column as text that is equal where the values are: rates in millionths, amounts in hundredths, seconds in
    milliseconds."""
    text = f"""coalesce("{column}", '')"""
    units = lambda digits, factor: f"CAST(CAST(CAST({text} AS DECIMAL(38,{digits})) * {factor} AS HUGEINT) AS VARCHAR)"
    if kind == "boolean":
        return f"CASE lower({text}) WHEN 'true' THEN '1' WHEN 'false' THEN '0' ELSE {text} END"
    if ours and kind == "rate":
        return f"CASE WHEN {text} = '' THEN '' ELSE {units(6, 1000000)} END"
    if ours and kind == "amount":
        return f"CASE WHEN {text} = '' THEN '' ELSE {units(2, 100)} END"
    if ours and kind == "seconds":
        return f"CASE WHEN {text} = '' THEN '' ELSE {units(3, 1000)} END"
    if ours and kind == "quality":
        return f"CASE WHEN contains({text}, '.') THEN {units(6, 1000000)} ELSE {text} END"
    return text


def metric(peer, name, reports, folder):
    """Every row of a report, and that the rows come in the same order."""
    connection = duckdb.connect()
    manifest = json.loads(Path(reports, "manifest.json").read_text())
    columns = [(c["name"], c["type"]) for c in manifest["files"][f"{name}.csv"]["columns"]]
    if name == "data_quality":
        columns = [(c, "quality" if c == "value" else t) for c, t in columns]

    def rows(path, ours):
        listed = ", ".join(f"""{normal(c, t, ours)} AS "{c}\"""" for c, t in columns)
        only = f"WHERE \"check\" NOT IN {INGEST_CHECKS}" if name == "data_quality" and ours else ""
        connection.execute(f"""CREATE OR REPLACE TABLE {'ours' if ours else 'theirs'} AS
            SELECT *, row_number() OVER () AS place FROM (SELECT {listed} FROM read_csv('{path}', all_varchar = true,
            header = true, auto_detect = false, delim = ',', quote = '"', escape = '"', nullstr = '',
            columns = {{{', '.join(f"'{c}': 'VARCHAR'" for c, _ in columns)}}}) {only})""")

    rows(Path(reports, f"{name}.csv"), True)
    rows(Path(folder, f"{name}.csv"), False)
    for one, other, who in (("ours", "theirs", "ours"), ("theirs", "ours", peer)):
        found = connection.execute(f"SELECT * FROM {one} EXCEPT ALL SELECT * FROM {other} ORDER BY place LIMIT 1").fetchone()
        if found:
            raise Difference(f"{peer}: {name}: row {found[-1]}: {who} has {dict(zip([c for c, _ in columns], found))}")
    return connection.execute("SELECT count(*) FROM ours").fetchone()[0]

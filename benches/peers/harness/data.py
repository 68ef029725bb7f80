"""The made-up logs, and the dimension tables as the peers read them."""

import io
import os
import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from .process import timed

# One record of so many is sent a second time.
RESENT_OF = 500
DIMENSIONS = ["orgs", "users", "apps", "campaigns", "account_lists", "calendar"]
FORMATS = {"parquet": "parquet", "jsonl": "jsonl", "jsonl_zst": "jsonl", "csv": "csv"}


def make(binary, folder, kind, events, days, orgs=None):
    """Logs of a kind in `folder/<kind>/logs`: made once, kept for the next time. Without broken records, because a peer
    would end at them; with records that were sent twice, because dropping those is a part of the work."""
    folder = Path(folder) / kind
    if (folder / "complete").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    command = [binary, "generate", folder, "--clean", "--time-zone", "UTC", "--days", days, "--format", FORMATS[kind]]
    command += ["--orgs", orgs] if orgs else ["--events", events]
    command += ["--compression", "zst"] if kind == "jsonl_zst" else []
    timed([str(part) for part in command])
    resend(folder / "logs", kind)
    (folder / "complete").touch()
    return folder


def resend(logs, kind):
    """Adds a last file with copies of some records of all days."""
    files = sorted(logs.iterdir())
    if kind == "parquet":
        schema = pq.read_schema(files[0])
        writer = pq.ParquetWriter(logs / "resent.parquet", schema)
        for file in files:
            table = pq.read_table(file)
            writer.write_table(table.take(pa.array(range(0, len(table), RESENT_OF))).cast(schema))
        writer.close()
        return
    copies = bytearray()
    for file in files:
        with pa.input_stream(str(file), compression="zstd" if kind == "jsonl_zst" else None) as stream:
            lines = io.BufferedReader(stream) if not isinstance(stream, io.IOBase) else stream
            for number, line in enumerate(lines_of(lines)):
                if kind == "csv" and number == 0:
                    copies = copies or bytearray(line)
                elif number % RESENT_OF == 1:
                    copies += line
    suffix = "".join(files[0].suffixes)
    with pa.output_stream(str(logs / f"resent{suffix}"), compression="zstd" if kind == "jsonl_zst" else None) as stream:
        stream.write(bytes(copies))


def lines_of(stream):
    """Lines with their ends, of a stream that reads blocks."""
    rest = b""
    while block := stream.read(1 << 22):
        lines = (rest + bytes(block)).splitlines(keepends=True)
        rest = lines.pop() if not lines[-1].endswith(b"\n") else b""
        yield from lines
    if rest:
        yield rest


def dimensions(source, out):
    """The dimension files as Parquet with days as integers, amounts in hundredths, and history as spans that touch. Made once and
    not timed: the peers get it for free, while ours reads the CSV files in every command."""
    if all((out / f"{name}.parquet").exists() for name in DIMENSIONS):
        return
    out.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    # Quotes are named: where they first come late in a file, the reader would not find them by itself.
    read = lambda file: f"""read_csv('{source}/{file}.csv', all_varchar = true, header = true, delim = ',', quote = '"',
        escape = '"')"""
    day = lambda text: f"CAST(CAST(left({text}, 10) AS DATE) - DATE '1970-01-01' AS INTEGER)"

    def history(file, key, columns):
        return f"""
            WITH listed AS (
                SELECT *, row_number() OVER () AS place, coalesce({day('valid_from')}, -719162) AS begun
                FROM {read(file)}
            ),
            one AS (SELECT * FROM listed QUALIFY row_number() OVER (PARTITION BY {key}, begun ORDER BY place DESC) = 1)
            SELECT {key}, {columns}, begun AS valid_from,
                coalesce(lead(begun) OVER (PARTITION BY {key} ORDER BY begun) - 1, 2932896) AS valid_until
            FROM one ORDER BY {key}, begun"""

    cents = lambda text: f"CAST(CAST({text} AS DECIMAL(18, 2)) * 100 AS BIGINT)"
    stage = lambda name: f"CAST(list_contains(list_transform(string_split(coalesce(stage, ''), ';'), " \
        f"lambda s: trim(s)), '{name}') AS INTEGER) AS {name}"
    tables = {
        "orgs": history("orgs", "org_id", f"""coalesce(name, '') AS name, CAST(headcount AS BIGINT) AS headcount,
            coalesce(industry, '') AS industry, coalesce(region, '') AS region, coalesce(edition, '') AS edition,
            min({day('registered_at')}) OVER (PARTITION BY org_id) AS registered_on"""),
        "apps": history("apps", "app_id", f"""coalesce(name, '') AS name, coalesce(category, '') AS category,
            CASE WHEN coalesce(category, '') NOT IN ('', 'communication', 'hr') THEN coalesce(system, '') ELSE '' END AS system,
            {', '.join(guarded(stage(n), n) for n in ('store', 'process', 'flow', 'decide'))}"""),
        "users": f"""SELECT user_id, {day('registered_at')} AS registered_on, coalesce(role, '') AS role,
            coalesce(campaign, '') AS campaign, coalesce(invited_by, '') AS invited_by,
            lower(coalesce(is_internal, '')) IN ('true', '1') AS is_internal FROM {read('users')}""",
        "campaigns": f"""SELECT campaign, {day('start_on')} AS start_on, {day('end_on')} AS end_on, {cents('cost')} AS cost,
            {cents('reward_per_completion')} AS reward, CAST(streak_days AS BIGINT) AS streak_days FROM {read('campaigns')}""",
        "account_lists": f"SELECT list, account, coalesce(org_id, '') AS org_id FROM {read('account_lists')}",
        # Days that are on or off for everybody; the made-up calendar has no terms.
        "calendar": f"""
            WITH listed AS (SELECT *, row_number() OVER () AS place FROM {read('calendar')})
            SELECT day, last(CAST(kind = 'work_day' AS INTEGER) ORDER BY place) AS is_work_day
            FROM (
                SELECT unnest(range({day('first_day')}, {day("coalesce(last_day, first_day)")} + 1)) AS day, kind, place
                FROM listed WHERE coalesce(role, '') = '' AND kind IN ('holiday', 'work_day')
            ) GROUP BY day""",
    }
    for name, query in tables.items():
        connection.execute(f"COPY ({query}) TO '{out}/{name}.parquet' (FORMAT parquet)")


def guarded(expression, name):
    """Stages count on eligible apps with a category only."""
    value = expression.removesuffix(f" AS {name}")
    return f"CASE WHEN coalesce(category, '') NOT IN ('', 'communication', 'hr') THEN {value} ELSE 0 END AS {name}"


def log_days(logs):
    return sorted({file.name[:10] for file in Path(logs).iterdir() if file.name[0] == "2"})


def warm(*paths):
    """Reads files once, so that no one pays for the disk and everyone finds the same cache."""
    for path in paths:
        for root, _, files in os.walk(path):
            for name in files:
                with open(os.path.join(root, name), "rb", buffering=0) as file:
                    while file.read(1 << 24):
                        pass

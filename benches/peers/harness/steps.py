"""The steps. Each is timed for us and for every peer, each in a fresh process, and the peer's result is compared with ours."""

import os
import shutil
import tempfile
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from . import check, data
from .ours import Ours, link
from .process import Failed, engine

PEERS = {"duckdb": "duck.py", "chdb": "click.py", "polars": "polar.py", "datafusion": "fusion.py"}
LABELS = {"duckdb": "DuckDB", "chdb": "ClickHouse", "polars": "Polars", "datafusion": "DataFusion"}
# The metrics that the peers can compute. A metric that only we have is in the step `report` alone.
METRICS = [
    "daily_activity", "user_retention", "org_retention", "dag_retention", "retention_summary", "growth_accounting",
    "stickiness", "dag_orgs", "dag_near_misses", "dag_sensitivity", "deep_integration_levels",
    "deep_integration_orgs", "data_quality", "activity_by_segment", "org_size_tiers", "milestones", "app_adoption", "app_breadth",
    "integration_assets", "campaign_funnel", "account_list_penetration", "concurrency_peaks", "meeting_volume", "dormant_orgs",
    "seat_retention", "segment_growth", "share_decomposition", "weekday_comparison",
]
TEXT = {"jsonl": "JSONL", "jsonl_zst": "JSONL, zst", "csv": "CSV"}


class Bench:
    def __init__(self, options, note):
        self.o, self.note = options, note
        self.work = Path(options.work).resolve()
        self.rows, self.growth = [], []

    # Results.

    def add(self, size, step, who, run, detail=None):
        self.rows.append({"events": size, "step": step, "who": who, "seconds": round(run.seconds, 3),
                          "wall": round(run.wall, 3), "peak_mb": round(run.peak_mb, 1), "parts": run.parts,
                          **({"detail": detail} if detail else {})})
        self.note(f"  {step:<28} {who:<12} {run.seconds:9.2f} s {run.peak_mb:8.0f} MB")

    def lacks(self, size, step, who, reason):
        self.rows.append({"events": size, "step": step, "who": who, "seconds": None, "reason": reason})
        self.note(f"  {step:<28} {who:<12} -  {reason}")

    def best(self, make):
        """The fastest of `--repeat` runs; `make` prepares and runs one."""
        runs = [make() for _ in range(self.o.repeat)]
        fastest = min(runs, key=lambda run: run.seconds)
        fastest.peak_mb = max(run.peak_mb for run in runs)
        return fastest

    def clear(self, folder):
        """Puts a folder out of the way. It is deleted at the very end: a file system that has just deleted thousands of files
        takes several times as long to make new ones, and the next step would pay for it."""
        if folder.exists():
            aside = self.work / "cleared"
            aside.mkdir(parents=True, exist_ok=True)
            folder.rename(tempfile.mkdtemp(dir=aside) + "/folder")

    def end(self):
        """Deletes what was put aside."""
        shutil.rmtree(self.work / "cleared", ignore_errors=True)

    def agrees(self, function, *arguments):
        """Compares; a difference ends the benchmark."""
        begun = time.perf_counter()
        rows = function(*arguments)
        self.note(f"    {arguments[0]} agrees on {arguments[1]}: {rows:,} rows ({time.perf_counter() - begun:.1f} s)")

    def job(self, peer, do, **fields):
        spill = self.work / "spill" / peer
        shutil.rmtree(spill, ignore_errors=True)
        spill.mkdir(parents=True)
        try:
            return engine(PEERS[peer], {"do": do, "threads": self.o.threads, "spill": spill, **fields})
        finally:
            shutil.rmtree(spill, ignore_errors=True)

    def attempt(self, size, step, peer, make):
        """A peer that fails loses its row and says why; a wrong number ends the benchmark."""
        try:
            run = self.best(make)
        except Failed as failure:
            self.lacks(size, step, peer, "failed: " + str(failure).strip().splitlines()[-1][:200])
            return None
        self.add(size, step, peer, run)
        return run

    # Data of a size.

    def logs(self, kind, size):
        folder = self.work / "data" / f"{size}-{self.o.days}"
        made = data.make(self.o.binary, folder, kind, size, self.o.days)
        data.dimensions(made, folder / "dims")
        return made

    def dims(self, size):
        return self.work / "data" / f"{size}-{self.o.days}" / "dims"

    def ours(self, name, source, memory=None):
        folder = self.work / "ours" / name
        self.clear(folder)
        return Ours(self.o.binary, folder, source, self.o.threads, memory or self.o.memory)

    def peer_folder(self, peer, size):
        return self.work / "peers" / f"{peer}-{size}"

    # Steps.

    def ingest(self, size, kind):
        """Logs of a kind to a store. Ours also validates, keeps rejects and makes the rollups."""
        source = self.logs(kind, size)
        logs = source / "logs"
        step = f"ingest {TEXT.get(kind, 'Parquet')}"
        name = f"{size}" if kind == "parquet" else f"{size}-text"

        def mine():
            store = self.ours(name, source)
            data.warm(logs)
            return store.ingest(logs)

        self.add(size, step, "orgpulse", self.best(mine))
        store = self.work / "ours" / name / "store"
        for peer in self.o.peers:
            reason = MISSING.get((peer, kind))
            if reason:
                self.lacks(size, step, peer, reason)
                continue
            folder = self.peer_folder(peer, size) / ("events" if kind == "parquet" else f"events-{kind}")

            def theirs():
                folder.parent.mkdir(parents=True, exist_ok=True)
                for leftover in folder.parent.glob(f"{folder.name}*"):
                    if leftover == folder or leftover.name.startswith(f"{folder.name}."):
                        self.clear(leftover)
                data.warm(logs)
                return self.job(peer, "ingest", logs=logs, format=kind, events=folder, dims=self.dims(size))

            if self.attempt(size, step, peer, theirs):
                self.agrees(check.table, peer, "events", store, folder)
                if not check.in_order(folder):
                    # The time stands, in its favour.
                    self.rows[-1]["reason"] = f"{step}: it did not write all days in order"
                    self.note(f"    {peer} did not write all days in order")
            if kind != "parquet":
                self.clear(folder)

    def rollups(self, size):
        source = self.logs("parquet", size)
        base = self.sealed(size, source)

        def mine():
            again = base.copy(self.scratch("rebuild"))
            data.warm(again.store / "events")
            return again.rebuild()

        self.add(size, "rollups", "orgpulse", self.best(mine))
        files = [file for day in check.live_files(base.store, "events").values() for file in day]
        runs = []
        for dictionary in (False, True):
            job = {"do": "decode", "threads": self.o.threads, "files": self.listing(files), "dictionary": dictionary}
            runs.append(self.best(lambda: engine("decode.py", job)))
        self.add(size, "rollups", "bare decode", min(runs, key=lambda run: run.seconds))
        for peer in self.o.peers:
            events = self.peer_folder(peer, size) / "events"
            if not events.exists():
                self.borrow(base, events)
            folder = self.peer_folder(peer, size) / "rollups"

            def theirs():
                self.clear(folder)
                data.warm(events)
                return self.job(peer, "rollups", events=events, rollups=folder, dims=self.dims(size))

            if self.attempt(size, "rollups", peer, theirs):
                for table in check.ROLLUPS:
                    self.agrees(check.table, peer, table, base.store, folder / table)

    def metrics(self, size):
        source = self.logs("parquet", size)
        base = self.sealed(size, source)
        known = base.metrics()
        wanted = [name for name in METRICS if name in known]
        step = f"report of {len(known)} metrics"

        def mine(metrics):
            again = base.copy(self.scratch("metrics"))
            self.clear(again.reports)
            data.warm(*(again.store / table for table in check.ROLLUPS))
            return again.run(metrics)

        self.add(size, step, "orgpulse", self.best(lambda: mine(None)))
        reports = self.scratch("metrics", keep=True) / "reports" / "latest"
        saved = self.work / "ours" / f"{size}-report"
        self.clear(saved)
        shutil.copytree(reports, saved)
        first, last = Ours(self.o.binary, self.scratch("metrics", keep=True), source, self.o.threads).range()
        if len(wanted) < len(known):
            # What only we have is in the step before.
            step = f"{len(wanted)} metrics"
            self.add(size, step, "orgpulse", self.best(lambda: mine(wanted)))
        for peer in self.o.peers:
            rollups = self.peer_folder(peer, size) / "rollups"
            if not rollups.exists():
                for table in check.ROLLUPS:
                    self.borrow(base, rollups / table, table)
            folder = self.peer_folder(peer, size) / "reports"

            def theirs():
                self.clear(folder)
                data.warm(rollups)
                return self.job(peer, "metrics", rollups=rollups, reports=folder, dims=self.dims(size), first=first,
                                last=last, metrics=wanted)

            if self.attempt(size, step, peer, theirs):
                for metric in wanted:
                    self.agrees(check.metric, peer, metric, saved, folder)

    def memory(self, size):
        """Ours with little memory: slower, and the same bytes."""
        source = self.logs("parquet", size)
        store = self.ours("small", source, "512MB")
        ingested = store.ingest(source / "logs")
        self.add(size, "ingest Parquet, 512 MB", "orgpulse", ingested)
        self.add(size, "all metrics, 512 MB", "orgpulse", store.run())
        saved = self.work / "ours" / f"{size}-report"
        if saved.exists():
            for file in sorted(saved.glob("*.csv")):
                if file.read_bytes() != (store.reports / "latest" / file.name).read_bytes():
                    raise check.Difference(f"{file.name} has other bytes with little memory")
            self.note(f"    the same bytes in {len(list(saved.glob('*.csv')))} reports")
        self.clear(store.folder)

    def next_day(self):
        """One more day after 30, 90, 180 and 360 days of history. The day is the same one each time."""
        histories = sorted(self.o.histories)
        days = histories[-1] + 1
        size = self.o.day_events * days
        folder = self.work / "data" / f"history-{size}-{days}"
        source = data.make(self.o.binary, folder, "parquet", size, days)
        dims = folder / "dims"
        data.dimensions(source, dims)
        listed = data.log_days(source / "logs")
        new = listed[-1]
        for history in histories:
            part = self.scratch("logs")
            old = self.pick(source / "logs", part / "old", listed[-1 - history:-1])
            one = self.pick(source / "logs", part / "new", [new])
            base = self.ours("history", source)
            base.ingest(old)
            base.run()
            self.day(history, f"next day after {history}", base, one, new, dims, None)
            if history == min(histories, key=lambda days: abs(days - 180)):
                late = listed[-1 - history // 2]
                self.late(history, base, source, late, dims, part / "late")
        self.clear(self.work / "ours" / "history")

    def late(self, history, base, source, day, dims, folder):
        """A hundred events of a past day, sent now."""
        folder.mkdir(parents=True)
        table = pq.read_table(min((source / "logs").glob(f"{day}.*parquet"))).slice(0, 100)
        ids = [f"late-{number}" for number in range(len(table))]
        place = table.schema.get_field_index("event_id")
        table = table.set_column(place, table.schema.field(place), pa.array(ids, table.schema.field(place).type))
        pq.write_table(table, folder / "late.parquet")
        self.day(history, f"late events in {history}", base, folder, day, dims, day)

    def day(self, history, step, base, logs, day, dims, sealed):
        """Ours: ingest and run. A peer: the day's partition and rollups, then every metric again. The peers' history is written
        once for all of them, from our rollups, and is not timed."""
        shared = self.scratch("history-rollups")
        for table in check.ROLLUPS:
            self.borrow(base, shared / table, table)
        before = self.scratch("history-events")
        if sealed:
            self.borrow(base, before, "events", [sealed])

        def mine():
            nonlocal store
            store = base.copy(self.scratch("day"))
            data.warm(*(store.store / table for table in check.ROLLUPS), logs)
            ingested, ran = store.ingest(logs), store.run()
            ingested.parts, ran.parts = {"ingest": round(ingested.seconds, 3)}, {"run": round(ran.seconds, 3)}
            return ingested + ran

        store = None
        self.add(history, step, "orgpulse", self.best(mine))
        first, last = store.range()
        known = store.metrics()
        for peer in self.o.peers:
            folder = self.work / "peers" / f"{peer}-day"

            def theirs():
                self.clear(folder)
                link(shared, folder / "rollups")
                link(before, folder / "events")
                data.warm(folder / "rollups", logs)
                return self.job(peer, "day", logs=logs, format="parquet", day=day, events=folder / "events",
                                rollups=folder / "rollups", reports=folder / "reports", dims=dims, first=first, last=last,
                                metrics=[m for m in METRICS if m in known])

            if self.attempt(history, step, peer, theirs):
                for metric in METRICS:
                    if metric in known:
                        check.metric(peer, metric, store.reports / "latest", folder / "reports")
                self.note(f"    {peer} agrees on all metrics")

    def users(self, users):
        """Ours against distinct users, the days the same."""
        count = "SELECT count(*), count(DISTINCT user_id) FROM read_parquet('{}/logs/2*.parquet')"
        data_folder = self.work / "data"
        small = data.make(self.o.binary, data_folder / "users-sample", "parquet", None, self.o.users_days, 2000)
        people_of_org = duckdb.execute(count.format(small)).fetchone()[1] / 2000
        source = data.make(self.o.binary, data_folder / f"users-{users}-{self.o.users_days}", "parquet", None,
                           self.o.users_days, max(1, round(users / people_of_org)))
        store = self.ours("users", source)
        data.warm(source / "logs")
        ingested, ran = store.ingest(source / "logs"), store.run()
        events, people = duckdb.execute(count.format(source)).fetchone()
        for step, run in (("ingest Parquet", ingested), ("all metrics", ran)):
            self.growth.append({"axis": "users", "events": events, "users": people, "step": step,
                                "seconds": round(run.seconds, 3), "peak_mb": round(run.peak_mb, 1)})
            self.note(f"  {step:<28} {people:>12,} users {events:>12,} events {run.seconds:9.2f} s {run.peak_mb:8.0f} MB")
        # A few large files, and more users need their room.
        shutil.rmtree(self.work / "ours" / "users", ignore_errors=True)

    # Helpers.

    def sealed(self, size, source):
        """The store of the step before, or one made now."""
        folder = self.work / "ours" / f"{size}"
        if (folder / "store" / "user_day").exists():
            return Ours(self.o.binary, folder, source, self.o.threads)
        store = self.ours(f"{size}", source)
        store.ingest(source / "logs")
        return store

    def scratch(self, name, keep=False):
        folder = self.work / "scratch" / name
        if not keep:
            self.clear(folder)
            folder.mkdir(parents=True)
        return folder

    def listing(self, files):
        path = self.work / "files.txt"
        path.write_text("\n".join(files))
        return path

    def pick(self, logs, folder, days):
        folder.mkdir(parents=True)
        for day in days:
            for file in logs.glob(f"{day}.*parquet"):
                os.link(file, folder / file.name)
        return folder

    def borrow(self, store, folder, table="events", days=None):
        """A table of our store in the layout of the peers, written by DuckDB, not timed."""
        folder.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect()
        connection.execute("SET timezone = 'UTC'")
        columns = check.TABLES[table]
        for day, files in check.live_files(store.store, table).items():
            if days is None or day in days:
                connection.execute(f"""
                    COPY (SELECT DATE '{day}' AS day, {', '.join(columns)} FROM read_parquet({files}, hive_partitioning = false))
                    TO '{folder}/{day}.parquet' (FORMAT parquet, COMPRESSION zstd)""")


# What a peer cannot say, and why.
MIXED = "its JSON reader refuses a text field that is a number in some records"
MISSING = {("datafusion", "jsonl"): MIXED, ("datafusion", "jsonl_zst"): MIXED}

"""The benchmark: arguments in, one table out."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import facts, report
from .check import Difference
from .steps import PEERS, Bench

STEPS = ["jsonl", "jsonl_zst", "csv", "parquet", "rollups", "metrics", "memory", "days", "users"]
ROOT = Path(__file__).resolve().parents[3]


def numbers(text):
    return [int(part.replace("_", "")) for part in text.split(",") if part]


def arguments():
    parser = argparse.ArgumentParser(prog="benches/peers/run", description=__doc__,
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--events", type=numbers, default=[5_000_000, 50_000_000], help="sizes, in events")
    parser.add_argument("--days", type=int, default=180, help="days of the logs")
    parser.add_argument("--text-events", type=int, default=50_000_000,
                        help="JSONL and CSV are measured up to this size; their logs take 220 bytes an event")
    parser.add_argument("--histories", type=numbers, default=[30, 90, 180, 360], help="days of history before the next day")
    parser.add_argument("--day-events", type=int, default=100_000, help="events of a day in the step `days`")
    parser.add_argument("--users", type=numbers, default=[100_000, 1_000_000, 5_000_000, 20_000_000],
                        help="distinct users in the step `users` (ours only)")
    parser.add_argument("--users-days", type=int, default=3, help="days of the logs in the step `users`")
    parser.add_argument("--steps", type=lambda text: text.split(","), default=STEPS[:-1], help=f"of {', '.join(STEPS)}")
    parser.add_argument("--peers", type=lambda text: [p for p in text.split(",") if p], default=list(PEERS),
                        help="of " + ", ".join(PEERS))
    parser.add_argument("--threads", type=int, default=facts.cores(), help="for everyone")
    parser.add_argument("--memory", help="limit of ours, such as 8GB [its default, 2GB]")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each step; the fastest counts")
    parser.add_argument("--binary", help="the program to measure [built with `cargo build --release` if not given]")
    parser.add_argument("--work", default="target/peers", help="logs, stores and results; logs are kept for the next time")
    parser.add_argument("--output", help="folder of results.json, results.md, growth.csv and plots [WORK/results]")
    options = parser.parse_args()
    for given, allowed in ((options.steps, STEPS), (options.peers, PEERS)):
        if odd := [name for name in given if name not in allowed]:
            parser.error(f"unknown: {', '.join(odd)}")
    options.output = Path(options.output or Path(options.work) / "results").resolve()
    options.binary = options.binary or built()
    if not shutil.which(str(options.binary)):
        parser.error(f"no program at {options.binary}")
    options.binary = str(Path(options.binary).resolve())
    return options


def built():
    subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    return Path(target) / "release" / "orgpulse"


def main():
    options = arguments()
    begun = time.perf_counter()
    note = lambda text: print(text, file=sys.stderr, flush=True)
    bench = Bench(options, note)
    wanted = set(options.steps)
    try:
        for size in sorted(options.events):
            note(f"{size:,} events, {options.days} days")
            for kind in ("jsonl", "jsonl_zst", "csv"):
                if kind in wanted and size <= options.text_events:
                    bench.ingest(size, kind)
            if "parquet" in wanted:
                bench.ingest(size, "parquet")
            if "rollups" in wanted:
                bench.rollups(size)
            if "metrics" in wanted:
                bench.metrics(size)
            if "memory" in wanted:
                bench.memory(size)
        if "days" in wanted:
            note(f"the next day: {options.day_events:,} events a day")
            bench.next_day()
        if "users" in wanted:
            note("distinct users")
            for users in sorted(options.users):
                bench.users(users)
    except Difference as difference:
        note(f"\nNOT EQUAL: {difference}")
        sys.exit(1)
    finally:
        report.write(options, facts.machine(options.binary), bench, time.perf_counter() - begun)
        bench.end()
    print((options.output / "results.md").read_text())


if __name__ == "__main__":
    main()

"""What all peers share: the child process reads one job, does it, and says how long the work itself took.

The clock starts after the interpreter and the peer's library are loaded, so a peer does not pay for being called from Python."""

import glob
import json
import os
import shutil
import sys
import time
from datetime import date

COLUMNS = ["event_id", "ts", "user_id", "org_id", "app_id", "action", "duration_ms", "concurrent_id"]
ROLLUPS = ["user_day", "org_app_day", "org_users_day", "app_user_day", "room_day", "concurrency_day"]
BATCH_BYTES = 4 << 20
DIMENSIONS = ["orgs", "users", "apps", "campaigns", "account_lists", "calendar"]


class Clock:
    def __init__(self):
        self.begun = self.before = time.perf_counter()
        self.parts = {}

    def __call__(self, name):
        now = time.perf_counter()
        self.parts[name] = round(self.parts.get(name, 0) + now - self.before, 4)
        self.before = now


def main(jobs):
    """`jobs`: operation name -> function(job, clock)."""
    job = json.loads(sys.argv[1])
    job["first"], job["last"] = (date.fromisoformat(job[k]) if k in job else None for k in ("first", "last"))
    clock = Clock()
    jobs[job["do"]](job, clock)
    seconds = time.perf_counter() - clock.begun
    with open(job["answer"], "w") as file:
        json.dump({"seconds": seconds, "parts": clock.parts}, file)
    # Leaving at once spares the peer the destruction of what it holds.
    sys.stdout.flush()
    os._exit(0)


def memory():
    """Bytes of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def fits(job):
    """Whether the parsed text may be kept in memory; else it is parsed again for each pass."""
    size = sum(os.path.getsize(file) for file in inputs_of(job))
    return size * (10 if job["format"] == "jsonl_zst" else 1) < memory() // 4


def inputs_of(job):
    return [os.path.join(job["logs"], name) for name in sorted(os.listdir(job["logs"]))]


def batches(folder, days=None):
    """Files of whole days, by day, in lists of at least so many bytes: what an engine spends on a query and not on its rows is
    then little, and hash tables stay small. Only the asked days, if any."""
    by_day = {}
    for file in sorted(os.listdir(folder)):
        if not days or file[:10] in days:
            by_day.setdefault(file[:10], []).append(os.path.join(folder, file))
    batch, size = {}, 0
    for day, files in by_day.items():
        batch[day] = files
        size += sum(map(os.path.getsize, files))
        if size >= BATCH_BYTES:
            yield batch
            batch, size = {}, 0
    if batch:
        yield batch


def fresh(folder):
    os.makedirs(folder, exist_ok=True)
    return folder


def gather(out, folders="day=*"):
    """The parts of a day become `<day>.parquet`, or `<day>-<n>.parquet` where the engine wrote several."""
    fresh(out)
    for folder in glob.glob(f"{out}.parts/{folders}"):
        day = folder.rsplit("=", 1)[1]
        for number, file in enumerate(sorted(os.listdir(folder))):
            os.rename(f"{folder}/{file}", f"{out}/{day}{f'-{number}' if number else ''}.parquet")
    shutil.rmtree(f"{out}.parts")

"""The machine and the versions: what a table of seconds means nothing without."""

import os
import platform
import subprocess
from importlib.metadata import version

PACKAGES = {"duckdb": "DuckDB", "chdb": "ClickHouse (chdb)", "polars": "Polars", "datafusion": "DataFusion"}


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def machine(binary):
    try:
        model = next(line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    ours = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return {
        "cores": cores(), "processor": model, "memory_gb": round(memory, 1), "system": f"{platform.system()} {platform.release()}",
        "versions": {"orgpulse": ours.removeprefix("orgpulse "),
                     **{label: version(package) for package, label in PACKAGES.items()},
                     "Python": platform.python_version()},
    }

"""One timed process: wall seconds and the peak of its resident memory."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENGINES, LAUNCH = HERE.parent / "engines", HERE / "launch.py"


class Failed(Exception):
    """A process that did not end well, with the end of what it said."""


@dataclass
class Run:
    """What a step cost. `seconds` is the work, `wall` the process with its start."""

    seconds: float
    wall: float
    peak_mb: float
    parts: dict = field(default_factory=dict)

    def __add__(self, other):
        return Run(self.seconds + other.seconds, self.wall + other.wall, max(self.peak_mb, other.peak_mb),
                   {**self.parts, **other.parts})


def timed(command, environment=None):
    """Runs a command, when the disk has what was written before it. Its output is kept only to be shown if it fails."""
    os.sync()
    with tempfile.NamedTemporaryFile() as answer, tempfile.NamedTemporaryFile() as output:
        launcher = [sys.executable, "-S", "-E", str(LAUNCH), answer.name, output.name, *map(str, command)]
        subprocess.run(launcher, env={**os.environ, **(environment or {})}, check=True)
        cost = json.loads(Path(answer.name).read_text())
        if cost["code"] != 0:
            said = Path(output.name).read_bytes().decode(errors="replace")[-4000:].strip()
            ended = f"killed by signal {-cost['code']} at {cost['peak_mb'] / 1024:.1f} GB" if cost["code"] < 0 else \
                f"exit code {cost['code']}"
            raise Failed(f"{' '.join(map(str, command))[:400]}\n{said}\n{ended}" if cost["code"] < 0 or not said else
                         f"{' '.join(map(str, command))[:400]}\n{ended}\n{said}")
    return Run(cost["wall"], cost["wall"], cost["peak_mb"])


def engine(script, job):
    """Runs a job of a peer in a fresh interpreter."""
    with tempfile.NamedTemporaryFile(suffix=".json") as answer:
        job = {**{k: str(v) if isinstance(v, Path) else v for k, v in job.items()}, "answer": answer.name}
        threads = str(job["threads"])
        run = timed([sys.executable, str(ENGINES / script), json.dumps(job, default=str)],
                    {"POLARS_MAX_THREADS": threads, "ENGINE_THREADS": threads})
        said = json.loads(Path(answer.name).read_text())
    return Run(said["seconds"], run.wall, run.peak_mb, said["parts"])

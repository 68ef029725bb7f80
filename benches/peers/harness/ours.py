"""orgpulse itself: its commands, timed."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from .process import timed


class Ours:
    """A store of its own in `folder`, with the dimension files of `source`."""

    def __init__(self, binary, folder, source, threads, memory=None):
        self.binary, self.folder, self.threads, self.memory = binary, Path(folder), threads, memory
        self.source = Path(source).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings(["push_received"])

    @property
    def store(self):
        return self.folder / "store"

    @property
    def reports(self):
        return self.folder / "reports"

    def settings(self, excluded):
        listed = ", ".join(f'"{action}"' for action in excluded)
        (self.folder / "orgpulse.toml").write_text(f"""[store]
path = "store"
[reports]
path = "reports"
[dimensions]
orgs = "{self.source}/orgs.csv"
users = "{self.source}/users.csv"
apps = "{self.source}/apps.csv"
campaigns = "{self.source}/campaigns.csv"
account_lists = "{self.source}/account_lists.csv"
calendar = "{self.source}/calendar.csv"
[who]
exclude_actions = [{listed}]
""")

    def command(self, *arguments):
        command = [self.binary, "--settings", self.folder / "orgpulse.toml", "--threads", self.threads, "--quiet"]
        command += ["--memory", self.memory] if self.memory else []
        return timed([str(part) for part in [*command, *arguments]])

    def ingest(self, *paths):
        return self.command("ingest", *paths)

    def run(self, metrics=None):
        return self.command("run", *(["--only", *metrics] if metrics else []))

    def rebuild(self):
        """All rollups anew: an action that no event has is excluded, which changes no number but makes every rollup
        stale. The same question asked again is what remains of the command without the rebuild."""
        self.settings(["push_received", "an action that no event has"])
        rebuilt = self.command("sql", "-c", "SELECT 1")
        plain = self.command("sql", "-c", "SELECT 1")
        rebuilt.seconds = max(rebuilt.seconds - plain.seconds, 0.001)
        return rebuilt

    def copy(self, folder):
        """The same store elsewhere. Sealed files never change, so they are linked."""
        other = Ours(self.binary, folder, self.source, self.threads, self.memory)
        link(self.store, other.store)
        if self.reports.exists():
            shutil.copytree(self.reports, other.reports, symlinks=True)
        return other

    def range(self):
        """The observed range: first and last day."""
        manifest = self.manifest()
        return manifest["first_day"], manifest["as_of"]

    def manifest(self):
        return json.loads((self.reports / "latest" / "manifest.json").read_text())

    def metrics(self):
        """What the program knows."""
        listed = subprocess.run([self.binary, "--json", "metrics", "list"], capture_output=True, text=True, check=True)
        return [row["name"] for row in json.loads(listed.stdout)]


def link(source, target):
    for root, _, files in os.walk(source):
        to = Path(target) / os.path.relpath(root, source)
        to.mkdir(parents=True, exist_ok=True)
        for name in files:
            if name.endswith(".parquet"):
                os.link(os.path.join(root, name), to / name)
            else:
                shutil.copy2(os.path.join(root, name), to / name)

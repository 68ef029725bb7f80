"""The table, the results file and the plots."""

import csv
import json

from .steps import LABELS, PEERS


def seconds(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def cell(row, mine):
    if row is None:
        return ""
    if row["seconds"] is None:
        return "-"
    ratio = f" ({row['seconds'] / mine:.1f}×)" if mine else ""
    return f"{seconds(row['seconds'])} s{ratio}, {row['peak_mb'] / 1024:.2f} GB"


def table(rows, title):
    """One table: a row for each step, a column for each program. The ratio is the peer's time over ours."""
    who = ["orgpulse", *[peer for peer in [*PEERS, "bare decode"] if any(r["who"] == peer for r in rows)]]
    lines = [f"| {title} | " + " | ".join({**LABELS}.get(w, w) for w in who) + " |", "|---|" + "---:|" * len(who)]
    steps = list(dict.fromkeys(row["step"] for row in rows))
    for step in steps:
        found = {row["who"]: row for row in rows if row["step"] == step}
        mine = found.get("orgpulse", {}).get("seconds")
        lines.append(f"| {step} | " + " | ".join(cell(found.get(w), mine if w != "orgpulse" else None) for w in who) + " |")
    # The sum over the steps that a peer did, against our sum over the same steps.
    totals = ["| **total** (of the peer's steps)"]
    for name in who:
        mine = {r["step"]: r for r in rows if r["who"] == "orgpulse" and r["seconds"] is not None}
        did = [r for r in rows if r["who"] == name and r["seconds"] is not None and r["step"] in mine]
        if name in ("orgpulse", "bare decode") or not did:
            # Ours: the steps that any peer did too.
            compared = {r["step"] for r in rows if r["who"] in PEERS}
            did = [r for step, r in mine.items() if step in compared] if name == "orgpulse" else []
            totals.append(f"{seconds(sum(r['seconds'] for r in did))} s" if did else "")
            continue
        theirs, ours = sum(r["seconds"] for r in did), sum(mine[r["step"]]["seconds"] for r in did)
        totals.append(f"{seconds(theirs)} s ({theirs / ours:.1f}×), {max(r['peak_mb'] for r in did) / 1024:.2f} GB")
    return lines + [" | ".join(totals) + " |"]


def write(options, machine, bench, took):
    options.output.mkdir(parents=True, exist_ok=True)
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    lines = [f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gb']} GB, {machine['system']}; {versions}. "
             f"{options.threads} threads for everyone. A cell: seconds, (peer's time / ours), peak memory.", ""]
    for size in sorted({row["events"] for row in bench.rows if row["events"] > 10_000}):
        rows = [row for row in bench.rows if row["events"] == size]
        lines += [*table(rows, f"{size / 1e6:g} M events"), ""]
    rows = [row for row in bench.rows if row["events"] <= 10_000]
    if rows:
        lines += [*table(rows, f"{options.day_events:,} events a day"), "", *spread(rows), ""]
    reasons = {(row["who"], row["reason"]) for row in bench.rows if row.get("reason")}
    lines += [f"- {LABELS.get(who, who)}: {reason}" for who, reason in sorted(reasons)]
    (options.output / "results.md").write_text("\n".join(lines) + "\n")
    with open(options.output / "results.json", "w") as file:
        json.dump({"machine": machine, "threads": options.threads, "days": options.days, "repeat": options.repeat,
                   "took_seconds": round(took), "rows": bench.rows, "growth": bench.growth}, file, indent=1)
    growth = [{"axis": "events", "events": r["events"], "users": "", "step": r["step"], "seconds": r["seconds"],
               "peak_mb": r["peak_mb"]} for r in bench.rows
              if r["who"] == "orgpulse" and r["seconds"] is not None and r["events"] > 10_000] + bench.growth
    with open(options.output / "growth.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["axis", "events", "users", "step", "seconds", "peak_mb"])
        writer.writeheader()
        writer.writerows(growth)
    plot(growth, options.output)


def spread(rows):
    """How the next day's cost grows from the shortest to the longest history."""
    lines = []
    for who in dict.fromkeys(row["who"] for row in rows):
        mine = sorted((row["events"], row["seconds"]) for row in rows
                      if row["who"] == who and row["step"].startswith("next day") and row["seconds"])
        if len(mine) > 1:
            (short, least), (long, most) = mine[0], mine[-1]
            lines.append(f"- next day, {LABELS.get(who, who)}: {most / least:.2f} times the cost from {short} to {long} days of history")
    return lines


def plot(growth, folder):
    """Time and memory against events, and against distinct users, both axes logarithmic: a straight line of slope 1 is linear."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    for axis in ("events", "users"):
        steps = {}
        for row in growth:
            if row["axis"] == axis:
                steps.setdefault(row["step"].split(" of ")[0], []).append((row[axis], row["seconds"], row["peak_mb"]))
        if not any(len(points) > 1 for points in steps.values()):
            continue
        figure, panes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
        for step, points in steps.items():
            points.sort()
            for pane, place, scale in ((panes[0], 1, 1), (panes[1], 2, 1024)):
                pane.plot([p[0] for p in points], [p[place] / scale for p in points], marker="o", label=step)
        for pane, label in zip(panes, ("seconds", "peak memory, GB")):
            pane.set(xscale="log", yscale="log", xlabel="events" if axis == "events" else "distinct users", ylabel=label)
            pane.grid(alpha=0.3)
        panes[0].legend(fontsize=8)
        figure.savefig(folder / f"growth-{axis}.svg", metadata={"Date": None})
        plt.close(figure)

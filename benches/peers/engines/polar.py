"""Polars, in its own expressions."""

import os
import shutil

import polars as pl

import sql
from common import fits, fresh, inputs_of, main

EVENT = {"event_id": pl.String, "ts": pl.Datetime("us", "UTC"), "user_id": pl.String, "org_id": pl.String,
         "app_id": pl.String, "action": pl.String, "duration_ms": pl.Int64, "concurrent_id": pl.String}
KEYS = ["org_id", "user_id", "app_id", "ts"]
COLUMNS = [*EVENT, "day"]
c, when, lit = pl.col, pl.when, pl.lit
# More than any day's number: a code and a day are one number, code * DAYS + day.
DAYS = 100_000


def source(job):
    files, duration = inputs_of(job), c("duration_ms").fill_null(0)
    if job["format"] == "parquet":
        logs = pl.scan_parquet(files)
    elif job["format"] == "csv":
        # Read as text: the reader's own guess of timestamps is slower than one format given.
        logs = pl.scan_csv(files, schema={**EVENT, "ts": pl.String, "client": pl.String})
        logs = logs.with_columns(c("ts").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us").dt.replace_time_zone("UTC"))
    else:
        logs = pl.scan_ndjson(files, schema={**EVENT, "ts": pl.String, "duration_s": pl.Float64})
        logs = logs.with_columns(c("ts").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us").dt.replace_time_zone("UTC"))
        # Some records give seconds.
        duration = pl.coalesce(c("duration_ms"), (c("duration_s") * 1000).round().cast(pl.Int64)).fill_null(0)
    return logs.select(
        c("event_id").fill_null(""), "ts", c("user_id").fill_null(""), c("org_id").fill_null(""), "app_id",
        c("action").fill_null("use"), duration.alias("duration_ms"), c("concurrent_id").fill_null(""),
        c("ts").dt.date().alias("day"))


def deduplicated(events, keys):
    """The few ids that were sent more than once are found first; only their events go through `unique`, the others pass.
    1.5 times as fast as `unique` over all. Any copy may win, because copies are equal."""
    again = events.filter(c("event_id") != "").group_by(keys).len().filter(c("len") > 1).select(keys).collect(engine="streaming")
    return pl.concat([
        events.join(again.lazy(), on=keys, how="anti"),
        events.join(again.lazy(), on=keys, how="semi").unique(keys, keep="any", maintain_order=False),
    ])


def ingest(job, clock):
    """One lazy query on the streaming engine: sorted, into a sink that writes a file for each day."""
    out, events = job["events"], source(job)
    if job["format"] != "parquet" and fits(job):
        # Text is parsed once and kept.
        events = events.collect(engine="streaming").lazy()
        clock("parse")
    sink = pl.PartitionBy(f"{out}.parts", key="day", include_key=True, approximate_bytes_per_file=None)
    deduplicated(events, ["day", "event_id"]).sort(["day", *KEYS]).sink_parquet(sink, compression="zstd", mkdir=True)
    fresh(out)
    for folder in os.listdir(f"{out}.parts"):
        for number, file in enumerate(sorted(os.listdir(f"{out}.parts/{folder}"))):
            day = folder.split("=", 1)[1]
            os.rename(f"{out}.parts/{folder}/{file}", f"{out}/{day}{f'-{number}' if number else ''}.parquet")
    shutil.rmtree(f"{out}.parts")
    clock("write")


def counted(events, keys, others):
    return events.group_by(keys).agg(
        pl.len().cast(pl.Int64).alias("events"), c("is_human").sum().cast(pl.Int64).alias("human_events"), *others,
        (c("duration_ms") * c("is_human")).sum().alias("usage_ms"),
    ).sort(keys)


def rollups(job, clock, days=None):
    """Day by day, both tables from one scan of the day."""
    internal = pl.read_parquet(f"{job['dims']}/users.parquet").filter("is_internal")["user_id"].implode()
    for name in ("user_day", "org_app_day"):
        fresh(f"{job['rollups']}/{name}")
    by_day = {}
    for file in sorted(os.listdir(job["events"])):
        by_day.setdefault(file[:10], []).append(f"{job['events']}/{file}")
    for day in sorted(days or by_day):
        events = pl.scan_parquet(by_day[day]).with_columns(
            is_human=(c("user_id") != "") & (c("action") != "push_received") & ~c("user_id").is_in(internal),
            is_machine=(c("user_id") == "") & (c("action") != "push_received"))
        seats = counted(events.filter(c("user_id") != ""), ["day", "org_id", "user_id"], [])
        apps = counted(events, ["day", "org_id", "app_id"],
                       [c("is_machine").sum().cast(pl.Int64).alias("machine_events")])
        for name, frame in zip(("user_day", "org_app_day"), pl.collect_all([seats, apps])):
            frame.write_parquet(f"{job['rollups']}/{name}/{day}.parquet", compression="zstd")
    clock("rollups")


def rate(a, b):
    return when(b > 0).then((2_000_000 * a + b) // (2 * b))


def date_of(days):
    return days.cast(pl.Int32).cast(pl.Date)


def month(days):
    day = date_of(days)
    return day.dt.year().cast(pl.Int32) * 12 + day.dt.month().cast(pl.Int32) - 1


PLACE = {"day": lambda d: d, "week": lambda d: (d + 3) // 7, "month": month}


class Report:
    """The states and the metrics. The plan is that of the shared SQL: see `sql`."""

    def __init__(self, job):
        self.out = fresh(job["reports"])
        self.f, self.d = sql.number(job["first"]), sql.number(job["last"])
        self.first, self.last = job["first"], job["last"]
        read = lambda name: pl.scan_parquet(f"{job['rollups']}/{name}/*.parquet").with_columns(c("day").cast(pl.Int32))
        self.user_day = read("user_day").collect()
        self.org_app_day = read("org_app_day").collect()
        self.orgs, self.users, self.apps = (
            pl.read_parquet(f"{job['dims']}/{name}.parquet") for name in ("orgs", "users", "apps"))
        self.days = pl.DataFrame({"day": range(self.f, self.d + 1)}, schema={"day": pl.Int32})
        self.period = pl.DataFrame(sql.periods(self.first, self.last), orient="row", schema={
            "grain": pl.String, "p": pl.Int32, "first_day": pl.Int32, "last_day": pl.Int32})

    def write(self, name, frame):
        frame.write_csv(f"{self.out}/{name}.csv")

    def org_days(self):
        apps = self.org_app_day.lazy().filter((c("org_id") != "") & (c("human_events") > 0)).group_by("day", "org_id").agg(
            pl.len().cast(pl.Int64).alias("apps"),
            (c("usage_ms") >= sql.APP_MIN_USAGE_MS).sum().cast(pl.Int64).alias("apps_over_threshold"), c("usage_ms").sum())
        seats = self.user_day.lazy().filter((c("org_id") != "") & (c("human_events") > 0)).group_by("day", "org_id").agg(
            pl.len().cast(pl.Int64).alias("users"))
        self.org_day = apps.join(seats, on=["day", "org_id"]).with_columns(
            is_dag=(c("usage_ms") >= sql.ORG_MIN_USAGE_MS) & (c("apps_over_threshold") >= sql.MIN_APPS)
            & (c("users") >= sql.MIN_USERS)).collect()

    def visits(self):
        """Days sorted within each entity by one sort of all rows, neighbours by a shift: 1.3 times faster than lists of
        days for each entity. Ids are categories, that is numbers, before they are sorted."""
        users = self.user_day.lazy().filter(c("human_events") > 0).select(
            lit("user").alias("entity"), c("user_id").alias("id"), "day")
        orgs = self.org_day.lazy().select(lit("org").alias("entity"), c("org_id").alias("id"), "day")
        dags = self.org_day.lazy().filter("is_dag").select(lit("dag").alias("entity"), c("org_id").alias("id"), "day")
        parts, self.active_28 = [], []
        for frame in pl.collect_all([users, orgs, dags]):
            entity = frame["entity"][0] if len(frame) else "none"
            number = frame.select("day", id=c("id").cast(pl.Categorical).to_physical())
            # One number to sort by: id, then day.
            key = number.select(key=c("id").cast(pl.Int64) * DAYS + c("day")).unique().sort("key")["key"]
            rows = pl.DataFrame({"id": key // DAYS, "day": (key % DAYS).cast(pl.Int32)})
            same = c("id") == c("id").shift(1)
            rows = rows.lazy().select(
                lit(entity).alias("entity"), "day", when(same).then(c("day").shift(1)).alias("previous"),
                when(c("id") == c("id").shift(-1)).then(c("day").shift(-1)).alias("next_day"),
                when(same).then(None).otherwise(c("day")).forward_fill().alias("first_day"), "id").collect()
            parts.append(rows)
            self.active_28.append(
                rows.filter(c("day") >= self.d - 27).group_by("entity", "id").agg(pl.len().alias("days_active")))
        self.visit = pl.concat(parts).drop("id")

    def cells(self):
        frames = []
        for grain, place in PLACE.items():
            placed = self.visit.lazy().with_columns(
                c=place(c("first_day")), p=place(c("day")), pp=place(c("previous")), pn=place(c("next_day")))
            daily = grain == "day"
            gap, ahead = c("day") - c("previous"), c("next_day") - c("day")
            count = lambda condition, name: condition.fill_null(False).sum().cast(pl.Int64).alias(name)
            frames.append(placed.group_by("entity", "c", "p").agg(
                count(c("pp").is_null() | (c("pp") < c("p")), "seen"),
                count((c("pp") == c("c")) & (c("p") > c("c")), "returned"),
                count(c("pn").is_null(), "last_seen"), count(c("pp") < c("p") - 1, "back"),
                count(c("pn").is_null() | (c("pn") > c("p") + 1), "leaving"),
                *([count(c("previous").is_null() | (gap > 7), "enter_7"), count(c("next_day").is_null() | (ahead > 7), "leave_7"),
                   count(gap > 28, "back_28"), count(c("next_day").is_null() | (ahead > 28), "leave_28")] if daily else
                  [lit(0, pl.Int64).alias(n) for n in ("enter_7", "leave_7", "back_28", "leave_28")]),
            ).select(lit(grain).alias("grain"), pl.all()))
        self.cell = pl.concat(pl.collect_all(frames))
        self.flow = self.cell.group_by("grain", "entity", "p").agg(
            c("seen").sum().alias("active"), c("seen").filter(c("c") == c("p")).sum().alias("fresh"),
            *(c(n).sum() for n in ("back", "leaving", "enter_7", "leave_7", "back_28", "leave_28")))

    def retention(self):
        ages = pl.DataFrame([(g, a) for g, limit in sql.LIMITS.items() for a in range(limit + 1)], orient="row",
                            schema={"grain": pl.String, "age": pl.Int32})
        cohort = self.cell.filter(c("c") == c("p")).select("entity", "grain", "c", cohort_size=c("seen"))
        aged = self.cell.select("entity", "grain", "c", (c("p") - c("c")).alias("age"), "seen", "returned", "last_seen")
        grid = cohort.join(ages, on="grain").with_columns(p=c("c") + c("age"))
        grid = grid.join(self.period.select("grain", c("p").alias("c"), cohort_day="first_day"), on=["grain", "c"])
        grid = grid.join(self.period.select("grain", "p", mature_on="last_day"), on=["grain", "p"])
        grid = grid.join(aged, on=["entity", "grain", "c", "age"], how="left").with_columns(
            c("seen", "returned", "last_seen").fill_null(0)).sort("entity", "grain", "c", "age")
        over = lambda expression: expression.over("entity", "grain", "c")
        complete = c("mature_on") <= self.d
        self.kept = grid.with_columns(
            on_or_after=c("cohort_size") + c("last_seen") - over(c("last_seen").cum_sum()),
            on_or_before=over(c("returned").cum_sum()),
        ).select(
            "entity", "grain", "cohort_day", "age", "cohort_size", complete.alias("is_complete"), when(complete).then("seen").alias("on"),
            when(complete).then("on_or_after").alias("on_or_after"),
            when(complete & (c("age") > 0)).then("on_or_before").alias("on_or_before"), "mature_on")

    def deep(self):
        """All keys are numbers (a category's number and the day, in one), all flags of an app one mask: a group-by or a sort over
        one integer column is several times as fast as one over text."""
        used = self.org_app_day.lazy().filter((c("org_id") != "") & (c("human_events") + c("machine_events") > 0)).select(
            "day", "app_id", org=c("org_id").cast(pl.Categorical)).collect()
        self.org_ids = used.select("org", code=c("org").to_physical().cast(pl.Int64)).unique().select(
            "code", org_id=c("org").cast(pl.String))
        # A join by app and then a filter by day: few apps have a history, and an as-of join sorts all rows. Before an app's
        # first span nothing is known of it.
        flags = ["production", "store", "process", "flow", "decide"]
        apps = self.apps.with_columns(
            eligible=(~c("category").is_in(["communication", "hr"])), production=c("system") != "", kind=c("system").rank("dense").cast(pl.Int64))
        kinds = apps["kind"].max() or 0
        spans = apps.select(
            "app_id", "valid_from", "valid_until", kind=when("production").then("kind"),
            mask=sum((c(flag).cast(pl.Int64) * 2 ** place for place, flag in enumerate(flags, 1)), c("eligible").cast(pl.Int64)))
        begun = spans.group_by("app_id").agg(c("valid_from").min()).filter(c("valid_from") > -719_162)
        spans = pl.concat([spans, begun.select(
            "app_id", valid_from=lit(-719_162), valid_until=c("valid_from") - 1, kind=lit(None, pl.Int64), mask=lit(1, pl.Int64))],
            how="vertical_relaxed")
        app = used.lazy().join(spans.lazy(), on="app_id", how="left").filter(
            c("valid_from").is_null() | ((c("day") >= c("valid_from")) & (c("day") <= c("valid_until")))
        ).select(
            "kind", mask=c("mask").fill_null(1), code=c("org").to_physical().cast(pl.Int64), day=c("day").cast(pl.Int64)).collect()
        fact = app.lazy().select("mask", key=c("code") * DAYS + c("day")).group_by("key").agg(c("mask").bitwise_or())
        packed = fact.select("key", packed=sum(
            ((c("mask") // 2 ** place % 2) * 64 ** (place + 1) for place in range(6)), lit(1, pl.Int64))).collect()
        system = app.lazy().filter(c("kind").is_not_null()).select(
            key=(c("code") * (kinds + 1) + c("kind")) * DAYS + c("day")).unique().sort("key").collect()
        same = lambda step: c("key") // DAYS == c("key").shift(step) // DAYS
        system = system.select(
            key=c("key") // DAYS // (kinds + 1) * DAYS + c("key") % DAYS,
            previous=when(same(1)).then(c("key") - c("key").shift(1)), ahead=when(same(-1)).then(c("key").shift(-1) - c("key")))
        # All counters in one number, as in the shared SQL: six bits for each, the rest for the systems.
        one = lit(64 ** 7, pl.Int64)
        change = pl.concat([
            packed,
            packed.select(c("key") + 28, -c("packed")),
            system.filter(c("previous").is_null() | (c("previous") >= 28)).select("key", packed=one),
            system.filter(c("ahead").is_null() | (c("ahead") >= 28)).select(c("key") + 28, packed=-one),
        ]).filter(c("key") % DAYS <= self.d).group_by("key").agg(c("packed").sum()).sort("key").select(
            "packed", code=c("key") // DAYS, day=(c("key") % DAYS).cast(pl.Int32))
        # A running sum over everything, less what it was where the organisation began.
        total = c("packed").cum_sum()
        begins = (c("code") != c("code").shift(1)).fill_null(True)
        window = change.with_columns(total=total, before=when(begins).then(total - c("packed")).forward_fill()).with_columns(
            packed=c("total") - c("before"))
        names = ["active", "eligible", *flags]
        window = window.select("code", "day", *(
            (c("packed") // 64 ** place % 64).cast(pl.Int32).alias(name) for place, name in enumerate(names)),
            (c("packed") // 64 ** 7).cast(pl.Int32).alias("systems"),
        ).with_columns(
            level=when(c("active") == 0).then(0).when(c("eligible") == 0).then(1)
            .when((c("production") < 8) | (c("systems") < 1)).then(2)
            .when((c("store") < 4) | (c("process") < 4) | (c("flow") < 4)).then(3).when(c("decide") < 2).then(4).otherwise(5))
        again = c("code") == c("code").shift(1)
        self.window = window.with_columns(
            previous_level=when(again).then(c("level").shift(1)),
            is_last=~(c("code") == c("code").shift(-1)).fill_null(False))
        self.move = self.window.filter(c("previous_level").is_null() | (c("level") != c("previous_level"))).select(
            "code", "day", "level", "previous_level").join(self.org_ids, on="code")

    def daily_activity(self):
        flow = self.flow.filter(c("grain") == "day")
        zero = lambda name: lit(0, pl.Int64).alias(name)
        change = pl.concat([
            flow.select(c("p").alias("day"), "entity", "active", in_7="enter_7", in_28=c("fresh") + c("back_28")),
            flow.select((c("p") + 7).alias("day"), "entity", zero("active"), (-c("leave_7")).alias("in_7"), zero("in_28")),
            flow.select((c("p") + 28).alias("day"), "entity", zero("active"), zero("in_7"), (-c("leave_28")).alias("in_28")),
        ])
        daily = self.days
        names = {"user": ("dau", "wau", "mau"), "org": ("active_orgs", "active_orgs_7d", "active_orgs_28d"),
                 "dag": ("dag", "dag_7d", "dag_28d")}
        for entity, (now, week, trailing) in names.items():
            one = change.filter(c("entity") == entity).group_by("day").agg(
                c("active").sum().alias(now), c("in_7").sum().alias(week), c("in_28").sum().alias(trailing))
            daily = daily.join(one, on="day", how="left").sort("day").with_columns(
                c(now).fill_null(0), c(week).fill_null(0).cum_sum(), c(trailing).fill_null(0).cum_sum())
        deep = self.move.filter((c("level") == 5) | (c("previous_level") == 5)).group_by("day").agg(
            when(c("level") == 5).then(1).otherwise(-1).sum().alias("deep_orgs"))
        daily = daily.join(deep, on="day", how="left").sort("day").with_columns(c("deep_orgs").fill_null(0).cum_sum())
        self.write("daily_activity", daily.select(
            date_of(c("day")).alias("day"), *(n for three in names.values() for n in three), "deep_orgs",
            rate(c("dau"), c("mau")).alias("stickiness"), rate(c("dag"), c("dag_28d")).alias("dag_stickiness"),
            (c("day") >= self.f + 6).alias("is_complete_7d"), (c("day") >= self.f + 27).alias("is_complete_28d")))

    def entity_retention(self, entity):
        self.write(f"{entity}_retention", self.kept.filter(c("entity") == entity).sort("grain", "cohort_day", "age").select(
            "grain", date_of(c("cohort_day")).alias("cohort"), c("age").alias("period"), "cohort_size", "on", "on_or_after",
            "on_or_before", rate(c("on"), c("cohort_size")).alias("on_rate"),
            rate(c("on_or_after"), c("cohort_size")).alias("on_or_after_rate"), "is_complete",
            date_of(c("mature_on")).alias("mature_on")))

    def user_retention(self):
        self.entity_retention("user")

    def org_retention(self):
        self.entity_retention("org")

    def dag_retention(self):
        self.entity_retention("dag")

    def retention_summary(self):
        pooled = self.kept.filter("is_complete").group_by("entity", "grain", "age").agg(
            pl.len().alias("cohorts"), c("cohort_size").sum(), c("on").sum()).sort("entity", "grain", "age")
        self.write("retention_summary", pooled.select(
            "entity", "grain", c("age").alias("period"), "cohorts", "cohort_size", "on",
            rate(c("on"), c("cohort_size")).alias("on_rate")))

    def growth_accounting(self):
        entities = pl.DataFrame({"entity": ["dag", "org", "user"]})
        calendar = entities.join(self.period, how="cross")
        keys = ["grain", "entity", "p"]
        later = lambda step, name: self.flow.select("grain", "entity", c("p") + step, churned=name)
        fill = lambda *names: [c(n).fill_null(0) for n in names]
        periods = calendar.join(self.flow, on=keys, how="left").join(later(1, "leaving"), on=keys, how="left").with_columns(
            *fill("active", "fresh", "back", "churned"),
            is_complete=(c("first_day") >= self.f) & (c("last_day") <= self.d), period_start="first_day")
        days = calendar.filter(c("grain") == "day").join(self.flow, on=keys, how="left").join(
            later(28, "leave_28"), on=keys, how="left").with_columns(fill("fresh", "back_28", "churned")).sort("entity", "p")
        days = days.with_columns(
            grain=lit("trailing_28"), period_start="p", back="back_28", is_complete=c("p") >= self.f + 27,
            active=(c("fresh") + c("back_28") - c("churned")).cum_sum().over("entity"))
        columns = ["entity", "grain", "period_start", "active", "fresh", "back", "churned", "is_complete"]
        moved = pl.concat([periods.select(columns), days.select(columns)]).sort("entity", "grain", "period_start")
        self.write("growth_accounting", moved.select(
            "entity", "grain", date_of(c("period_start")).alias("period_start"), "active", c("fresh").alias("new"),
            (c("active") - c("fresh") - c("back")).alias("retained"), c("back").alias("resurrected"), "churned",
            rate(c("fresh") + c("back"), c("churned")).alias("quick_ratio"), "is_complete"))

    def stickiness(self):
        counted = pl.concat(self.active_28).group_by("entity", "days_active").agg(pl.len().alias("entities"))
        grid = pl.DataFrame({"entity": ["dag", "org", "user"]}).join(
            pl.DataFrame({"days_active": range(1, 29)}, schema={"days_active": pl.get_index_type()}), how="cross")
        grid = grid.join(counted, on=["entity", "days_active"], how="left").with_columns(c("entities").fill_null(0))
        self.write("stickiness", grid.sort("entity", "days_active").with_columns(
            at_least=c("entities").cum_sum(reverse=True).over("entity"), is_complete=lit(self.d >= self.f + 27)))

    def named(self, frame):
        """With the organisation's name as at the day; spans touch, so the last one that began is the one that holds."""
        names = self.orgs.select("org_id", "name", c("valid_from").cast(pl.Int32)).sort("valid_from")
        return frame.sort("day").join_asof(names, left_on="day", right_on="valid_from", by="org_id", strategy="backward",
                                           check_sortedness=False).with_columns(c("name").fill_null(""))

    def dag_orgs(self):
        self.write("dag_orgs", self.named(self.org_day.filter("is_dag")).sort("day", "org_id").select(
            date_of(c("day")).alias("day"), "org_id", "name", "users", "apps", "apps_over_threshold",
            c("usage_ms").alias("usage_seconds")))

    def dag_near_misses(self):
        short = lambda least, name: pl.max_horizontal(lit(least) - c(name), lit(0))
        ruled = self.org_day.select(
            "day", "org_id", usage=short(sql.ORG_MIN_USAGE_MS, "usage_ms"), lacking=short(sql.MIN_APPS, "apps_over_threshold"),
            seats=short(sql.MIN_USERS, "users"))
        failed = sum((c(n) > 0).cast(pl.Int32) for n in ("usage", "lacking", "seats"))
        missed = self.named(ruled.filter((failed == 1) & (c("lacking") <= 1))).sort("day", "org_id")
        self.write("dag_near_misses", missed.select(
            date_of(c("day")).alias("day"), "org_id", "name",
            when(c("usage") > 0).then(lit("a")).when(c("lacking") > 0).then(lit("b")).otherwise(lit("c")).alias("failed_rule"),
            c("lacking").alias("apps_short"), c("usage").alias("usage_seconds_short")))

    def dag_sensitivity(self):
        steps = (0, 1, 2, 4, 8)
        app = sorted({(sql.APP_MIN_USAGE_MS * s + 1) // 2 for s in steps})
        org = sorted({(sql.ORG_MIN_USAGE_MS * s + 1) // 2 for s in steps})
        active = self.org_day.filter((c("day") == self.d) & (c("users") >= sql.MIN_USERS)).select("org_id", "usage_ms")
        used = self.org_app_day.filter((c("day") == self.d) & (c("human_events") > 0)).join(
            active, on="org_id", suffix="_org").group_by("org_id", "usage_ms_org").agg(
                *((c("usage_ms") >= a).sum().alias(f"apps_{a}") for a in app))
        rows = [{"day": self.last, "min_apps": n, "app_min_usage_seconds": a, "org_min_usage_seconds": o,
                 "dag": used.filter((c(f"apps_{a}") >= n) & (c("usage_ms_org") >= o)).height}
                for n in range(1, 7) for a in app for o in org]
        self.write("dag_sensitivity", pl.DataFrame(rows))

    def registered(self):
        seen = self.org_app_day.filter(c("org_id") != "").group_by("org_id").agg(registered_on=c("day").min())
        listed = self.orgs.group_by("org_id").agg(registered_on=c("registered_on").min().fill_null(-1_000_000).cast(pl.Int32))
        both = pl.concat([seen, listed]).group_by("org_id").agg(c("registered_on").min())
        return both.filter(c("registered_on") <= self.d).with_columns(c("registered_on").clip(lower_bound=self.f))

    def deep_integration_levels(self):
        registered = self.registered()
        move = self.move.filter(c("level") != c("previous_level").fill_null(0)).join(registered, on="org_id").with_columns(
            was=c("previous_level").is_not_null() | (c("registered_on") < c("day")), previous_level=c("previous_level").fill_null(0))
        begun = self.move.group_by("org_id").agg(registered_on=c("day").min())
        quiet = registered.join(begun, on=["org_id", "registered_on"], how="anti")
        one, none = lit(1, pl.Int64), lit(0, pl.Int64)
        turn = pl.concat([
            move.select("day", "level", entered=one, gone=none),
            move.filter("was").select("day", level="previous_level", entered=none, gone=one),
            quiet.select(day="registered_on", level=lit(0, pl.Int32), entered=one, gone=none),
        ]).group_by("day", "level").agg(c("entered").sum(), c("gone").sum())
        levels = pl.DataFrame(sql.LEVELS, orient="row", schema={"level": pl.Int32, "name": pl.String})
        daily = self.days.join(levels, how="cross").join(turn, on=["day", "level"], how="left").with_columns(
            c("entered", "gone").fill_null(0)).sort("day", "level")
        later = lambda name: when(c("day") > self.f).then(c(name))
        self.write("deep_integration_levels", daily.select(
            date_of(c("day")).alias("day"), "level", "name",
            (c("entered") - c("gone")).cum_sum().over("level").alias("orgs"), later("entered").alias("entered"),
            later("gone").alias("left"), (c("day") >= self.f + 27).alias("is_complete")))

    def deep_integration_orgs(self):
        since = self.move.group_by("org_id").agg(since=c("day").max())
        levels = pl.DataFrame(sql.LEVELS, orient="row", schema={"level": pl.Int32, "level_name": pl.String})
        present = self.window.filter(c("is_last") & (c("level") >= 2)).with_columns(day=lit(self.d, pl.Int32)).join(
            self.org_ids, on="code").join(since, on="org_id").join(levels, on="level")
        word = lambda level, name, least, text: when((c("level") == level) & (c(name) < least)).then(lit(text))
        self.write("deep_integration_orgs", self.named(present).sort("org_id").select(
            "org_id", "name", "level", "level_name", date_of(c("since")).alias("since"), "systems",
            *(c(n).alias(f"{n}_days") for n in ("production", "store", "process", "flow", "decide")),
            pl.concat_str(
                word(2, "systems", 1, "systems"), word(2, "production", 8, "production_days"), word(3, "store", 4, "store_days"),
                word(3, "process", 4, "process_days"), word(3, "flow", 4, "flow_days"), word(4, "decide", 2, "decide_days"),
                separator=";", ignore_nulls=True).alias("missing")))

    def data_quality(self):
        accepted = self.days.join(self.org_app_day.group_by("day").agg(c("events").sum()), on="day", how="left").with_columns(
            c("events").fill_null(0)).sort("day").with_columns(before=c("events").shift(1))

        def unknown(table, key, known, rule):
            lost = table.filter(c(key) != "").select("day", key).join(known.select(key).unique(), on=key, how="anti")
            return lost.group_by("day").agg(found=c(key).n_unique().cast(pl.Int64)).select("day", check=lit(rule), found="found")

        finding = pl.concat([
            accepted.select("day", check=lit("accepted"), found="events"),
            unknown(self.org_app_day, "org_id", self.orgs, "unknown_org"),
            unknown(self.user_day, "user_id", self.users, "unknown_user"),
            unknown(self.org_app_day, "app_id", self.apps, "unknown_app"),
            accepted.filter(c("events") == 0).select("day", check=lit("missing_day"), found=lit(1, pl.Int64)),
            accepted.filter((c("events") > 0) & (c("before") > 0) & (
                (c("events") > 3 * c("before")) | (3 * c("events") < c("before")))).select(
                    "day", check=lit("volume_change"), found=rate(c("events"), c("before"))),
        ]).sort("day", "check")
        self.write("data_quality", finding.select(
            date_of(c("day")).alias("day"), "check", c("found").alias("value"),
            when(c("check") == "accepted").then(lit("info")).otherwise(lit("warning")).alias("severity")))


def metrics(job, clock):
    report = Report(job)
    clock("read")
    need = sql.needed(job["metrics"])
    report.org_days()
    clock("org_day")
    if need["visit"]:
        report.visits()
        clock("visit")
        report.cells()
        clock("cell")
    if need["retention"]:
        report.retention()
        clock("retention")
    if need["deep"]:
        report.deep()
        clock("deep_window")
    for name in job["metrics"]:
        getattr(report, name)()
        clock(name)


def day(job, clock):
    events = source(job)
    sealed = f"{job['events']}/{job['day']}.parquet"
    fresh(job["events"])
    if os.path.exists(sealed):
        events = pl.concat([events.select(COLUMNS), pl.scan_parquet(sealed).select(COLUMNS)])
    deduplicated(events, ["event_id"]).sort(KEYS).collect(engine="streaming").write_parquet(f"{sealed}.new", compression="zstd")
    os.replace(f"{sealed}.new", sealed)
    rollups(job, clock, [job["day"]])
    clock("ingest")
    metrics(job, clock)


if __name__ == "__main__":
    main({"ingest": ingest, "rollups": rollups, "metrics": metrics, "day": day})

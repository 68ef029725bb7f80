"""Deep integration, and the apps that stand for it."""

import polars as pl

import sql.terms as terms

from .terms import DAYS, c, date_of, lit, when


class Integration:
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
        move = self.window.filter(c("previous_level").is_null() | (c("level") != c("previous_level")))
        self.move = move.select("code", "day", "level", "previous_level", until=when(c("code") == c("code").shift(-1)).then(
            c("day").shift(-1) - 1).otherwise(self.d)).join(self.org_ids, on="code")

    def deep_integration_levels(self):
        registered = self.registration
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
        levels = pl.DataFrame(terms.LEVELS, orient="row", schema={"level": pl.Int32, "name": pl.String})
        daily = self.days.join(levels, how="cross").join(turn, on=["day", "level"], how="left").with_columns(
            c("entered", "gone").fill_null(0)).sort("day", "level")
        later = lambda name: when(c("day") > self.f).then(c(name))
        self.write("deep_integration_levels", daily.select(
            date_of(c("day")).alias("day"), "level", "name",
            (c("entered") - c("gone")).cum_sum().over("level").alias("orgs"), later("entered").alias("entered"),
            later("gone").alias("left"), (c("day") >= self.f + 27).alias("is_complete")))

    def deep_integration_orgs(self):
        since = self.move.group_by("org_id").agg(since=c("day").max())
        levels = pl.DataFrame(terms.LEVELS, orient="row", schema={"level": pl.Int32, "level_name": pl.String})
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

    def integration_assets(self):
        keys = ["org_id", "category"]
        apps = self.apps.lazy().filter(c("category").is_in(["connector", "lowcode"]))
        week = self.org_app_day.lazy().filter(c("org_id") != "", c("human_events") + c("machine_events") > 0).join(
            apps, on="app_id").filter(c("day") >= c("valid_from"), c("day") <= c("valid_until")).select(
                *keys, "app_id", week=(c("day") + 3) // 7).unique().collect()
        first = week.group_by(*keys, "app_id").agg(c("week").min()).group_by(*keys, "week").agg(first_seen=pl.len().cast(pl.Int64))
        used = week.group_by(*keys, "week").agg(in_use=pl.len()).join(first, on=[*keys, "week"], how="left").with_columns(
            c("first_seen").fill_null(0)).sort(*keys, "week").with_columns(
                total=c("first_seen").cum_sum().over(keys), begins=c("week") * 7 - 3).sort("week", *keys)
        self.write("integration_assets", used.select(
            date_of(c("begins")).alias("week"), "org_id", c("category").alias("kind"), "in_use", "first_seen",
            c("total").alias("cumulative"), self.observed(c("begins"), c("begins") + 6)))

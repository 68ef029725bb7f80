"""Who is active, stays, grows and leaves."""

import polars as pl

from .terms import c, change_rate, date_of, lit, rate, when


class Activity:
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

    def dormant_orgs(self):
        dormant = self.org_day.group_by("org_id").agg(last=c("day").max()).filter(c("last") <= self.d - 28)
        rows = self.user_day.filter(c("human_events") > 0).join(dormant, on="org_id", how="semi")
        peak = self.trailing(rows, "org_id", "user_id").with_columns(held=c("step").cum_sum().over("org")).group_by("org").agg(
            c("held").max()).select("held", org_id=c("org").cast(pl.String))
        level = self.move.join(dormant, on="org_id").filter(c("day") <= c("last"), c("until") >= c("last")).select("org_id", "level")
        shown = dormant.join(peak, on="org_id").join(level, on="org_id").with_columns(day=lit(self.d, pl.Int32))
        self.write("dormant_orgs", self.named(shown).sort("org_id").select(
            "org_id", "name", date_of(c("last")).alias("last_active_on"), (self.d - c("last")).alias("days_inactive"),
            c("held").alias("peak_28d_users"), c("level").alias("deep_level_before")))

    def weekday_comparison(self):
        on = when(c("is_work_day").is_null()).then((c("day") + 3) % 7 < 5).otherwise(c("is_work_day") == 1)
        work = self.days.select("day").join(self.calendar.select(c("day").cast(pl.Int32), "is_work_day"), on="day", how="left").filter(on)
        parts = pl.DataFrame({"measure": ["active_orgs", "dag", "dau"], "entity": ["org", "dag", "user"]})
        flow = self.flow.filter(c("grain") == "day").select("entity", "active", day="p")
        measured = work.join(parts, how="cross").join(flow, on=["day", "entity"], how="left").with_columns(
            c("active").fill_null(0)).sort("day", "measure")
        before = lambda name: c(name).shift(1).over("measure", c("day") % 7)
        near = before("day") >= c("day") - 56
        compared = measured.with_columns(day_before=when(near).then(before("day")), active_before=when(near).then(before("active")))
        change = c("active") - c("active_before")
        self.write("weekday_comparison", compared.select(
            date_of(c("day")).alias("day"), "measure", c("active").alias("value"), date_of(c("day_before")).alias("compared_on"),
            c("active_before").alias("compared_value"), change.alias("difference"),
            change_rate(change, c("active_before")).alias("change_rate")))

"""How large organisations are, how many there are, and which of those that are wanted."""

import polars as pl

import sql.terms as terms

from .terms import c, change_rate, date_of, lit, rate


class Size:
    def org_size_tiers(self):
        """Of each month's end and of the year before, the few rows that hold on the day."""
        large = self.orgs.filter(c("headcount") >= terms.TIERS[0])
        tiers = pl.DataFrame({"tier": terms.TIERS}, schema={"tier": pl.Int64})

        def counted(rows, day, since, name):
            held = rows.join(self.month, how="cross").filter(c(day) >= c("valid_from"), c(day) <= c("valid_until"), c(day) >= since)
            return held.join(tiers, how="cross").filter(c("headcount") >= c("tier")).group_by("month", "tier").agg(
                pl.len().cast(pl.Int64).alias(name))

        registered = large.drop("registered_on").join(self.registration, on="org_id")
        grid = self.month.join(tiers, how="cross")
        for frame in (counted(registered, "as_at", c("registered_on"), "orgs"),
                      counted(large, "year_before", pl.coalesce("registered_on", "valid_from"), "before")):
            grid = grid.join(frame, on=["month", "tier"], how="left")
        shown = grid.with_columns(c("orgs", "before").fill_null(0)).sort("month", "tier")
        self.write("org_size_tiers", shown.select(
            date_of(c("first_day")).alias("month"), c("tier").alias("min_headcount"), "orgs", c("before").alias("orgs_year_before"),
            change_rate(c("orgs") - c("before"), c("before")).alias("growth"), (c("last_day") <= self.d).alias("is_complete")))

    def milestones(self):
        """The first active day is looked up only for the few ids that no file gives a date."""
        people = self.users.filter(~c("is_internal"))
        frames = []
        for entity, key, file, used in (("org", "org_id", self.orgs, self.org_day),
                                        ("user", "user_id", people, self.user_day.filter(c("human_events") > 0))):
            listed = file.filter(c("registered_on").is_not_null()).group_by(key).agg(day=c("registered_on").min().cast(pl.Int32))
            seen = used.lazy().join(listed.lazy(), on=key, how="anti").group_by(key).agg(c("day").min()).collect()
            come = pl.concat([listed.select("day"), seen.select("day")]).filter(c("day") <= self.d).sort("day")["day"]
            reached = [number for number in terms.milestones() if number <= len(come)]
            frames.append(pl.DataFrame({"threshold": reached}, schema={"threshold": pl.Int64}).select(
                lit(entity).alias("entity"), "threshold", day=lit(come).gather(c("threshold") - 1)).with_columns(
                    days=c("day") - c("day").shift(1)))
        self.write("milestones", pl.concat(frames).select(
            "entity", "threshold", date_of(c("day")).alias("reached_on"), c("days").alias("days_since_previous")))

    def account_list_penetration(self):
        recent = self.org_day.filter(c("day") >= self.d - 27).group_by("org_id").agg(c("is_dag").any())
        deep = self.move.filter((c("until") == self.d) & (c("level") == 5))
        known = lambda frame, name: frame.select("org_id", lit(True).alias(name))
        listed = self.account_lists
        for frame in (known(self.registration, "registered"), known(recent, "active"), recent, known(deep, "deep")):
            listed = listed.join(frame, on="org_id", how="left")
        flags = ["registered", "active", "is_dag", "deep"]
        counted = listed.group_by("list", "account").agg(c(flags).fill_null(False).any()).group_by("list").agg(
            pl.len().cast(pl.Int64).alias("accounts"), c(flags).sum().cast(pl.Int64)).sort("list")
        self.write("account_list_penetration", counted.select(
            "list", "accounts", "registered", c("active").alias("active_28d"), c("is_dag").alias("dag_28d"), "deep",
            rate(c("active"), c("accounts")).alias("penetration")))

"""What is odd about the data."""

import polars as pl

from .terms import c, date_of, lit, rate, when


class Quality:
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

"""How apps are used, and what meets in them."""

import polars as pl

from .terms import c, date_of, lit, rate


class Apps:
    def app_adoption(self):
        """A row for each user of a week's app first, then counts."""
        weekly, last = (c("day") + 3) // 7, c("week") * 7 + 3
        used = self.app_user_day.select(
            week=weekly, app=c("app_id").cast(pl.Categorical), user=c("user_id").cast(pl.Categorical), events="human_events",
            usage="usage_ms",
        ).group_by("week", "app", "user").agg(c("events", "usage").sum()).group_by("week", "app").agg(
            c("events", "usage").sum(), users=pl.len().cast(pl.Int64)).with_columns(app_id=c("app").cast(pl.String)).collect()
        orgs = self.org_app_day.lazy().filter(c("org_id") != "", c("human_events") > 0).group_by(
            "app_id", week=weekly).agg(orgs=c("org_id").n_unique()).collect()
        of_all = self.flow.filter((c("grain") == "week") & (c("entity") == "user")).select(week="p", of_all="active")
        names = used.select("week", "app_id").join(self.apps, on="app_id").filter(
            last >= c("valid_from"), last <= c("valid_until")).select("week", "app_id", "name", "category")
        shown = used.join(of_all, on="week").join(orgs, on=["week", "app_id"], how="left").join(
            names, on=["week", "app_id"], how="left").with_columns(
                c("orgs").fill_null(0), c("name", "category").fill_null(""), last=last).sort("week", "app_id")
        self.write("app_adoption", shown.select(
            date_of(c("last") - 6).alias("week"), "app_id", "name", "category", "users", "orgs", "events",
            c("usage").alias("usage_seconds"), rate(c("users"), c("of_all")).alias("user_share"), self.observed(c("last") - 6, c("last"))))

    def app_breadth(self):
        change = self.trailing(self.org_app_day.filter((c("org_id") != "") & (c("human_events") > 0)), "org_id", "app_id")
        breadth = change.with_columns(apps=c("step").cum_sum().over("org"))
        one = lit(1, pl.Int64)
        turn = pl.concat([
            breadth.select("day", "apps", orgs=one), breadth.select("day", c("apps") - c("step"), orgs=-one),
        ]).filter(c("apps") > 0).group_by("day", "apps").agg(c("orgs").sum())
        held = self.days.select("day").join(turn.select("apps").unique(), how="cross").join(turn, on=["day", "apps"], how="left").sort(
            "day", "apps").with_columns(c("orgs").fill_null(0).cum_sum().over("apps")).filter(c("orgs") > 0)
        self.write("app_breadth", held.select(
            date_of(c("day")).alias("day"), "apps", "orgs", (c("day") >= self.f + 27).alias("is_complete")))

    def concurrency_peaks(self):
        self.write("concurrency_peaks", self.concurrency_day.sort("day", "app_id").select(
            date_of(c("day")).alias("day"), "app_id", "peak_users", c("peak_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.3f+00:00"), "peak_rooms",
            "largest_room").collect())

    def meeting_volume(self):
        apps = self.apps.lazy().filter(c("category") == "communication").select("app_id", "valid_from", "valid_until")
        meeting = self.room_day.filter(c("org_id") != "").join(apps, on="app_id").filter(
            c("day") >= c("valid_from"), c("day") <= c("valid_until")).join(self.days.lazy(), on="day").group_by("month", "org_id").agg(
                meetings=c("concurrent_id").n_unique().cast(pl.Int64)).collect()
        shown = meeting.join(self.month, on="month").sort("month", "org_id")
        self.write("meeting_volume", shown.select(
            date_of(c("first_day")).alias("month"), "org_id", "meetings",
            rate(c("meetings"), c("as_at") - c("first_day") + 1).alias("meetings_per_day"),
            self.observed(c("first_day"), c("last_day"))))

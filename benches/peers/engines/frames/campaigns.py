"""Campaigns: whom they brought, and who of them stayed."""

import polars as pl

import sql.terms as terms

from .terms import c, lit, rate

KNOWN = (1, 7, 30)


class Campaigns:
    def campaign_funnel(self):
        """Only users whose days after registering can be observed are looked up among the user days. Who registered on one day in
        one campaign, or in none, is counted together."""
        person = self.users.filter(~c("is_internal"))
        listed = self.campaigns.with_columns(
            c("start_on").fill_null(terms.EVER), c("end_on").fill_null(terms.NEVER), c("reward").fill_null(0),
            c("streak_days").fill_null(15))
        named = person.filter(c("campaign") != "").select("campaign").unique().join(listed, on="campaign", how="anti").with_columns(
            start_on=lit(terms.EVER, pl.Int32), end_on=lit(terms.NEVER, pl.Int32), streak_days=lit(15, pl.Int64))
        term = pl.concat([listed, named], how="diagonal")

        age = c("day") - c("registered_on")
        recent = person.lazy().filter(c("registered_on").is_between(self.f - 30, self.d)).select("user_id", "registered_on")
        back = self.user_day.lazy().filter(c("human_events") > 0).select("user_id", "day").join(recent, on="user_id").filter(
            (age >= 0) & (age <= 30)).group_by("user_id").agg(
                (age <= 6).any().alias("activated"), *((age == n).any().alias(f"seen_{n}") for n in KNOWN)).collect()
        counts = ["activated", *(f"seen_{n}" for n in KNOWN)]
        known = lambda n: (c("registered_on") + n).is_between(self.f, self.d).sum().cast(pl.Int64).alias(f"known_{n}")
        cohort = person.join(back, on="user_id", how="left").group_by("campaign", "registered_on").agg(
            pl.len().cast(pl.Int64).alias("users"), *(c(name).sum().cast(pl.Int64) for name in counts), *map(known, KNOWN))
        numbers = [*(f"seen_{n}" for n in KNOWN), *(f"known_{n}" for n in KNOWN)]
        ours = cohort.filter(c("campaign") != "").group_by("campaign").agg(c("users", "activated", *numbers).sum())
        organic = cohort.filter(c("campaign") == "").drop("campaign").join(
            term.select("campaign", "start_on", "end_on"), how="cross").filter(
                c("registered_on") >= c("start_on"), c("registered_on") <= c("end_on")).group_by("campaign").agg(
                    c(n).sum().alias(f"organic_{n}") for n in numbers)
        invitation = person.filter((c("campaign") != "") & (c("invited_by") != "")).group_by("campaign").agg(
            invited=pl.len().cast(pl.Int64), inviters=c("invited_by").n_unique().cast(pl.Int64))

        day = self.user_day.lazy().filter(c("check_ins") > 0).select("user_id", "day").join(
            person.lazy().filter(c("campaign") != "").select("user_id", "campaign"), on="user_id").join(
                term.lazy().select("campaign", "start_on", "end_on", "streak_days"), on="campaign").filter(
                    c("day") >= c("start_on"), c("day") <= c("end_on")).select("user_id", "campaign", "day", "streak_days").unique().sort(
                        "user_id", "day")
        completed = day.with_columns(streak=c("day") - pl.int_range(pl.len()).over("user_id")).group_by(
            "campaign", "user_id", "streak", "streak_days").len().filter(c("len") >= c("streak_days")).group_by("campaign").agg(
                completed=c("user_id").n_unique().cast(pl.Int64)).collect()

        funnel = term
        for frame in (ours, organic, invitation, completed):
            funnel = funnel.join(frame, on="campaign", how="left")
        filled = ["users", "activated", "invited", "inviters", "completed"]
        funnel = funnel.with_columns(c(filled).fill_null(0)).with_columns(reward_cost=c("completed") * c("reward")).with_columns(
            cents=c("cost") + c("reward_cost")).sort("campaign")
        self.write("campaign_funnel", funnel.select(
            "campaign", c("users").alias("acquired"), "inviters", "invited", rate(c("invited"), c("inviters")).alias("k_factor"),
            "activated", c("completed").alias("streak_completed"), "cost", "reward_cost",
            rate(c("cents"), 100 * c("users")).alias("cost_per_acquired"), rate(c("cents"), 100 * c("seen_30")).alias("cost_per_retained"),
            *(rate(c(f"{prefix}seen_{n}"), c(f"{prefix}known_{n}")).alias(f"{prefix}d{n}") for prefix in ("", "organic_") for n in KNOWN)))

"""Segments: who is active in them, how they grow, and why their shares change; and the seats that organisations keep."""

import polars as pl

import sql.terms as terms

from .seats import BITS
from .terms import c, date_of, lit, rate, when

KEYS = ["day", "dimension", "segment"]
COUNTS = ["orgs", "headcount", "counted", "deep_orgs", "active_orgs", "dag", "dau", "mau"]


def bit(bits, place):
    return bits // 2 ** place % 2


class Segments:
    def activity_by_segment(self):
        """The users of a segment are the seats in it, less those of a user who was counted there for another organisation: of users
        of several, each seat is taken out and the user put in once."""
        one = lit(1, pl.Int64)
        months = self.month.with_columns(number=(c("month") - self.month["month"][0]).cast(pl.Int64))
        upto = lambda place: lit(2, pl.Int64) ** place.cast(pl.Int64)
        held = self.org_place.lazy().join(months.lazy(), how="cross").filter(
            c("valid_from") <= c("last_day"), c("valid_until") >= c("first_day")).select(
                "org_id", "dimension", "segment", month="number",
                held=upto(pl.min_horizontal(c("valid_until") - c("first_day"), 30) + 1)
                - upto(pl.max_horizontal(c("valid_from") - c("first_day"), 0))).collect()
        person = self.seat_month.lazy().group_by("month", "user").agg(
            c("active").bitwise_or(), c("seen").bitwise_or(), several=self.of_org.sum() > 1).collect()
        shared = self.seat_month.lazy().filter(self.of_org).join(
            person.lazy().filter("several").select("month", "user"), on=["month", "user"]).join(
                self.seat_org.lazy(), on="org").join(held.lazy(), on=["month", "org_id"]).select(
                    "month", "dimension", "segment", "user", active=c("active") & c("held"), seen=c("seen") & c("held")).collect()
        roles = self.users.select("user_id", segment=when(c("role") != "").then("role"))
        columns = ["month", "dimension", "segment", "active", "seen", "users"]
        pattern = pl.concat([
            self.org_seat.join(held, on=["month", "org_id"]).with_columns(active=0 * one, seen=c("seen") & c("held")).select(columns),
            shared.with_columns(users=-one).select(columns),
            shared.group_by("month", "dimension", "segment", "user").agg(
                c("active").bitwise_or(), c("seen").bitwise_or()).with_columns(users=one).select(columns),
            person.join(self.seat_user.join(roles, on="user_id", how="left"), on="user").with_columns(
                c("segment").fill_null(terms.UNKNOWN), dimension=lit("role"), users=one).select(columns),
        ])
        summed = pattern.lazy().group_by("month", "dimension", "segment").agg(
            *((bit(c(kind), place) * c("users")).sum().alias(f"{kind}_{place}") for kind in ("active", "seen") for place in BITS)).collect()
        of_day = lambda kind: summed.unpivot(
            [f"{kind}_{place}" for place in BITS], index=["month", "dimension", "segment"], variable_name="bit", value_name=kind,
        ).with_columns(c("bit").str.strip_prefix(f"{kind}_").cast(pl.Int64))
        users = of_day("active").join(of_day("seen"), on=["month", "dimension", "segment", "bit"]).with_columns(
            month=(c("month") + self.month["month"][0]).cast(pl.Int32)).join(self.days, on=["month", "bit"])

        place = self.org_place.with_columns(counted=c("headcount").is_not_null().cast(pl.Int64), headcount=c("headcount").fill_null(0))
        stretch = pl.concat([
            place.filter(c("valid_until") >= c("registered_on")).select(
                "dimension", "segment", day=pl.max_horizontal("registered_on", "valid_from"), until="valid_until", orgs=one,
                headcount="headcount", counted="counted", deep_orgs=0 * one),
            self.move.filter(c("level") == 5).join(place, on="org_id").filter(
                c("day") <= c("valid_until"), c("until") >= c("valid_from")).select(
                    "dimension", "segment", day=pl.max_horizontal("day", "valid_from"), until=pl.min_horizontal("until", "valid_until"),
                    orgs=0 * one, headcount=0 * one, counted=0 * one, deep_orgs=one),
        ])
        steps = ["orgs", "headcount", "counted", "deep_orgs"]
        active = self.org_day.join(place, on="org_id").filter(c("day") >= c("valid_from"), c("day") <= c("valid_until"))
        segment_day = pl.concat([
            stretch.select(*KEYS, *steps),
            stretch.select("dimension", "segment", *(-c(name) for name in steps), day=c("until") + 1).select(*KEYS, *steps),
            active.select(*KEYS, active_orgs=one, dag=c("is_dag").cast(pl.Int64), dau="users"),
            users.select(*KEYS, dau="active", mau="seen"),
            self.days.select("day").join(place.select("dimension", "segment").unique(), how="cross").select(KEYS),
        ], how="diagonal").filter(c("day") <= self.d).group_by(KEYS).agg(c(name).sum() for name in COUNTS).sort(KEYS)
        of_orgs = c("dimension") != "role"
        only = lambda name: when(of_orgs).then(c(name)).alias(name)
        counted = segment_day.with_columns(c(steps).cum_sum().over("dimension", "segment"),
                                           dau_of_all=c("dau").filter(~of_orgs).sum().over("day"))
        counted = counted.filter((c("orgs") > 0) | (~of_orgs & (c("mau") > 0))).with_columns(
            only("orgs"), only("active_orgs"), only("dag"), only("deep_orgs"), headcount=when(c("counted") > 0).then("headcount"))
        self.write("activity_by_segment", counted.select(
            date_of(c("day")).alias("day"), "dimension", "segment", c("orgs").alias("registered_orgs"), "headcount", "dau", "mau",
            "active_orgs", "dag", "deep_orgs", rate(c("dau"), c("dau_of_all")).alias("dau_share"),
            rate(c("dag"), c("orgs")).alias("dag_rate"), rate(c("mau"), c("headcount")).alias("seat_penetration"),
            (c("day") >= self.f + 27).alias("is_complete")))

    def segment_growth(self):
        """Each active month of an organisation beside its neighbours; what befell how many is then a few rows."""
        keys = ["entity", "dimension", "segment", "month"]
        listed = pl.concat([
            self.org_month.select(lit("org").alias("entity"), "org_id", "month"),
            self.org_month.filter("is_dag").select(lit("dag").alias("entity"), "org_id", "month")])
        active = listed.join(self.month.select("month", "as_at"), on="month").join(self.org_span, on="org_id").filter(
            c("as_at") >= c("valid_from"), c("as_at") <= c("valid_until")).sort("entity", "org_id", "month")
        near = lambda step: (c("entity") == c("entity").shift(step)) & (c("org_id") == c("org_id").shift(step))
        stretch = active.with_columns(before=when(near(1)).then(c("month").shift(1)), after=when(near(-1)).then(c("month").shift(-1)),
                                      **{f"{name}_before": c(name).shift(1) for name in terms.DIMENSIONS})
        gap = c("before") < c("month") - 1
        came = when(c("before").is_null()).then(lit("new")).when(gap).then(lit("resurrected")).otherwise(lit("kept"))
        last = (c("after") != c("month") + 1).fill_null(True)
        turn = pl.concat([
            stretch.group_by(
                "entity", "month", dimension=lit(name), segment=name, segment_before=f"{name}_before", came=came, last=last,
            ).agg(orgs=pl.len().cast(pl.Int64)) for name in terms.DIMENSIONS])
        kept, same = c("came") == "kept", c("segment") == c("segment_before")
        flow = pl.concat([
            turn.select(*keys, "orgs", came=when(~kept).then("came").when(same).then(lit("retained")).otherwise(lit("moved_in"))),
            turn.filter("last").select(*keys[:3], c("month") + 1, "orgs", came=lit("churned")),
            turn.filter(kept & ~same).with_columns(segment="segment_before", came=lit("moved_out")).select(*keys, "orgs", "came"),
        ])
        kinds = ["new", "retained", "resurrected", "moved_in", "churned", "moved_out"]
        counted = flow.group_by(keys).agg(
            c("orgs").filter(c("came").is_in(["new", "retained", "resurrected", "moved_in"])).sum().alias("active"),
            *(c("orgs").filter(c("came") == kind).sum().alias(kind) for kind in kinds))
        grid = counted.group_by(keys[:3]).agg(since=c("month").min()).join(self.month, how="cross").filter(c("month") >= c("since"))
        grid = grid.join(counted, on=keys, how="left").sort(keys)
        self.write("segment_growth", grid.select(
            *keys[:3], date_of(c("first_day")).alias("month"), c("active").fill_null(0), *(c(kind).fill_null(0) for kind in kinds),
            self.observed(c("first_day"), c("last_day"))))

    def share_decomposition(self):
        """`b` is the end of the month before. Shares with nine decimals, cut, of products of three counts; then whole millionths."""
        keys = ["month", "dimension", "segment"]
        wide = lambda name: c(name).cast(pl.Int128)
        part = lambda a, b: when(b != 0).then((lit(10**9, pl.Int128) * a // b).cast(pl.Int64))
        rounded = lambda a: when(a < 0).then(-((500 - a) // 1000)).otherwise((a + 500) // 1000)
        months = self.month.with_columns(number=(c("month") - self.month["month"][0]).cast(pl.Int64))
        ends = months.filter(c("last_day") >= self.f + 27, c("last_day") <= self.d)
        seat = self.org_seat.join(ends, left_on="month", right_on="number").group_by("org_id", "last_day").agg(
            seats=(c("users") * bit(c("seen"), (c("last_day") - c("first_day")).cast(pl.Int64))).sum())
        end = self.org_place.filter(c("headcount") > 0).join(ends, how="cross").filter(
            c("registered_on") <= c("last_day"), c("valid_from") <= c("last_day"), c("valid_until") >= c("last_day")).join(
                seat, on=["org_id", "last_day"], how="left").group_by(keys).agg(c("headcount").sum(), c("seats").sum())
        paired = pl.concat([
            end.select(*keys, "headcount", "seats"),
            end.select(c("month") + 1, *keys[1:], headcount_b="headcount", seats_b="seats"),
        ], how="diagonal").group_by(keys).agg(c(name).sum() for name in ("headcount_b", "headcount", "seats_b", "seats"))
        whole = paired.select(
            *keys, "headcount_b", "headcount", "seats_b", "seats", h_b=wide("headcount_b"), h=wide("headcount"), s_b=wide("seats_b"),
            s=wide("seats"),
        ).with_columns(c(name).sum().over("month", "dimension").alias(f"all_{name}") for name in ("h_b", "h", "s_b", "s"))
        h_b, h, s_b, s, all_h_b, all_h, all_s_b, all_s = (
            c(name) for name in ("h_b", "h", "s_b", "s", "all_h_b", "all_h", "all_s_b", "all_s"))
        alone = (h_b == 0) | (h == 0)
        share_b, share = part(s_b, all_s_b), part(s, all_s)
        new_mix = when(alone).then(share).otherwise(part(s_b * h * all_h_b, all_s_b * h_b * all_h))
        old_mix = when(alone).then(share_b).otherwise(part(s * h_b * all_h, all_s * h * all_h_b))
        effects = whole.with_columns(share_b=share_b, share=share, mix=new_mix - share_b, by_rate=old_mix - share_b,
                                     both=share - new_mix - old_mix + share_b)
        mix, by_rate, both = (c(name) for name in ("mix", "by_rate", "both"))
        parts = effects.with_columns(
            change=rounded(c("share")) - rounded(c("share_b")), mix_6=rounded(mix), rate_6=rounded(by_rate), both_6=rounded(both),
            largest=when((mix.abs() >= by_rate.abs()) & (mix.abs() >= both.abs())).then(0).when(
                by_rate.abs() >= both.abs()).then(1).otherwise(2))
        effect = lambda number, name, own, *others: when(c("largest") == number).then(c("change") - c(others[0]) - c(others[1])).otherwise(
            c(own)).alias(name)
        shown = parts.join(self.month, on="month").filter(c("first_day") - 1 >= self.f + 27, c("last_day") <= self.d).sort(keys)
        self.write("share_decomposition", shown.select(
            date_of(c("first_day")).alias("month"), "dimension", "segment", c("headcount_b").alias("headcount_before"), "headcount",
            c("seats_b").alias("seats_before"), "seats", rounded(part(h_b, all_h_b)).alias("headcount_share_before"),
            rounded(part(h, all_h)).alias("headcount_share"),
            rounded(part(s_b * all_h_b, all_s_b * h_b)).alias("relative_penetration_before"),
            rounded(part(s * all_h, all_s * h)).alias("relative_penetration"), rounded(c("share_b")).alias("share_before"),
            rounded(c("share")).alias("share"), "change", effect(0, "mix_effect", "mix_6", "rate_6", "both_6"),
            effect(1, "rate_effect", "rate_6", "mix_6", "both_6"), effect(2, "interaction_effect", "both_6", "mix_6", "rate_6")))

    def seat_retention(self):
        """Periods are bits: bit 0 is the month of the cohort. So the seats of an organisation are a few patterns with a number of
        users each. A share has 22 decimals, cut, the sum of shares 15."""
        last = terms.LIMITS["month"]
        power = lambda place: lit(2, pl.Int64) ** place.cast(pl.Int64)
        org = self.org_month.with_columns(cohort=c("month").min().over("org_id")).filter(c("month") <= c("cohort") + last).group_by(
            "org_id", "cohort").agg(periods=power(c("month") - c("cohort")).sum())
        org = org.join(self.seat_org, on="org_id").select("org", "cohort", "periods")
        seat = self.seat_parts(self.seat_active.lazy().select("key")).join(org.lazy(), on="org").with_columns(
            age=c("month") + self.month["month"][0] - c("cohort")).filter(c("age") <= last)
        pattern = seat.group_by(c("key") // self.months_of_seats).agg(
            c("org").first(), c("cohort").first(), c("periods").first(), seen=power(c("age")).sum()).filter(c("seen") % 2 == 1).group_by(
                "org", "cohort", "periods", "seen").agg(seats=pl.len().cast(pl.Int64)).collect()
        ages = pl.DataFrame({"period": range(last + 1)}, schema={"period": pl.Int64})
        of_org = pattern.join(ages, how="cross").group_by("cohort", "period", "org").agg(
            c("seats").sum(), retained=bit(c("periods"), c("period")).max(), still=(c("seats") * bit(c("seen"), c("period"))).sum())
        share = c("still").cast(pl.Int128) * lit(10**11, pl.Int128) * lit(10**11, pl.Int128) // c("seats")
        cell = of_org.group_by("cohort", "period").agg(
            pl.len().alias("orgs"), c("seats").sum(), orgs_retained=c("retained").sum(),
            orgs_below_half=((c("retained") == 1) & (2 * c("still") < c("seats"))).sum(),
            seats_of_retained=(c("retained") * c("seats")).sum(), seats_retained=c("still").sum(), shares=share.sum())
        begun = self.month.select(c("month").alias("cohort"), begins="first_day")
        cell = cell.with_columns(month=(c("cohort") + c("period")).cast(pl.Int32)).join(begun, on="cohort").join(
            self.month, on="month").sort("cohort", "period")
        nano, kept = lit(10**9, pl.Int128), c("orgs_retained").cast(pl.Int128)
        shares = (c("shares") + 5 * 10**6) // 10**7
        complete = c("last_day") <= self.d
        shown = lambda name: when(complete).then(c(name)).alias(name)
        self.write("seat_retention", cell.select(
            date_of(c("begins")).alias("cohort"), "period", "orgs", "seats", shown("orgs_retained"), shown("orgs_below_half"),
            shown("seats_of_retained"), shown("seats_retained"),
            when(complete & (kept > 0)).then((2 * shares + nano * kept) // (2 * nano * kept)).alias("org_weighted_rate"),
            when(complete).then(rate(c("seats_retained"), c("seats_of_retained"))).alias("seat_weighted_rate"),
            complete.alias("is_complete"), date_of(c("last_day")).alias("mature_on")))

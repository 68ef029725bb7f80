"""Seats, that is users of an organisation, and where organisations stand. See `sql.seats`."""

import polars as pl

import sql.terms as terms

from .terms import c, lit, when

BITS = range(terms.MONTH_BITS)


class Seats:
    def seats(self):
        """A user, an organisation and a month are one number, as text costs several times as much to group by."""
        used = self.user_day.lazy().filter(c("human_events") > 0).select(
            "day", user=c("user_id").cast(pl.Categorical), org=c("org_id").cast(pl.Categorical)).collect()
        ids = lambda name: used.select(c(name).unique()).select(
            c(name).cast(pl.String).alias(f"{name}_id"), code=c(name).to_physical().cast(pl.Int64)).rename({"code": name})
        self.seat_user, self.seat_org = ids("user"), ids("org")
        self.orgs_of_seats = (self.seat_org["org"].max() or 0) + 1
        self.months_of_seats = self.month.height + 1
        number = lambda name: c(name).to_physical().cast(pl.Int64)
        months = self.days.with_columns(month=(c("month") - self.month["month"][0]).cast(pl.Int64), active=lit(1, pl.Int64) * 2 ** c("bit"))
        self.seat_active = used.lazy().join(months.lazy(), on="day").group_by(
            key=(number("user") * self.orgs_of_seats + number("org")) * self.months_of_seats + c("month")).agg(
                c("active").sum(), c("seen_bits").bitwise_or().alias("seen"), c("next_bits").max().alias("next")).collect()

    def seat_parts(self, frame):
        pair = c("key") // self.months_of_seats
        return frame.with_columns(
            user=pair // self.orgs_of_seats, org=pair % self.orgs_of_seats, month=c("key") % self.months_of_seats)

    def seat_months(self):
        active = self.seat_active.lazy()
        self.seat_month = self.seat_parts(pl.concat([
            active.select("key", "active", "seen"),
            active.filter(c("next") > 0).select(c("key") + 1, active=lit(0, pl.Int64), seen="next"),
        ]).group_by("key").agg(c("active").sum(), c("seen").bitwise_or())).collect()
        personal = self.seat_org.filter(c("org_id") == "")["org"]
        self.of_org = c("org") != (personal[0] if len(personal) else -1)
        self.org_seat = self.seat_month.filter(self.of_org).group_by("month", "org", "seen").agg(users=pl.len().cast(pl.Int64)).join(
            self.seat_org, on="org")

    def places(self):
        """Registered organisations, each with rows that cover all days, and those by dimension."""
        size = c("headcount")
        band = when(size < terms.TIERS[0]).then(lit(terms.BANDS[0]))
        for tier, name in zip(terms.TIERS[1:], terms.BANDS[1:]):
            band = band.when(size < tier).then(lit(name))
        band = band.when(size >= terms.TIERS[-1]).then(lit(terms.BANDS[-1]))
        orgs = self.orgs.select(
            "org_id", c("valid_from", "valid_until").cast(pl.Int32), "headcount", *(
                when(c(name) != "").then(c(name)).alias(name) for name in terms.DIMENSIONS[:3]), size_band=band)
        before = orgs.group_by("org_id").agg(c("valid_from").min()).filter(c("valid_from") > terms.EVER).select(
            "org_id", valid_from=lit(terms.EVER, pl.Int32), valid_until=c("valid_from") - 1)
        without = self.registration.join(orgs, on="org_id", how="anti").select(
            "org_id", valid_from=lit(terms.EVER, pl.Int32), valid_until=lit(terms.NEVER, pl.Int32))
        self.org_span = self.registration.join(pl.concat([orgs, before, without], how="diagonal"), on="org_id").with_columns(
            c(terms.DIMENSIONS).fill_null(terms.UNKNOWN))
        self.org_place = self.org_span.unpivot(
            terms.DIMENSIONS, index=["org_id", "registered_on", "valid_from", "valid_until", "headcount"], variable_name="dimension",
            value_name="segment")
        self.org_month = self.org_day.lazy().join(self.days.lazy(), on="day").group_by("org_id", "month").agg(
            c("is_dag").any()).collect()

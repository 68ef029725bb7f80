"""Words of the frames."""

import polars as pl

c, when, lit = pl.col, pl.when, pl.lit
# More than any day's number: a code and a day are one number, code * DAYS + day.
DAYS = 100_000


def rate(a, b):
    """Millionths, half away from zero, of what is not negative."""
    return when(b > 0).then((2_000_000 * a + b) // (2 * b))


def change_rate(a, b):
    """The same of what may be negative."""
    return when(a < 0).then(-rate(-a, b)).otherwise(rate(a, b))


def date_of(days):
    return days.cast(pl.Int32).cast(pl.Date)


def month(days):
    day = date_of(days)
    return day.dt.year().cast(pl.Int32) * 12 + day.dt.month().cast(pl.Int32) - 1


PLACE = {"day": lambda d: d, "week": lambda d: (d + 3) // 7, "month": month}

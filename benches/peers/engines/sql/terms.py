"""What the metrics stand on: thresholds, levels, and the calendar as numbers. Days are days since 1970-01-01, months and weeks
count on from there."""

from datetime import date

EPOCH = date(1970, 1, 1)
LIMITS = {"day": 30, "month": 12, "week": 26}
ORG_MIN_USAGE_MS, APP_MIN_USAGE_MS, MIN_APPS, MIN_USERS = 600_000, 60_000, 3, 1
TIERS = (100, 500, 2_000, 10_000, 100_000, 1_000_000)
BANDS = ["0-99", "100-499", "500-1999", "2000-9999", "10000-99999", "100000-999999", "1000000+"]
DIMENSIONS = ["edition", "industry", "region", "size_band"]
UNKNOWN = "(unknown)"
# Before and after every date.
EVER, NEVER = -719_162, 2_932_896
# The days of a month as bits: bit 0 is the 1st, bit 30 the 31st.
MONTH_BITS = 31
LEVELS = [(0, "inactive"), (1, "basic"), (2, "workflow"), (3, "connected"), (4, "data_loop"), (5, "deep")]


def number(day):
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def month_of(day):
    return day.year * 12 + day.month - 1


def week_of(day):
    return (number(day) + 3) // 7


def periods(first, last):
    """All periods of the observed range: grain, number, first and last day."""
    rows = []
    for grain, number_of in (("day", number), ("week", week_of), ("month", month_of)):
        for place in range(number_of(first), number_of(last) + 1):
            if grain == "day":
                begin, end = place, place
            elif grain == "week":
                begin, end = place * 7 - 3, place * 7 + 3
            else:
                begin = number(date(place // 12, place % 12 + 1, 1))
                end = number(date((place + 1) // 12, (place + 1) % 12 + 1, 1)) - 1
            rows.append((grain, place, begin, end))
    return rows


def months(first, last):
    """The months of the observed range: number, first and last day, the last day that is observed, and the last day of the
    same month a year before."""
    end_before = lambda month: number(date((month - 11) // 12, (month - 11) % 12 + 1, 1)) - 1
    return [(month, begin, end, min(end, number(last)), end_before(month))
            for grain, month, begin, end in periods(first, last) if grain == "month"]


def calendar(first, last):
    """The observed days: number, month, place in it as a bit's number, the days of the month that have the day in their
    trailing 28 as bits, and those of the next month."""
    rows = []
    for month, begin, end, observed, _ in months(first, last):
        for day in range(max(begin, number(first)), observed + 1):
            reaches = max(day + 27 - end, 0) if end < number(last) else 0
            rows.append((day, month, day - begin, (2**28 - 1 << day - begin) % 2**MONTH_BITS, 2**reaches - 1))
    return rows


def milestones():
    """1, 2 and 5 times each power of ten and each hundred million, up to ten thousand million."""
    digits = {digit * 10**power for power in range(10) for digit in (1, 2, 5)}
    return sorted(digits | {place * 10**8 for place in range(1, 101)})

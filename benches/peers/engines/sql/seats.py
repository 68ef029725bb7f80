"""Seats, that is users of an organisation, and where organisations stand.

Days of a month are bits of one number (bit 0 is the 1st), so a user's 28 days are an OR of masks instead of 28 rows, and the users of
a segment on a day are a sum of one bit."""

from .terms import BANDS, DIMENSIONS, EVER, NEVER, TIERS, UNKNOWN


def seats(q):
    """`user_day` is grouped once, with the masks of each day from the calendar; what a month's days mean for the next month is
    one more row for each seat."""
    yield "seat_active", f"""
        SELECT days.month AS month, used.user_id AS user_id, used.org_id AS org_id, bit_or({q.power('days.bit')}) AS active_bits,
            bit_or(days.seen_bits) AS seen_bits, max(days.next_bits) AS next_bits
        FROM user_day AS used INNER JOIN days ON used.day = days.day
        WHERE used.human_events > 0 GROUP BY days.month, used.user_id, used.org_id"""


def seat_months(q):
    yield "seat_month", """
        SELECT month, user_id, org_id, bit_or(active_bits) AS active_bits, bit_or(seen_bits) AS seen_bits
        FROM (
            SELECT month, user_id, org_id, active_bits, seen_bits FROM seat_active
            UNION ALL
            SELECT month + 1 AS month, user_id, org_id, 0 AS active_bits, next_bits AS seen_bits FROM seat_active
            WHERE next_bits > 0
        ) AS reached
        GROUP BY month, user_id, org_id"""
    # Few patterns of days are left of an organisation's seats: once seen, a user stays for 28 days.
    yield "org_seat", """
        SELECT month, org_id, seen_bits, count(*) AS users FROM seat_month WHERE org_id <> '' GROUP BY month, org_id, seen_bits"""


def places(q):
    """Registered organisations, each with rows that cover all days, and those by dimension."""
    band = " ".join(f"WHEN headcount < {tier} THEN '{name}'" for tier, name in zip(TIERS, BANDS))
    known = ", ".join(f"coalesce(nullif({name}, ''), '{UNKNOWN}') AS {name}" for name in DIMENSIONS[:3])
    nothing = f"NULL AS headcount, '{UNKNOWN}' AS size_band, " + ", ".join(f"'{UNKNOWN}' AS {name}" for name in DIMENSIONS[:3])
    columns = "valid_from, valid_until, headcount, size_band, edition, industry, region"
    yield "org_span", f"""
        SELECT registered.org_id AS org_id, registered.registered_on AS registered_on, {columns}
        FROM org_registration AS registered
        INNER JOIN (
            SELECT org_id AS id, valid_from, valid_until, headcount,
                CASE {band} WHEN headcount >= {TIERS[-1]} THEN '{BANDS[-1]}' ELSE '{UNKNOWN}' END AS size_band, {known}
            FROM orgs
            UNION ALL
            SELECT org_id AS id, {EVER} AS valid_from, min(valid_from) - 1 AS valid_until, {nothing}
            FROM orgs GROUP BY org_id HAVING min(valid_from) > {EVER}
            UNION ALL
            SELECT r.org_id AS id, {EVER} AS valid_from, {NEVER} AS valid_until, {nothing}
            FROM org_registration AS r LEFT JOIN (SELECT DISTINCT org_id AS known FROM orgs) AS o ON r.org_id = o.known
            WHERE o.known IS NULL
        ) AS row_of ON registered.org_id = row_of.id"""
    yield "org_place", " UNION ALL ".join(f"""
        SELECT org_id, registered_on, valid_from, valid_until, headcount, '{name}' AS dimension, {name} AS segment FROM org_span"""
        for name in DIMENSIONS)
    yield "org_month", """
        SELECT active.org_id AS org_id, days.month AS month, max(active.is_dag) AS is_dag
        FROM org_day AS active INNER JOIN days ON active.day = days.day GROUP BY active.org_id, days.month"""

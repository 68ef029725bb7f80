"""What differs between the engines."""

from .terms import number


class Dialect:
    """What differs between the engines. `first` and `last` are the observed range."""

    materialised = "CREATE TEMP TABLE {name} AS {query}"

    def __init__(self, first=None, last=None):
        self.first, self.last = first, last
        self.f, self.d = number(first) if first else None, number(last) if last else None

    def idiv(self, a, b):
        raise NotImplementedError

    def to_date(self, days):
        raise NotImplementedError

    def from_date(self, day):
        raise NotImplementedError

    def month(self, days):
        raise NotImplementedError

    def values(self, rows, columns):
        body = ", ".join("(" + ", ".join(f"'{v}'" if isinstance(v, str) else str(v) for v in row) + ")" for row in rows)
        return f"(VALUES {body}) AS listed ({', '.join(columns)})"

    def rate(self, a, b):
        """Millionths, half away from zero, of what is not negative."""
        return f"CASE WHEN {b} > 0 THEN {self.idiv(f'2000000 * ({a}) + {b}', f'2 * ({b})')} END"

    def change_rate(self, a, b):
        """The same of what may be negative."""
        return f"CASE WHEN {a} < 0 THEN -{self.rate(f'-({a})', b)} ELSE {self.rate(a, b)} END"

    def wide(self, number_):
        """With room for products of three counts."""
        raise NotImplementedError

    def wide_idiv(self, a, b):
        return self.idiv(a, b)

    def power(self, place):
        """The number whose only bit is at the place."""
        return f"(CAST(1 AS BIGINT) << ({place}))"

    def both(self, bits, others):
        return f"(({bits}) & ({others}))"

    def bit(self, bits, place):
        """0 or 1."""
        return f"((({bits}) >> ({place})) & 1)"

    def to_instant(self, microseconds):
        raise NotImplementedError

    def instant(self, ts):
        """RFC 3339 with three decimals, cut."""
        raise NotImplementedError

    def week(self, days):
        return self.idiv(f"({days} + 3)", "7")

    def visits(self):
        """Statements that make `visit` (entity, day, previous, next_day, first_day) and `active_28`."""
        raise NotImplementedError

    def unknown_users(self):
        """Ids of a day that the users file lacks: the distinct ids are looked up once, not on each day."""
        return """
            SELECT used.day AS day, 'unknown_user' AS rule, count(DISTINCT used.user_id) AS ids FROM user_day AS used
            INNER JOIN (
                SELECT ids.user_id AS user_id FROM (SELECT DISTINCT user_id FROM user_day) AS ids
                LEFT JOIN (SELECT user_id AS known FROM users) AS u ON ids.user_id = u.known WHERE u.known IS NULL
            ) AS lost ON used.user_id = lost.user_id
            GROUP BY used.day"""

    def concat(self, words):
        return f"concat_ws(';', {', '.join(words)})"

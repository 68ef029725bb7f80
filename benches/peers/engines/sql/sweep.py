"""How many users and rooms an app holds at once, day by day."""

# More than the microseconds of the day and of what began on it: a place and an instant are one number.
SPAN = 2**38
DAY_US = 86_400_000_000


def apps(human):
    """An app on a day is a place of its own."""
    return f"""
        SELECT day, app_id, CAST(row_number() OVER () AS BIGINT) AS app
        FROM (SELECT DISTINCT day, app_id FROM ({human}) AS human WHERE duration_ms > 0) AS used"""


def lasting(human, app):
    """The human events that last, in microseconds of their day."""
    return f"""
        SELECT app.app AS app, human.user_id AS user_id, human.concurrent_id AS concurrent_id, human.begins AS begins,
            human.begins + human.duration_ms * 1000 AS ends
        FROM ({human}) AS human INNER JOIN {app} AS app ON human.day = app.day AND human.app_id = app.app_id
        WHERE human.duration_ms > 0"""


def concurrency_day(q, app, lasting):
    """Of each event remains what reaches beyond the events of the same user (or room) that began before it, so nobody is counted
    twice at a moment; then one running sum over what comes and goes, ends before starts. Everyone, and then every app, stands at a
    place of its own on one line of numbers, and what comes to an app goes again: so the windows need no partitions, and sort by
    one number, which is several times as fast. The largest sum and its earliest instant are one number too, that one maximum
    finds."""
    held = lambda kind, key, which: f"""
        SELECT place, line, line + begins AS begins, line + ends AS ends,
            max(line + ends) OVER (ORDER BY line + begins ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS held_until
        FROM (
            SELECT used.app * 2 + {kind} AS place, who.line * {SPAN} AS line, used.begins AS begins, used.ends AS ends
            FROM {lasting} AS used
            INNER JOIN (
                SELECT app, {key}, CAST(row_number() OVER () AS BIGINT) AS line
                FROM (SELECT DISTINCT app, {key} FROM {lasting} AS used {which}) AS pair
            ) AS who ON used.app = who.app AND used.{key} = who.{key}
        ) AS numbered"""
    peak = lambda kind: f"max(CASE WHEN place % 2 = {kind} THEN peak END)"
    place, app_of = q.idiv("place", str(2 * SPAN)), q.idiv("place", "2")
    return f"""
        WITH held AS ({held(0, 'user_id', '')} UNION ALL {held(1, 'concurrent_id', "WHERE concurrent_id <> ''")}),
        stay AS (
            SELECT place * {2 * SPAN} AS place, greatest(begins, coalesce(held_until, begins)) - line AS begins, ends - line AS ends
            FROM held WHERE held_until IS NULL OR ends > held_until
        ),
        at_once AS (
            SELECT place, sum(step) OVER (ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS holds
            FROM (
                SELECT stay.place + CASE WHEN turn.step > 0 THEN begins * 2 + 1 ELSE ends * 2 END AS place, turn.step AS step
                FROM stay CROSS JOIN (SELECT * FROM {q.values([(1,), (-1,)], ['step'])}) AS turn
            ) AS turned
        ),
        peak AS (
            SELECT {place} AS place, max(CAST(holds AS BIGINT) * {SPAN} + {SPAN - 1} - {q.idiv(f'place % {2 * SPAN}', '2')}) AS peak
            FROM at_once GROUP BY {place}
        ),
        largest AS (
            SELECT app, max(users) AS users FROM (
                SELECT app, concurrent_id, count(DISTINCT user_id) AS users FROM {lasting} AS used
                WHERE concurrent_id <> '' GROUP BY app, concurrent_id
            ) AS room GROUP BY app
        ),
        peaks AS (SELECT {app_of} AS app, {peak(0)} AS users, {peak(1)} AS rooms FROM peak GROUP BY {app_of})
        SELECT app.day AS day, app.app_id AS app_id, {q.idiv('peaks.users', str(SPAN))} AS peak_users,
            {q.to_instant(f"{q.from_date('app.day')} * {DAY_US} + {SPAN - 1} - peaks.users % {SPAN}")} AS peak_at,
            coalesce({q.idiv('peaks.rooms', str(SPAN))}, 0) AS peak_rooms, coalesce(largest.users, 0) AS largest_room
        FROM peaks
        INNER JOIN {app} AS app ON peaks.app = app.app
        LEFT JOIN largest ON peaks.app = largest.app ORDER BY 1, 2"""

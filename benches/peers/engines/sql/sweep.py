"""How many users and rooms an app holds at once, on one day."""

from .terms import number

# More than the microseconds of the day and of what began on it: a count and an instant are one number.
SPAN = 2**38


def concurrency_day(q, day, events):
    """`events` are the human ones with `begins` in microseconds. Of each event remains what reaches beyond the events of the
    same user (or room) that began before it, so nobody is counted twice at a moment; then one running sum over what comes and
    goes, ends before starts. All apps stand on one line of numbers, each at a place of its own, and what comes to an app goes
    again: so the sum needs no partitions, and sorts by one number, which is several times as fast. The largest sum and its
    earliest instant are one number too, that one maximum finds."""
    midnight = number(day) * 86_400_000_000
    held = lambda kind, key, which: f"""
        SELECT app_id, {kind} AS kind, begins, ends,
            max(ends) OVER (PARTITION BY app_id, {key} ORDER BY begins ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS held_until
        FROM lasting {which}"""
    peak = lambda kind: f"max(CASE WHEN place % 2 = {kind} THEN peak END)"
    return f"""
        WITH lasting AS (
            SELECT app_id, user_id, concurrent_id, begins - {midnight} AS begins, begins - {midnight} + duration_ms * 1000 AS ends
            FROM ({events}) AS human WHERE duration_ms > 0
        ),
        app AS (SELECT app_id, CAST(row_number() OVER () AS BIGINT) AS app FROM (SELECT DISTINCT app_id FROM lasting) AS used),
        held AS ({held(0, 'user_id', '')} UNION ALL {held(1, 'concurrent_id', "WHERE concurrent_id <> ''")}),
        stay AS (
            SELECT (app.app * 2 + held.kind) * {2 * SPAN} AS place, greatest(begins, coalesce(held_until, begins)) AS begins, ends
            FROM held INNER JOIN app ON held.app_id = app.app_id WHERE held_until IS NULL OR ends > held_until
        ),
        at_once AS (
            SELECT place, sum(step) OVER (ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS holds
            FROM (
                SELECT place + begins * 2 + 1 AS place, 1 AS step FROM stay UNION ALL SELECT place + ends * 2 AS place, -1 AS step FROM stay
            ) AS turn
        ),
        peak AS (
            SELECT {q.idiv('place', str(2 * SPAN))} AS place,
                max(CAST(holds AS BIGINT) * {SPAN} + {SPAN - 1} - {q.idiv(f'place % {2 * SPAN}', '2')}) AS peak
            FROM at_once GROUP BY {q.idiv('place', str(2 * SPAN))}
        ),
        largest AS (
            SELECT app_id, max(users) AS users FROM (
                SELECT app_id, concurrent_id, count(DISTINCT user_id) AS users FROM lasting
                WHERE concurrent_id <> '' GROUP BY app_id, concurrent_id
            ) AS room GROUP BY app_id
        ),
        both_peaks AS (SELECT {q.idiv('place', '2')} AS app, {peak(0)} AS users, {peak(1)} AS rooms FROM peak GROUP BY {q.idiv('place', '2')})
        SELECT {q.to_date(number(day))} AS day, app.app_id AS app_id, {q.idiv('both_peaks.users', str(SPAN))} AS peak_users,
            {q.to_instant(f'{midnight + SPAN - 1} - both_peaks.users % {SPAN}')} AS peak_at,
            coalesce({q.idiv('both_peaks.rooms', str(SPAN))}, 0) AS peak_rooms, coalesce(largest.users, 0) AS largest_room
        FROM both_peaks
        INNER JOIN app ON both_peaks.app = app.app
        LEFT JOIN largest ON app.app_id = largest.app_id ORDER BY 2"""

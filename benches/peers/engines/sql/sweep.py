"""How many users and rooms an app holds at once, on one day."""

from .terms import number

# More than the microseconds of the day and of what began on it: a count and an instant are one number.
SPAN = 2**38


def concurrency_day(q, day, events):
    """`events` are the human ones with `begins` in microseconds. Of each event remains what reaches beyond the events of the
    same user (or room) that began before it, so nobody is counted twice at a moment; then one running sum over what comes and
    goes, ends before starts. The largest sum and its earliest instant are one number, that one maximum finds."""
    midnight = number(day) * 86_400_000_000
    held = lambda kind, key, which: f"""
        SELECT app_id, {kind} AS kind, begins, ends,
            max(ends) OVER (PARTITION BY app_id, {key} ORDER BY begins ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS held_until
        FROM lasting {which}"""
    peak = lambda kind: f"max(CASE WHEN kind = {kind} THEN peak END)"
    return f"""
        WITH lasting AS (
            SELECT app_id, user_id, concurrent_id, begins - {midnight} AS begins, begins - {midnight} + duration_ms * 1000 AS ends
            FROM ({events}) AS human WHERE duration_ms > 0
        ),
        held AS ({held(0, 'user_id', '')} UNION ALL {held(1, 'concurrent_id', "WHERE concurrent_id <> ''")}),
        turn AS (
            SELECT app_id, kind, greatest(begins, coalesce(held_until, begins)) AS moment, 1 AS step FROM held
            WHERE held_until IS NULL OR ends > held_until
            UNION ALL
            SELECT app_id, kind, ends AS moment, -1 AS step FROM held WHERE held_until IS NULL OR ends > held_until
        ),
        at_once AS (
            SELECT app_id, kind, moment,
                sum(step) OVER (PARTITION BY app_id, kind ORDER BY moment, step ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS holds
            FROM turn
        ),
        peak AS (SELECT app_id, kind, max(CAST(holds AS BIGINT) * {SPAN} + {SPAN - 1} - moment) AS peak FROM at_once GROUP BY app_id, kind),
        largest AS (
            SELECT app_id, max(users) AS users FROM (
                SELECT app_id, concurrent_id, count(DISTINCT user_id) AS users FROM lasting
                WHERE concurrent_id <> '' GROUP BY app_id, concurrent_id
            ) AS room GROUP BY app_id
        ),
        app AS (SELECT app_id, {peak(0)} AS users, {peak(1)} AS rooms FROM peak GROUP BY app_id)
        SELECT {q.to_date(number(day))} AS day, app.app_id AS app_id, {q.idiv('app.users', str(SPAN))} AS peak_users,
            {q.to_instant(f'{midnight + SPAN - 1} - app.users % {SPAN}')} AS peak_at,
            coalesce({q.idiv('app.rooms', str(SPAN))}, 0) AS peak_rooms, coalesce(largest.users, 0) AS largest_room
        FROM app LEFT JOIN largest ON app.app_id = largest.app_id ORDER BY 2"""

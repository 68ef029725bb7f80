"""How apps are used, and what meets in them."""

from .activity import trailing


def app_adoption(q):
    """A row for each user of a week's app first, then counts: a distinct count beside sums is as fast in DuckDB and several times
    slower in DataFusion."""
    return f"""
        WITH used AS (
            SELECT p, app_id, count(*) AS users, sum(events) AS events, sum(usage_ms) AS usage_ms
            FROM (
                SELECT {q.week('day')} AS p, app_id, user_id, sum(human_events) AS events, sum(usage_ms) AS usage_ms
                FROM app_user_day GROUP BY {q.week('day')}, app_id, user_id
            ) AS of_user
            GROUP BY p, app_id
        ),
        org_use AS (
            SELECT {q.week('day')} AS p, app_id, count(DISTINCT org_id) AS orgs
            FROM org_app_day WHERE org_id <> '' AND human_events > 0 GROUP BY {q.week('day')}, app_id
        )
        SELECT {q.to_date('week.first_day')} AS week, used.app_id AS app_id, coalesce(known.name, '') AS name,
            coalesce(known.category, '') AS category, used.users AS users, coalesce(org_use.orgs, 0) AS orgs, used.events AS events,
            used.usage_ms AS usage_seconds, {q.rate('used.users', 'of_all.active')} AS user_share,
            CASE WHEN week.first_day >= {q.f} AND week.last_day <= {q.d} THEN 1 ELSE 0 END AS is_complete
        FROM used
        INNER JOIN (SELECT * FROM period WHERE grain = 'week') AS week ON used.p = week.p
        INNER JOIN (SELECT * FROM flow WHERE grain = 'week' AND entity = 'user') AS of_all ON used.p = of_all.p
        LEFT JOIN org_use ON used.p = org_use.p AND used.app_id = org_use.app_id
        LEFT JOIN apps AS known
            ON used.app_id = known.app_id AND week.last_day >= known.valid_from AND week.last_day <= known.valid_until
        ORDER BY 1, 2"""


def breadths(q):
    """For `app_breadth`: how many organisations come to a number of apps, and go from it."""
    yield "breadth_turn", f"""
        WITH {trailing(q, 'org_id', 'app_id', 'org_app_day')},
        breadth AS (
            SELECT day, step, sum(step) OVER (PARTITION BY org_id ORDER BY day) AS apps FROM change_day
        ),
        turn AS (
            SELECT day, CASE WHEN side.orgs > 0 THEN apps ELSE apps - step END AS apps, side.orgs AS orgs
            FROM breadth CROSS JOIN (SELECT * FROM {q.values([(1,), (-1,)], ['orgs'])}) AS side
        )
        SELECT day, apps, sum(orgs) AS orgs FROM turn WHERE apps > 0 GROUP BY day, apps"""


def app_breadth(q):
    return f"""
        WITH held AS (
            SELECT days.day AS day, listed.apps AS apps,
                sum(coalesce(turn.orgs, 0)) OVER (PARTITION BY listed.apps ORDER BY days.day) AS orgs
            FROM days CROSS JOIN (SELECT DISTINCT apps FROM breadth_turn) AS listed
            LEFT JOIN breadth_turn AS turn ON days.day = turn.day AND listed.apps = turn.apps
        )
        SELECT {q.to_date('held.day')} AS day, apps, orgs, CASE WHEN held.day >= {q.f + 27} THEN 1 ELSE 0 END AS is_complete
        FROM held WHERE orgs > 0 ORDER BY 1, 2"""


def concurrency_peaks(q):
    return f"""
        SELECT {q.to_date('held.day')} AS day, app_id, peak_users, {q.instant('peak_at')} AS peak_at, peak_rooms, largest_room
        FROM concurrency_day AS held ORDER BY 1, 2"""


def meeting_volume(q):
    return f"""
        WITH meeting AS (
            SELECT days.month AS month, room.org_id AS org_id, count(DISTINCT room.concurrent_id) AS meetings
            FROM room_day AS room
            INNER JOIN days ON room.day = days.day
            INNER JOIN (SELECT * FROM apps WHERE category = 'communication') AS app
                ON room.app_id = app.app_id AND room.day >= app.valid_from AND room.day <= app.valid_until
            WHERE room.org_id <> '' GROUP BY days.month, room.org_id
        )
        SELECT {q.to_date('month.first_day')} AS month, meeting.org_id AS org_id, meeting.meetings AS meetings,
            {q.rate('meeting.meetings', '(month.as_at - month.first_day + 1)')} AS meetings_per_day,
            CASE WHEN month.first_day >= {q.f} AND month.last_day <= {q.d} THEN 1 ELSE 0 END AS is_complete
        FROM meeting INNER JOIN month ON meeting.month = month.month ORDER BY 1, 2"""

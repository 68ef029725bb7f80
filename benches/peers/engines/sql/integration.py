"""Deep integration, and the apps that stand for it."""

from .terms import LEVELS


def deep_integration_levels(q):
    return f"""
        WITH move AS (
            SELECT m.from_day AS day, m.level AS level, coalesce(m.previous_level, 0) AS previous_level,
                CASE WHEN m.previous_level IS NOT NULL OR r.registered_on < m.from_day THEN 1 ELSE 0 END
                    AS was_registered
            FROM deep_move AS m INNER JOIN org_registration AS r ON m.org_id = r.org_id
            WHERE m.level <> coalesce(m.previous_level, 0)
        ),
        turn AS (
            SELECT day, level, 1 AS entered, 0 AS gone FROM move
            UNION ALL
            SELECT day, previous_level AS level, 0 AS entered, 1 AS gone FROM move WHERE was_registered = 1
            UNION ALL
            SELECT r.registered_on AS day, 0 AS level, 1 AS entered, 0 AS gone
            FROM org_registration AS r
            LEFT JOIN (SELECT org_id, min(from_day) AS from_day FROM deep_move GROUP BY org_id) AS f
                ON r.org_id = f.org_id AND r.registered_on = f.from_day
            WHERE f.from_day IS NULL
        ),
        turn_day AS (
            SELECT day, level, sum(entered) AS entered, sum(gone) AS gone FROM turn GROUP BY day, level
        ),
        daily AS (
            SELECT days.day AS day, n.level AS level, n.name AS name, coalesce(turn_day.entered, 0) AS entered,
                coalesce(turn_day.gone, 0) AS gone
            FROM days CROSS JOIN (SELECT * FROM {q.values(LEVELS, ['level', 'name'])}) AS n
            LEFT JOIN turn_day ON days.day = turn_day.day AND n.level = turn_day.level
        )
        SELECT {q.to_date('daily.day')} AS day, level, name,
            sum(entered - gone) OVER (PARTITION BY level ORDER BY daily.day) AS orgs,
            CASE WHEN daily.day > {q.f} THEN entered END AS entered, CASE WHEN daily.day > {q.f} THEN gone END AS "left",
            CASE WHEN daily.day >= {q.f + 27} THEN 1 ELSE 0 END AS is_complete
        FROM daily ORDER BY 1, 2"""


def deep_integration_orgs(q):
    words = q.concat([
        f"CASE WHEN w.level = {level} AND w.{column} < {least} THEN '{word}' END" for level, column, least, word in (
            (2, "systems", 1, "systems"), (2, "production", 8, "production_days"), (3, "store", 4, "store_days"),
            (3, "process", 4, "process_days"), (3, "flow", 4, "flow_days"), (4, "decide", 2, "decide_days"))])
    return f"""
        SELECT w.org_id AS org_id, coalesce(org.name, '') AS name, w.level AS level, n.name AS level_name,
            {q.to_date('run.since')} AS since, w.systems AS systems, w.production AS production_days,
            w.store AS store_days, w.process AS process_days, w.flow AS flow_days, w.decide AS decide_days,
            {words} AS missing
        FROM (SELECT * FROM deep_window WHERE until_day = {q.d} AND level >= 2) AS w
        INNER JOIN (SELECT org_id, max(from_day) AS since FROM deep_move GROUP BY org_id) AS run
            ON w.org_id = run.org_id
        INNER JOIN (SELECT * FROM {q.values(LEVELS, ['level', 'name'])}) AS n ON w.level = n.level
        LEFT JOIN (SELECT * FROM orgs WHERE valid_from <= {q.d} AND valid_until >= {q.d}) AS org
            ON w.org_id = org.org_id
        ORDER BY 1"""


def integration_assets(q):
    return f"""
        WITH asset_week AS (
            SELECT DISTINCT {q.week('used.day')} AS p, used.org_id AS org_id, app.category AS kind, used.app_id AS app_id
            FROM org_app_day AS used
            INNER JOIN (SELECT * FROM apps WHERE category IN ('connector', 'lowcode')) AS app
                ON used.app_id = app.app_id AND used.day >= app.valid_from AND used.day <= app.valid_until
            WHERE used.org_id <> '' AND used.human_events + used.machine_events > 0
        ),
        counted AS (
            SELECT p, org_id, kind, count(*) AS in_use, sum(CASE WHEN p = first_p THEN 1 ELSE 0 END) AS first_seen
            FROM (SELECT *, min(p) OVER (PARTITION BY org_id, kind, app_id) AS first_p FROM asset_week) AS seen
            GROUP BY p, org_id, kind
        )
        SELECT {q.to_date('week.first_day')} AS week, org_id, kind, in_use, first_seen,
            sum(first_seen) OVER (PARTITION BY org_id, kind ORDER BY counted.p) AS cumulative,
            CASE WHEN week.first_day >= {q.f} AND week.last_day <= {q.d} THEN 1 ELSE 0 END AS is_complete
        FROM counted INNER JOIN (SELECT * FROM period WHERE grain = 'week') AS week ON counted.p = week.p
        ORDER BY 1, 2, 3"""

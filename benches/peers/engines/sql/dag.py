"""Daily active organisations."""

from .terms import APP_MIN_USAGE_MS, MIN_APPS, MIN_USERS, ORG_MIN_USAGE_MS


def dag_orgs(q):
    return f"""
        SELECT {q.to_date('active.day')} AS day, active.org_id AS org_id, coalesce(org.name, '') AS name,
            active.users AS users, active.apps AS apps, active.apps_over_threshold AS apps_over_threshold,
            active.usage_ms AS usage_seconds
        FROM org_day AS active
        LEFT JOIN orgs AS org
            ON active.org_id = org.org_id AND active.day >= org.valid_from AND active.day <= org.valid_until
        WHERE active.is_dag = 1 ORDER BY 1, 2"""


def dag_near_misses(q):
    return f"""
        WITH ruled AS (
            SELECT day, org_id,
                CASE WHEN usage_ms < {ORG_MIN_USAGE_MS} THEN {ORG_MIN_USAGE_MS} - usage_ms ELSE 0 END AS usage_short,
                CASE WHEN apps_over_threshold < {MIN_APPS} THEN {MIN_APPS} - apps_over_threshold ELSE 0 END
                    AS apps_short,
                CASE WHEN users < {MIN_USERS} THEN {MIN_USERS} - users ELSE 0 END AS users_short
            FROM org_day
        )
        SELECT {q.to_date('missed.day')} AS day, missed.org_id AS org_id, coalesce(org.name, '') AS name,
            CASE WHEN usage_short > 0 THEN 'a' WHEN apps_short > 0 THEN 'b' ELSE 'c' END AS failed_rule,
            missed.apps_short AS apps_short, missed.usage_short AS usage_seconds_short
        FROM ruled AS missed
        LEFT JOIN orgs AS org
            ON missed.org_id = org.org_id AND missed.day >= org.valid_from AND missed.day <= org.valid_until
        WHERE CASE WHEN usage_short > 0 THEN 1 ELSE 0 END + CASE WHEN apps_short > 0 THEN 1 ELSE 0 END
            + CASE WHEN users_short > 0 THEN 1 ELSE 0 END = 1 AND apps_short <= 1
        ORDER BY 1, 2"""


def dag_sensitivity(q):
    steps = (0, 1, 2, 4, 8)
    app = sorted({(APP_MIN_USAGE_MS * s + 1) // 2 for s in steps})
    org = sorted({(ORG_MIN_USAGE_MS * s + 1) // 2 for s in steps})
    return f"""
        WITH grid AS (
            SELECT * FROM {q.values([(n, a, o) for n in range(1, 7) for a in app for o in org],
                                    ['min_apps', 'app_ms', 'org_ms'])}
        ),
        candidate AS (
            SELECT active.org_id AS org_id, active.usage_ms AS usage_ms, t.app_ms AS app_ms,
                sum(CASE WHEN used.usage_ms >= t.app_ms THEN 1 ELSE 0 END) AS apps
            FROM (SELECT * FROM org_day WHERE day = {q.d} AND users >= {MIN_USERS}) AS active
            INNER JOIN (
                SELECT org_id, usage_ms FROM org_app_day WHERE day = {q.d} AND human_events > 0
            ) AS used ON active.org_id = used.org_id
            CROSS JOIN (SELECT * FROM {q.values([(a,) for a in app], ['app_ms'])}) AS t
            GROUP BY active.org_id, active.usage_ms, t.app_ms
        )
        SELECT {q.to_date(str(q.d))} AS day, grid.min_apps AS min_apps, grid.app_ms AS app_min_usage_seconds,
            grid.org_ms AS org_min_usage_seconds,
            sum(CASE WHEN candidate.apps >= grid.min_apps AND candidate.usage_ms >= grid.org_ms THEN 1 ELSE 0 END)
                AS dag
        FROM grid LEFT JOIN candidate ON grid.app_ms = candidate.app_ms
        GROUP BY grid.min_apps, grid.app_ms, grid.org_ms
        ORDER BY 1, 2, 3, 4"""

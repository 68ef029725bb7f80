"""Segments: who is active in them, how they grow, and why their shares change; and the seats that organisations keep."""

from .terms import DIMENSIONS, LIMITS, MONTH_BITS, UNKNOWN


# What a query reads more than once is a table: not every engine computes a common table expression once.


def shared(q):
    """For `activity_by_segment`: an organisation's days of a month in each segment, and the seats of users who have several."""
    yield "held", f"""
        SELECT month.month AS month, place.org_id AS org_id, place.dimension AS dimension, place.segment AS segment,
            {q.power('least(place.valid_until - month.first_day, 30) + 1')}
                - {q.power('greatest(place.valid_from - month.first_day, 0)')} AS bits
        FROM org_place AS place
        INNER JOIN month ON place.valid_from <= month.last_day AND place.valid_until >= month.first_day"""
    yield "user_month", """
        SELECT month, user_id, bit_or(active_bits) AS active_bits, bit_or(seen_bits) AS seen_bits,
            sum(CASE WHEN org_id <> '' THEN 1 ELSE 0 END) AS orgs
        FROM seat_month GROUP BY month, user_id"""
    yield "shared_seat", f"""
        SELECT seat.month AS month, held.dimension AS dimension, held.segment AS segment, seat.user_id AS user_id,
            {q.both('seat.active_bits', 'held.bits')} AS active_bits, {q.both('seat.seen_bits', 'held.bits')} AS seen_bits
        FROM seat_month AS seat
        INNER JOIN (SELECT month, user_id FROM user_month WHERE orgs > 1) AS person
            ON seat.month = person.month AND seat.user_id = person.user_id
        INNER JOIN held ON seat.month = held.month AND seat.org_id = held.org_id"""


def activity_by_segment(q):
    """The users of a segment are the seats in it, less those of a user who was counted there for another organisation: of users
    of several, each seat is taken out and the user put in once."""
    day, bits = q.to_date, range(MONTH_BITS)
    sums = ", ".join(f"sum(users * {q.bit(f'{kind}_bits', place)}) AS {kind}_{place}" for kind in ("active", "seen") for place in bits)
    of_day = lambda kind: "CASE days.bit " + " ".join(f"WHEN {place} THEN {kind}_{place}" for place in bits) + " END"
    return f"""
        WITH pattern AS (
            SELECT seat.month AS month, held.dimension AS dimension, held.segment AS segment, 0 AS active_bits,
                {q.both('seat.seen_bits', 'held.bits')} AS seen_bits, seat.users AS users
            FROM org_seat AS seat INNER JOIN held ON seat.month = held.month AND seat.org_id = held.org_id
            UNION ALL
            SELECT month, dimension, segment, active_bits, seen_bits, -1 AS users FROM shared_seat
            UNION ALL
            SELECT month, dimension, segment, bit_or(active_bits) AS active_bits, bit_or(seen_bits) AS seen_bits, 1 AS users
            FROM shared_seat GROUP BY month, dimension, segment, user_id
            UNION ALL
            SELECT person.month AS month, 'role' AS dimension, coalesce(nullif(listed.role, ''), '{UNKNOWN}') AS segment,
                person.active_bits AS active_bits, person.seen_bits AS seen_bits, 1 AS users
            FROM user_month AS person LEFT JOIN users AS listed ON person.user_id = listed.user_id
        ),
        summed AS (SELECT month, dimension, segment, {sums} FROM pattern GROUP BY month, dimension, segment),
        stretch AS (
            SELECT dimension, segment, greatest(registered_on, valid_from) AS from_day, valid_until AS until_day, 1 AS orgs,
                coalesce(headcount, 0) AS headcount, CASE WHEN headcount IS NULL THEN 0 ELSE 1 END AS counted, 0 AS deep_orgs
            FROM org_place WHERE valid_until >= registered_on
            UNION ALL
            SELECT place.dimension AS dimension, place.segment AS segment, greatest(deep.from_day, place.valid_from) AS from_day,
                least(deep.until_day, place.valid_until) AS until_day, 0 AS orgs, 0 AS headcount, 0 AS counted, 1 AS deep_orgs
            FROM deep_window AS deep
            INNER JOIN org_place AS place
                ON deep.org_id = place.org_id AND deep.from_day <= place.valid_until AND deep.until_day >= place.valid_from
            WHERE deep.level = 5
        ),
        piece AS (
            SELECT from_day AS day, dimension, segment, orgs, headcount, counted, deep_orgs, 0 AS active_orgs, 0 AS dag, 0 AS dau,
                0 AS mau
            FROM stretch WHERE from_day <= {q.d}
            UNION ALL
            SELECT until_day + 1 AS day, dimension, segment, -orgs AS orgs, -headcount AS headcount, -counted AS counted,
                -deep_orgs AS deep_orgs, 0 AS active_orgs, 0 AS dag, 0 AS dau, 0 AS mau
            FROM stretch WHERE until_day < {q.d}
            UNION ALL
            SELECT active.day AS day, place.dimension AS dimension, place.segment AS segment, 0 AS orgs, 0 AS headcount,
                0 AS counted, 0 AS deep_orgs, 1 AS active_orgs, active.is_dag AS dag, active.users AS dau, 0 AS mau
            FROM org_day AS active
            INNER JOIN org_place AS place
                ON active.org_id = place.org_id AND active.day >= place.valid_from AND active.day <= place.valid_until
            UNION ALL
            SELECT days.day AS day, summed.dimension AS dimension, summed.segment AS segment, 0 AS orgs, 0 AS headcount,
                0 AS counted, 0 AS deep_orgs, 0 AS active_orgs, 0 AS dag, {of_day('active')} AS dau, {of_day('seen')} AS mau
            FROM summed INNER JOIN days ON summed.month = days.month
            UNION ALL
            SELECT days.day AS day, place.dimension AS dimension, place.segment AS segment, 0 AS orgs, 0 AS headcount,
                0 AS counted, 0 AS deep_orgs, 0 AS active_orgs, 0 AS dag, 0 AS dau, 0 AS mau
            FROM days CROSS JOIN (SELECT DISTINCT dimension, segment FROM org_place) AS place
        ),
        segment_day AS (
            SELECT day, dimension, segment, sum(orgs) AS orgs, sum(headcount) AS headcount, sum(counted) AS counted,
                sum(deep_orgs) AS deep_orgs, sum(active_orgs) AS active_orgs, sum(dag) AS dag, sum(dau) AS dau, sum(mau) AS mau
            FROM piece GROUP BY day, dimension, segment
        ),
        so_far AS (
            SELECT day, dimension, segment, dau, mau, active_orgs, dag,
                sum(orgs) OVER (PARTITION BY dimension, segment ORDER BY day) AS registered_orgs,
                sum(headcount) OVER (PARTITION BY dimension, segment ORDER BY day) AS headcount,
                sum(counted) OVER (PARTITION BY dimension, segment ORDER BY day) AS counted,
                sum(deep_orgs) OVER (PARTITION BY dimension, segment ORDER BY day) AS deep_orgs,
                sum(CASE WHEN dimension = 'role' THEN dau ELSE 0 END) OVER (PARTITION BY day) AS dau_of_all
            FROM segment_day
        ),
        shown AS (
            SELECT day, dimension, segment, dau, mau, dau_of_all,
                CASE WHEN dimension <> 'role' THEN registered_orgs END AS registered_orgs,
                CASE WHEN counted > 0 THEN headcount END AS headcount,
                CASE WHEN dimension <> 'role' THEN active_orgs END AS active_orgs,
                CASE WHEN dimension <> 'role' THEN dag END AS dag,
                CASE WHEN dimension <> 'role' THEN deep_orgs END AS deep_orgs
            FROM so_far WHERE registered_orgs > 0 OR (dimension = 'role' AND mau > 0)
        )
        SELECT {day('shown.day')} AS day, dimension, segment, registered_orgs, headcount, dau, mau, active_orgs, dag, deep_orgs,
            {q.rate('dau', 'dau_of_all')} AS dau_share, {q.rate('dag', 'registered_orgs')} AS dag_rate,
            {q.rate('mau', 'headcount')} AS seat_penetration,
            CASE WHEN shown.day >= {q.f + 27} THEN 1 ELSE 0 END AS is_complete
        FROM shown ORDER BY 1, 2, 3"""


def turns(q):
    """For `segment_growth`: each active month of an organisation beside its neighbours; what befell how many is then a few rows."""
    segment = lambda after: "CASE part.dimension " + " ".join(f"WHEN '{name}' THEN stretch.{name}{after}" for name in DIMENSIONS) + " END"
    before = ", ".join(f"lag({name}) OVER (PARTITION BY entity, org_id ORDER BY month) AS {name}_before" for name in DIMENSIONS)
    yield "segment_turn", f"""
        WITH active AS (
            SELECT listed.entity AS entity, listed.org_id AS org_id, listed.month AS month,
                {', '.join(f'org.{name} AS {name}' for name in DIMENSIONS)}
            FROM (
                SELECT 'org' AS entity, org_id, month FROM org_month
                UNION ALL
                SELECT 'dag' AS entity, org_id, month FROM org_month WHERE is_dag = 1
            ) AS listed
            INNER JOIN month ON listed.month = month.month
            INNER JOIN org_span AS org
                ON listed.org_id = org.org_id AND month.as_at >= org.valid_from AND month.as_at <= org.valid_until
        ),
        stretch AS (
            SELECT *, lag(month) OVER (PARTITION BY entity, org_id ORDER BY month) AS month_before,
                lead(month) OVER (PARTITION BY entity, org_id ORDER BY month) AS month_after, {before}
            FROM active
        ),
        placed AS (
            SELECT stretch.entity AS entity, part.dimension AS dimension, stretch.month AS month, {segment('')} AS segment,
                CASE WHEN stretch.month_before = stretch.month - 1 THEN {segment('_before')} END AS segment_before,
                CASE WHEN stretch.month_before IS NULL THEN 'new' WHEN stretch.month_before < stretch.month - 1
                    THEN 'resurrected' ELSE 'kept' END AS came_by,
                CASE WHEN stretch.month_after = stretch.month + 1 THEN 0 ELSE 1 END AS is_last
            FROM stretch CROSS JOIN (SELECT * FROM {q.values([(name,) for name in DIMENSIONS], ['dimension'])}) AS part
        )
        SELECT entity, dimension, month, segment, segment_before, came_by, is_last, count(*) AS orgs
        FROM placed GROUP BY entity, dimension, month, segment, segment_before, came_by, is_last"""


def segment_growth(q):
    count = lambda name, *kinds: f"sum(CASE WHEN came_by IN ({', '.join(repr(kind) for kind in kinds)}) THEN orgs ELSE 0 END) AS {name}"
    return f"""
        WITH flow_of AS (
            SELECT entity, dimension, segment, month,
                CASE WHEN came_by <> 'kept' THEN came_by WHEN segment = segment_before THEN 'retained' ELSE 'moved_in' END AS came_by,
                orgs
            FROM segment_turn
            UNION ALL
            SELECT entity, dimension, segment, month + 1 AS month, 'churned' AS came_by, orgs FROM segment_turn WHERE is_last = 1
            UNION ALL
            SELECT entity, dimension, segment_before AS segment, month, 'moved_out' AS came_by, orgs
            FROM segment_turn WHERE came_by = 'kept' AND segment <> segment_before
        ),
        counted AS (
            SELECT entity, dimension, segment, month, {count('active', 'new', 'resurrected', 'retained', 'moved_in')},
                {', '.join(count(f'{name}_orgs', name) for name in ('new', 'retained', 'resurrected', 'moved_in', 'churned', 'moved_out'))}
            FROM flow_of GROUP BY entity, dimension, segment, month
        ),
        grid AS (
            SELECT begun.entity AS entity, begun.dimension AS dimension, begun.segment AS segment, month.month AS month,
                month.first_day AS first_day, month.last_day AS last_day
            FROM (
                SELECT entity, dimension, segment, min(month) AS since FROM counted GROUP BY entity, dimension, segment
            ) AS begun
            INNER JOIN month ON month.month >= begun.since
        )
        SELECT grid.entity AS entity, grid.dimension AS dimension, grid.segment AS segment, {q.to_date('grid.first_day')} AS month,
            coalesce(active, 0) AS active, coalesce(new_orgs, 0) AS "new", coalesce(retained_orgs, 0) AS retained,
            coalesce(resurrected_orgs, 0) AS resurrected, coalesce(moved_in_orgs, 0) AS moved_in,
            coalesce(churned_orgs, 0) AS churned, coalesce(moved_out_orgs, 0) AS moved_out,
            CASE WHEN grid.first_day >= {q.f} AND grid.last_day <= {q.d} THEN 1 ELSE 0 END AS is_complete
        FROM grid
        LEFT JOIN counted ON grid.entity = counted.entity AND grid.dimension = counted.dimension
            AND grid.segment = counted.segment AND grid.month = counted.month
        ORDER BY 1, 2, 3, 4"""


def share_decomposition(q):
    """`b` is the end of the month before. Shares with nine decimals, cut, of products of three counts; then whole millionths."""
    part = lambda a, b: f"CAST({q.wide_idiv(f'1000000000 * {q.wide(a)}', f'nullif({b}, 0)')} AS BIGINT)"
    rounded = lambda a: f"CASE WHEN {a} < 0 THEN -{q.idiv(f'500 - ({a})', '1000')} ELSE {q.idiv(f'{a} + 500', '1000')} END"
    over = "OVER (PARTITION BY month, dimension)"
    return f"""
        WITH seat AS (
            SELECT seen.month AS month, seen.org_id AS org_id,
                sum(seen.users * {q.bit('seen.seen_bits', 'month.last_day - month.first_day')}) AS seats
            FROM org_seat AS seen INNER JOIN month ON seen.month = month.month GROUP BY seen.month, seen.org_id
        ),
        segment_end AS (
            SELECT month.month AS month, place.dimension AS dimension, place.segment AS segment, sum(place.headcount) AS headcount,
                sum(coalesce(seat.seats, 0)) AS seats
            FROM org_place AS place
            INNER JOIN month ON place.registered_on <= month.last_day AND place.valid_from <= month.last_day
                AND place.valid_until >= month.last_day
            LEFT JOIN seat ON place.org_id = seat.org_id AND month.month = seat.month
            WHERE place.headcount > 0 AND month.last_day >= {q.f + 27} AND month.last_day <= {q.d}
            GROUP BY month.month, place.dimension, place.segment
        ),
        paired AS (
            SELECT month, dimension, segment, sum(headcount_b) AS headcount_b, sum(headcount) AS headcount, sum(seats_b) AS seats_b,
                sum(seats) AS seats
            FROM (
                SELECT month + is_before AS month, dimension, segment, is_before * headcount AS headcount_b,
                    (1 - is_before) * headcount AS headcount, is_before * seats AS seats_b, (1 - is_before) * seats AS seats
                FROM segment_end CROSS JOIN (SELECT * FROM {q.values([(0,), (1,)], ['is_before'])}) AS side
            ) AS ends
            GROUP BY month, dimension, segment
        ),
        whole AS (
            SELECT month, dimension, segment, headcount_b, headcount, seats_b, seats, {q.wide('headcount_b')} AS h_b,
                {q.wide('headcount')} AS h, {q.wide('seats_b')} AS s_b, {q.wide('seats')} AS s,
                {q.wide(f'sum(headcount_b) {over}')} AS all_h_b, {q.wide(f'sum(headcount) {over}')} AS all_h,
                {q.wide(f'sum(seats_b) {over}')} AS all_s_b, {q.wide(f'sum(seats) {over}')} AS all_s
            FROM paired
        ),
        shared AS (
            SELECT *, {part('s_b', 'all_s_b')} AS share_b, {part('s', 'all_s')} AS share,
                CASE WHEN h_b = 0 OR h = 0 THEN {part('s', 'all_s')}
                    ELSE {part('s_b * h * all_h_b', 'all_s_b * h_b * all_h')} END AS of_new_mix,
                CASE WHEN h_b = 0 OR h = 0 THEN {part('s_b', 'all_s_b')}
                    ELSE {part('s * h_b * all_h', 'all_s * h * all_h_b')} END AS of_old_mix
            FROM whole
        ),
        effect AS (
            SELECT *, {rounded('share')} - {rounded('share_b')} AS change, of_new_mix - share_b AS mix,
                of_old_mix - share_b AS by_rate, share - of_new_mix - of_old_mix + share_b AS both_ways
            FROM shared
        ),
        whole_parts AS (
            SELECT *, {rounded('mix')} AS mix_6, {rounded('by_rate')} AS by_rate_6, {rounded('both_ways')} AS both_6,
                CASE WHEN abs(mix) >= abs(by_rate) AND abs(mix) >= abs(both_ways) THEN 'mix'
                    WHEN abs(by_rate) >= abs(both_ways) THEN 'rate' ELSE 'both' END AS largest
            FROM effect
        )
        SELECT {q.to_date('month.first_day')} AS month, dimension, segment, headcount_b AS headcount_before, headcount,
            seats_b AS seats_before, seats, {rounded(part('h_b', 'all_h_b'))} AS headcount_share_before,
            {rounded(part('h', 'all_h'))} AS headcount_share,
            {rounded(part('s_b * all_h_b', 'all_s_b * h_b'))} AS relative_penetration_before,
            {rounded(part('s * all_h', 'all_s * h'))} AS relative_penetration,
            {rounded('share_b')} AS share_before, {rounded('share')} AS share, change,
            CASE WHEN largest = 'mix' THEN change - by_rate_6 - both_6 ELSE mix_6 END AS mix_effect,
            CASE WHEN largest = 'rate' THEN change - mix_6 - both_6 ELSE by_rate_6 END AS rate_effect,
            CASE WHEN largest = 'both' THEN change - mix_6 - by_rate_6 ELSE both_6 END AS interaction_effect
        FROM whole_parts INNER JOIN month ON whole_parts.month = month.month
        WHERE month.first_day - 1 >= {q.f + 27} AND month.last_day <= {q.d}
        ORDER BY 1, 2, 3"""


def seat_retention(q):
    """Periods are bits: bit 0 is the month of the cohort. So the seats of an organisation are a few patterns with a number of
    users each. A share has 22 decimals, cut, the sum of shares 15."""
    last = LIMITS["month"]
    share = q.wide_idiv(f"{q.wide('seats_retained')} * {q.wide(10**11)} * {q.wide(10**11)}", q.wide("seats"))
    shown = lambda value: f"CASE WHEN month.last_day <= {q.d} THEN {value} END"
    sums = q.wide_idiv(f"{q.wide(f'sum({share})')} + {5 * 10**6}", q.wide(10**7))
    nano = q.wide(10**9)
    mean = q.wide_idiv(f"2 * shares + {nano} * orgs_retained", f"nullif(2 * {nano} * orgs_retained, 0)")
    return f"""
        WITH cohort AS (SELECT org_id, min(month) AS cohort FROM org_month GROUP BY org_id),
        org AS (
            SELECT cohort.org_id AS org_id, cohort.cohort AS cohort,
                bit_or({q.power('active.month - cohort.cohort')}) AS active_periods
            FROM org_month AS active INNER JOIN cohort ON active.org_id = cohort.org_id
            WHERE active.month <= cohort.cohort + {last} GROUP BY cohort.org_id, cohort.cohort
        ),
        seat AS (
            SELECT org.cohort AS cohort, org.active_periods AS active_periods, used.org_id AS org_id, used.user_id AS user_id,
                bit_or({q.power('used.month - org.cohort')}) AS seat_periods
            FROM seat_active AS used INNER JOIN org ON used.org_id = org.org_id
            WHERE used.month <= org.cohort + {last} GROUP BY org.cohort, org.active_periods, used.org_id, used.user_id
        ),
        pattern AS (
            SELECT cohort, active_periods, org_id, seat_periods, count(*) AS seats
            FROM seat WHERE {q.bit('seat_periods', 0)} = 1 GROUP BY cohort, active_periods, org_id, seat_periods
        ),
        placed AS (
            SELECT pattern.cohort AS cohort, age_of.age AS age, pattern.org_id AS org_id, pattern.seats AS seats,
                {q.bit('pattern.active_periods', 'age_of.age')} AS is_retained,
                pattern.seats * {q.bit('pattern.seat_periods', 'age_of.age')} AS seats_retained
            FROM pattern CROSS JOIN (SELECT * FROM {q.values([(age,) for age in range(last + 1)], ['age'])}) AS age_of
        ),
        org_period AS (
            SELECT cohort, age, org_id, is_retained, sum(seats) AS seats, sum(seats_retained) AS seats_retained
            FROM placed GROUP BY cohort, age, org_id, is_retained
        ),
        cell_of AS (
            SELECT cohort, age, count(*) AS orgs, sum(seats) AS seats, sum(is_retained) AS orgs_retained,
                sum(CASE WHEN is_retained = 1 AND 2 * seats_retained < seats THEN 1 ELSE 0 END) AS orgs_below_half,
                sum(is_retained * seats) AS seats_of_retained, sum(seats_retained) AS seats_retained, {sums} AS shares
            FROM org_period GROUP BY cohort, age
        )
        SELECT {q.to_date('begun.first_day')} AS cohort, age AS period, orgs, seats, {shown('orgs_retained')} AS orgs_retained,
            {shown('orgs_below_half')} AS orgs_below_half, {shown('seats_of_retained')} AS seats_of_retained,
            {shown('seats_retained')} AS seats_retained,
            {shown(f'CAST({mean} AS BIGINT)')} AS org_weighted_rate,
            {shown(q.rate('seats_retained', 'seats_of_retained'))} AS seat_weighted_rate,
            CASE WHEN month.last_day <= {q.d} THEN 1 ELSE 0 END AS is_complete, {q.to_date('month.last_day')} AS mature_on
        FROM cell_of
        INNER JOIN month AS begun ON cell_of.cohort = begun.month
        INNER JOIN month ON cell_of.cohort + cell_of.age = month.month
        ORDER BY 1, 2"""

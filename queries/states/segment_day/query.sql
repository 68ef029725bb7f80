-- The users of a segment are the seats in it, less those of a user who was counted there already for another org. Days of a
-- month are bits (see seat_month), cut to the days on which an org's row holds: so its users move with it.
WITH kind_seen AS (
    SELECT
        month,
        kind,
        day_counts(0, 0) AS dau,
        day_counts(seen_bits & held_bits, users) AS mau
    FROM (
        SELECT
            seat.month,
            org.kind,
            seat.seen_bits,
            (1 << (org.until_day - seat.month + 1)) - (1 << (org.from_day - seat.month)) AS held_bits,
            seat.users
        FROM seat_patterns AS seat
        INNER JOIN org_kinds AS org ON seat.month = org.month AND seat.org_id = org.org_id
    ) AS placed
    GROUP BY month, kind
),

shared_seat AS (
    SELECT
        seat.month,
        place.dimension,
        place.segment,
        seat.user_id,
        seat.org_id,
        org.from_day,
        seat.active_bits,
        seat.seen_bits,
        (1 << (org.until_day - seat.month + 1)) - (1 << (org.from_day - seat.month)) AS held_bits
    FROM seat_month AS seat
    INNER JOIN org_kinds AS org ON seat.month = org.month AND seat.org_id = org.org_id
    INNER JOIN kind_segments AS place ON org.month = place.month AND org.kind = place.kind
    WHERE seat.has_others
),

counted_again AS (
    SELECT
        month,
        dimension,
        segment,
        active_bits & held_bits & bit_or(active_bits & held_bits) OVER seats_before AS active_bits,
        seen_bits & held_bits & bit_or(seen_bits & held_bits) OVER seats_before AS seen_bits
    FROM shared_seat
    WINDOW seats_before AS (
        PARTITION BY month, dimension, segment, user_id ORDER BY org_id, from_day
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),

role_user AS (
    SELECT
        used.month,
        coalesce(nullif(person.role, ''), '(unknown)') AS role,
        used.active_bits,
        used.seen_bits
    FROM (
        SELECT month, user_id, bit_or(active_bits) AS active_bits, bit_or(seen_bits) AS seen_bits
        FROM seat_month
        GROUP BY month, user_id
    ) AS used
    LEFT JOIN users AS person ON used.user_id = person.user_id
),

-- Users of each day of a month.
month_count AS (
    SELECT seen.month, place.dimension, place.segment, seen.dau, seen.mau
    FROM kind_seen AS seen
    INNER JOIN kind_segments AS place ON seen.month = place.month AND seen.kind = place.kind
    UNION ALL
    SELECT month, dimension, segment, day_counts(active_bits, -1), day_counts(seen_bits, -1)
    FROM counted_again
    WHERE seen_bits <> 0
    GROUP BY month, dimension, segment
    UNION ALL
    SELECT month, 'role', role, day_counts(active_bits, 1), day_counts(seen_bits, 1)
    FROM role_user
    GROUP BY month, role
),

user_count AS (
    SELECT
        calendar.day,
        spread.dimension,
        spread.segment,
        sum(spread.dau) AS dau,
        sum(spread.mau) AS mau
    FROM (
        SELECT
            month,
            dimension,
            segment,
            unnest(generate_series(0, 30)) AS bit,
            unnest(dau) AS dau,
            unnest(mau) AS mau
        FROM month_count
    ) AS spread
    INNER JOIN (
        SELECT
            day,
            cast(date_trunc('month', day) AS date) AS month,
            day - cast(date_trunc('month', day) AS date) AS bit
        FROM days
        WHERE day <= $as_of
    ) AS calendar ON spread.month = calendar.month AND spread.bit = calendar.bit
    GROUP BY calendar.day, spread.dimension, spread.segment
),

-- Stretches end with their month, and its kinds: each month begins its counts anew.
kind_stretch AS (
    SELECT
        month,
        kind,
        greatest(registered_on, from_day) AS from_day,
        until_day,
        1 AS orgs,
        headcount,
        0 AS deep_orgs
    FROM org_kinds
    WHERE until_day >= registered_on
    UNION ALL
    SELECT
        org.month,
        org.kind,
        greatest(deep.from_day, org.from_day),
        least(deep.until_day, org.until_day),
        0,
        NULL,
        1
    FROM deep_window AS deep
    INNER JOIN org_kinds AS org
        ON
            period_start('month', deep.from_day, $week_start) = org.month
            AND deep.org_id = org.org_id
            AND deep.from_day <= org.until_day
            AND deep.until_day >= org.from_day
    WHERE deep.level = 5
),

kind_turn AS (
    SELECT
        CASE WHEN step > 0 THEN from_day ELSE until_day + 1 END AS day,
        month,
        kind,
        step * orgs AS orgs,
        step * headcount AS headcount,
        CASE WHEN headcount IS NOT NULL THEN step ELSE 0 END AS orgs_with_headcount,
        step * deep_orgs AS deep_orgs
    FROM (SELECT *, unnest(make_array(1, -1)) AS step FROM kind_stretch) AS turn
),

kind_day AS (
    SELECT
        day,
        month,
        kind,
        sum(orgs) AS orgs,
        sum(headcount) AS headcount,
        sum(orgs_with_headcount) AS orgs_with_headcount,
        sum(deep_orgs) AS deep_orgs,
        0 AS active_orgs,
        0 AS dag,
        0 AS dau
    FROM kind_turn
    WHERE day <= $as_of
    GROUP BY day, month, kind
    UNION ALL
    SELECT
        active.day,
        org.month,
        org.kind,
        0,
        0,
        0,
        0,
        count(*),
        sum(CASE WHEN active.is_dag THEN 1 ELSE 0 END),
        sum(active.users)
    FROM org_day AS active
    INNER JOIN org_kinds AS org
        ON
            period_start('month', active.day, $week_start) = org.month
            AND active.org_id = org.org_id
            AND active.day >= org.from_day
            AND active.day <= org.until_day
    WHERE active.day <= $as_of
    GROUP BY active.day, org.month, org.kind
),

-- Counts of a day, and steps of counts that hold until the next one; the last part gives every segment a row each day.
piece AS (
    SELECT
        counted.day,
        place.dimension,
        place.segment,
        counted.orgs,
        coalesce(counted.headcount, 0) AS headcount,
        counted.orgs_with_headcount,
        counted.deep_orgs,
        counted.active_orgs,
        counted.dag,
        counted.dau,
        0 AS mau
    FROM kind_day AS counted
    INNER JOIN kind_segments AS place ON counted.month = place.month AND counted.kind = place.kind
    UNION ALL
    SELECT day, dimension, segment, 0, 0, 0, 0, 0, 0, dau, mau
    FROM user_count
    UNION ALL
    SELECT days.day, place.dimension, place.segment, 0, 0, 0, 0, 0, 0, 0, 0
    FROM days
    INNER JOIN (SELECT DISTINCT month, dimension, segment FROM kind_segments) AS place
        ON period_start('month', days.day, $week_start) = place.month
    WHERE days.day <= $as_of
),

piece_day AS (
    SELECT
        day,
        dimension,
        segment,
        sum(orgs) AS orgs,
        sum(headcount) AS headcount,
        sum(orgs_with_headcount) AS orgs_with_headcount,
        sum(deep_orgs) AS deep_orgs,
        sum(active_orgs) AS active_orgs,
        sum(dag) AS dag,
        sum(dau) AS dau,
        sum(mau) AS mau
    FROM piece
    GROUP BY day, dimension, segment
),

counted AS (
    SELECT
        day,
        dimension,
        segment,
        sum(orgs) OVER so_far AS registered_orgs,
        CASE WHEN sum(orgs_with_headcount) OVER so_far > 0 THEN sum(headcount) OVER so_far END AS headcount,
        dau,
        mau,
        active_orgs,
        dag,
        sum(deep_orgs) OVER so_far AS deep_orgs
    FROM piece_day
    WINDOW so_far AS (PARTITION BY dimension, segment ORDER BY day)
)

SELECT
    day,
    dimension,
    segment,
    CASE WHEN dimension <> 'role' THEN registered_orgs END AS registered_orgs,
    headcount,
    dau,
    mau,
    CASE WHEN dimension <> 'role' THEN active_orgs END AS active_orgs,
    CASE WHEN dimension <> 'role' THEN dag END AS dag,
    CASE WHEN dimension <> 'role' THEN deep_orgs END AS deep_orgs
FROM counted
WHERE registered_orgs > 0 OR (dimension = 'role' AND mau > 0)
ORDER BY day, dimension, segment

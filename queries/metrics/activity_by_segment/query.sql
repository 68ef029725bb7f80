-- Users are counted month by month, with a bit for each of its days: those on which a user was active for an org, and those
-- whose trailing 28 days hold such a day. An org's segment is that of its row at the reported day, so the bits of its users
-- are cut to the days on which a row holds: they move with the org.
WITH reached_month AS (
    SELECT
        day,
        cast(date_trunc('month', day) AS date) AS month,
        cast(date_trunc('month', day) + interval '1 month' AS date) AS next_month
    FROM days
),

-- The months that see a day's activity: its own, and the next if it begins within 27 days. Bit 0 is a month's first day.
reach AS (
    SELECT day, month, 1 << (day - month) AS active_bits, 268435455 << (day - month) AS seen_bits
    FROM reached_month
    UNION ALL
    SELECT day, next_month, 0, (1 << (day + 28 - next_month)) - 1
    FROM reached_month
    WHERE day + 27 >= next_month
),

seat AS (
    SELECT
        reach.month,
        used.user_id,
        used.org_id,
        bit_or(reach.active_bits) AS active_bits,
        bit_or(reach.seen_bits) AS seen_bits
    FROM user_day AS used
    INNER JOIN reach ON used.day = reach.day
    WHERE used.human_events > 0 AND used.day <= $as_of
    GROUP BY reach.month, used.user_id, used.org_id
),

seat_of_user AS (
    SELECT
        month,
        user_id,
        org_id,
        active_bits,
        seen_bits,
        lag(org_id) OVER seats IS NULL AND lead(org_id) OVER seats IS NULL AS is_only
    FROM seat
    WINDOW seats AS (PARTITION BY month, user_id ORDER BY org_id)
),

-- What is known of an org; nothing before its first row.
org_row AS (
    SELECT org_id, valid_from, valid_until, headcount, industry, region, edition
    FROM orgs
    UNION ALL
    SELECT org_id, DATE '0001-01-01', min(valid_from) - 1, cast(NULL AS bigint), '', '', ''
    FROM orgs
    GROUP BY org_id
    HAVING min(valid_from) > DATE '0001-01-01'
),

org_segment AS (
    SELECT
        registered.org_id,
        registered.registered_on,
        coalesce(org.valid_from, DATE '0001-01-01') AS from_day,
        coalesce(org.valid_until, DATE '9999-12-31') AS until_day,
        org.headcount,
        part.dimension,
        coalesce(
            nullif(
                CASE
                    WHEN part.dimension = 'industry' THEN org.industry
                    WHEN part.dimension = 'region' THEN org.region
                    WHEN part.dimension = 'edition' THEN org.edition
                    WHEN org.headcount < 100 THEN '0-99'
                    WHEN org.headcount < 500 THEN '100-499'
                    WHEN org.headcount < 2000 THEN '500-1999'
                    WHEN org.headcount < 10000 THEN '2000-9999'
                    WHEN org.headcount < 100000 THEN '10000-99999'
                    WHEN org.headcount < 1000000 THEN '100000-999999'
                    WHEN org.headcount >= 1000000 THEN '1000000+'
                END, ''
            ), '(unknown)'
        ) AS segment
    FROM org_registration AS registered
    LEFT JOIN org_row AS org ON registered.org_id = org.org_id
    CROSS JOIN (VALUES ('size_band'), ('industry'), ('region'), ('edition')) AS part (dimension)
    WHERE registered.registered_on <= $as_of
),

-- What use for an org counts in: the segments of the org, and the role of the user, which personal use counts in as well.
place AS (
    SELECT org_id, dimension, segment, from_day, until_day
    FROM org_segment
    UNION ALL
    SELECT org_id, 'role', '', DATE '0001-01-01', DATE '9999-12-31'
    FROM org_registration
    UNION ALL
    SELECT '', 'role', '', DATE '0001-01-01', DATE '9999-12-31'
),

-- Who has one seat in a month is nobody else in any segment and is counted without a name. The others keep theirs, to be
-- one user where several of their orgs, or several rows of one, share a segment.
member AS (
    SELECT
        seat.month,
        place.dimension,
        CASE WHEN place.dimension = 'role' THEN coalesce(nullif(person.role, ''), '(unknown)') ELSE place.segment END
            AS segment,
        CASE
            WHEN seat.is_only AND place.from_day <= seat.month AND place.until_day >= seat.month + 30 THEN ''
            ELSE seat.user_id
        END AS name,
        seat.active_bits,
        seat.seen_bits,
        (1 << (least(place.until_day - seat.month, 30) + 1)) - (1 << greatest(place.from_day - seat.month, 0))
            AS held_bits
    FROM seat_of_user AS seat
    INNER JOIN place
        ON seat.org_id = place.org_id AND place.from_day <= seat.month + 30 AND place.until_day >= seat.month
    LEFT JOIN users AS person ON seat.user_id = person.user_id
),

-- Eight days at a time, so that few patterns of bits are left, each with the number of its users.
eighth AS (
    SELECT
        month,
        dimension,
        segment,
        name,
        first_bit,
        ((active_bits & held_bits) >> first_bit) & 255 AS active_bits,
        ((seen_bits & held_bits) >> first_bit) & 255 AS seen_bits
    FROM member
    CROSS JOIN (VALUES (0), (8), (16), (24)) AS eight (first_bit)
),

user_pattern AS (
    SELECT
        month,
        dimension,
        segment,
        first_bit,
        bit_or(active_bits) AS active_bits,
        bit_or(seen_bits) AS seen_bits,
        CASE WHEN name = '' THEN count(*) ELSE 1 END AS users
    FROM eighth
    GROUP BY
        month,
        dimension,
        segment,
        first_bit,
        name,
        CASE WHEN name = '' THEN active_bits END,
        CASE WHEN name = '' THEN seen_bits END
),

pattern AS (
    SELECT month, dimension, segment, first_bit, active_bits, seen_bits, sum(users) AS users
    FROM user_pattern
    WHERE seen_bits <> 0
    GROUP BY month, dimension, segment, first_bit, active_bits, seen_bits
),

user_count AS (
    SELECT
        calendar.day,
        pattern.dimension,
        pattern.segment,
        sum(pattern.users * ((pattern.active_bits >> calendar.bit) & 1)) AS dau,
        sum(pattern.users * ((pattern.seen_bits >> calendar.bit) & 1)) AS mau
    FROM pattern
    INNER JOIN (
        SELECT day, month, (day - month) / 8 * 8 AS first_bit, (day - month) % 8 AS bit
        FROM reached_month
    ) AS calendar ON pattern.month = calendar.month AND pattern.first_bit = calendar.first_bit
    GROUP BY calendar.day, pattern.dimension, pattern.segment
),

org_stretch AS (
    SELECT
        dimension,
        segment,
        greatest(registered_on, from_day) AS from_day,
        until_day,
        1 AS orgs,
        headcount,
        0 AS deep_orgs
    FROM org_segment
    WHERE until_day >= registered_on
    UNION ALL
    SELECT
        segment.dimension,
        segment.segment,
        greatest(deep.from_day, segment.from_day),
        least(deep.until_day, segment.until_day),
        0,
        NULL,
        1
    FROM deep_window AS deep
    INNER JOIN org_segment AS segment
        ON deep.org_id = segment.org_id AND deep.from_day <= segment.until_day AND deep.until_day >= segment.from_day
    WHERE deep.level = 5
),

org_turn AS (
    SELECT
        CASE WHEN step > 0 THEN from_day ELSE until_day + 1 END AS day,
        dimension,
        segment,
        step * orgs AS orgs,
        step * headcount AS headcount,
        CASE WHEN headcount IS NOT NULL THEN step ELSE 0 END AS orgs_with_headcount,
        step * deep_orgs AS deep_orgs
    FROM org_stretch
    CROSS JOIN (VALUES (1), (-1)) AS turn (step)
),

-- Counts of a day, and steps of counts that hold until the next one; the last part gives every segment a row each day.
piece AS (
    SELECT
        day,
        dimension,
        segment,
        orgs,
        coalesce(headcount, 0) AS headcount,
        orgs_with_headcount,
        deep_orgs,
        0 AS active_orgs,
        0 AS dag,
        0 AS dau,
        0 AS mau
    FROM org_turn
    WHERE day <= $as_of
    UNION ALL
    SELECT active.day, place.dimension, place.segment, 0, 0, 0, 0, 1, CASE WHEN active.is_dag THEN 1 ELSE 0 END, 0, 0
    FROM org_day AS active
    INNER JOIN org_segment AS place
        ON active.org_id = place.org_id AND active.day >= place.from_day AND active.day <= place.until_day
    WHERE active.day <= $as_of
    UNION ALL
    SELECT day, dimension, segment, 0, 0, 0, 0, 0, 0, dau, mau
    FROM user_count
    UNION ALL
    SELECT days.day, place.dimension, place.segment, 0, 0, 0, 0, 0, 0, 0, 0
    FROM days
    CROSS JOIN (SELECT DISTINCT dimension, segment FROM org_segment) AS place
),

segment_day AS (
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
        sum(deep_orgs) OVER so_far AS deep_orgs,
        sum(CASE WHEN dimension = 'role' THEN dau ELSE 0 END) OVER (PARTITION BY day) AS dau_of_all
    FROM segment_day
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
    CASE WHEN dimension <> 'role' THEN deep_orgs END AS deep_orgs,
    rate(dau, dau_of_all) AS dau_share,
    CASE WHEN dimension <> 'role' THEN rate(dag, registered_orgs) END AS dag_rate,
    rate(mau, headcount) AS seat_penetration,
    day >= $first_day + 27 AS is_complete
FROM counted
WHERE registered_orgs > 0 OR (dimension = 'role' AND mau > 0)
ORDER BY day, dimension, segment

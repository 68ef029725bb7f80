-- `b` is before: the end of the month before. Products of three counts outgrow 64 bits, so they are decimals.
WITH month AS (
    SELECT month, period_end('month', month, $week_start) AS last_day
    FROM (
        SELECT unnest(generate_series(period_after('month', $from_month, -1, $week_start), $as_of, interval '1 month')) AS month
    ) AS observed
),

org_end AS (
    SELECT org.org_id, org.headcount, org.kind, month.month
    FROM org_kinds AS org
    INNER JOIN month ON org.month = month.month
    WHERE
        org.headcount > 0
        AND org.from_day <= month.last_day
        AND org.registered_on <= month.last_day
        AND org.until_day >= month.last_day
        AND month.last_day >= $first_day + 27
        AND month.last_day <= $as_of
),

seat AS (
    SELECT
        seat.month,
        seat.org_id,
        sum(seat.users * ((seat.seen_bits >> (month.last_day - month.month)) & 1)) AS seats
    FROM seat_patterns AS seat
    INNER JOIN month ON seat.month = month.month
    GROUP BY seat.month, seat.org_id
),

kind_end AS (
    SELECT
        org_end.month,
        org_end.kind,
        sum(org_end.headcount) AS headcount,
        sum(coalesce(seat.seats, 0)) AS seats
    FROM org_end
    LEFT JOIN seat ON org_end.org_id = seat.org_id AND org_end.month = seat.month
    GROUP BY org_end.month, org_end.kind
),

-- An end is the one of its month, and the one before of the next.
segment_end AS (
    SELECT
        kind_end.month,
        place.dimension,
        place.segment,
        sum(kind_end.headcount) AS headcount,
        sum(kind_end.seats) AS seats
    FROM kind_end
    INNER JOIN kind_segments AS place ON kind_end.month = place.month AND kind_end.kind = place.kind
    GROUP BY 1, 2, 3
),

paired AS (
    SELECT
        month,
        dimension,
        segment,
        sum(headcount_b) AS headcount_b,
        sum(headcount) AS headcount,
        sum(seats_b) AS seats_b,
        sum(seats) AS seats
    FROM (
        SELECT
            CASE WHEN side.is_before THEN period_after('month', month, 1, $week_start) ELSE month END AS month,
            dimension,
            segment,
            CASE WHEN side.is_before THEN headcount ELSE 0 END AS headcount_b,
            CASE WHEN side.is_before THEN 0 ELSE headcount END AS headcount,
            CASE WHEN side.is_before THEN seats ELSE 0 END AS seats_b,
            CASE WHEN side.is_before THEN 0 ELSE seats END AS seats
        FROM segment_end
        CROSS JOIN (VALUES (true), (false)) AS side (is_before)
    ) AS ends
    WHERE month - 1 >= $first_day + 27 AND period_end('month', month, $week_start) <= $as_of
    GROUP BY month, dimension, segment
),

whole AS (
    SELECT
        *,
        cast(headcount_b AS decimal(38, 0)) AS h_b,
        cast(headcount AS decimal(38, 0)) AS h,
        cast(seats_b AS decimal(38, 0)) AS s_b,
        cast(seats AS decimal(38, 0)) AS s,
        cast(nullif(sum(headcount_b) OVER whole_dimension, 0) AS decimal(38, 0)) AS all_h_b,
        cast(nullif(sum(headcount) OVER whole_dimension, 0) AS decimal(38, 0)) AS all_h,
        cast(nullif(sum(seats_b) OVER whole_dimension, 0) AS decimal(38, 0)) AS all_s_b,
        cast(nullif(sum(seats) OVER whole_dimension, 0) AS decimal(38, 0)) AS all_s
    FROM paired
    WINDOW whole_dimension AS (PARTITION BY month, dimension)
),

-- The share before with the new headcounts, and the share now with the old ones; each with nine decimals.
what_if AS (
    SELECT
        *,
        cast(s_b AS decimal(38, 5)) / all_s_b AS share_b,
        cast(s AS decimal(38, 5)) / all_s AS share,
        CASE
            WHEN h_b = 0 OR h = 0 THEN cast(s AS decimal(38, 5)) / all_s
            ELSE cast(s_b * h * all_h_b AS decimal(38, 5)) / (all_s_b * h_b * all_h)
        END AS share_b_of_new_mix,
        CASE
            WHEN h_b = 0 OR h = 0 THEN cast(s_b AS decimal(38, 5)) / all_s_b
            ELSE cast(s * h_b * all_h AS decimal(38, 5)) / (all_s * h * all_h_b)
        END AS share_of_old_mix
    FROM whole
),

part AS (
    SELECT
        *,
        cast(share AS decimal(38, 6)) - cast(share_b AS decimal(38, 6)) AS change,
        share_b_of_new_mix - share_b AS mix,
        share_of_old_mix - share_b AS by_rate,
        share - share_b_of_new_mix - share_of_old_mix + share_b AS interaction
    FROM what_if
),

rounded AS (
    SELECT
        *,
        cast(mix AS decimal(38, 6)) AS mix_6,
        cast(by_rate AS decimal(38, 6)) AS by_rate_6,
        cast(interaction AS decimal(38, 6)) AS interaction_6,
        CASE
            WHEN abs(mix) >= abs(by_rate) AND abs(mix) >= abs(interaction) THEN 'mix'
            WHEN abs(by_rate) >= abs(interaction) THEN 'rate'
            ELSE 'interaction'
        END AS largest
    FROM part
)

SELECT
    month,
    dimension,
    segment,
    headcount_b AS headcount_before,
    headcount,
    seats_b AS seats_before,
    seats,
    cast(cast(h_b AS decimal(38, 5)) / all_h_b AS decimal(38, 6)) AS headcount_share_before,
    cast(cast(h AS decimal(38, 5)) / all_h AS decimal(38, 6)) AS headcount_share,
    cast(cast(s_b * all_h_b AS decimal(38, 5)) / nullif(all_s_b * h_b, 0) AS decimal(38, 6)) AS relative_penetration_before,
    cast(cast(s * all_h AS decimal(38, 5)) / nullif(all_s * h, 0) AS decimal(38, 6)) AS relative_penetration,
    cast(share_b AS decimal(38, 6)) AS share_before,
    cast(share AS decimal(38, 6)) AS share,
    change,
    cast(CASE WHEN largest = 'mix' THEN change - by_rate_6 - interaction_6 ELSE mix_6 END AS decimal(38, 6)) AS mix_effect,
    cast(CASE WHEN largest = 'rate' THEN change - mix_6 - interaction_6 ELSE by_rate_6 END AS decimal(38, 6))
        AS rate_effect,
    cast(CASE WHEN largest = 'interaction' THEN change - mix_6 - by_rate_6 ELSE interaction_6 END AS decimal(38, 6))
        AS interaction_effect
FROM rounded
ORDER BY month, dimension, segment

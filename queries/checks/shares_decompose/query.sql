WITH segment_end AS (
    SELECT period_start('month', day, $week_start) AS month, dimension, segment, headcount, mau
    FROM activity_by_segment
    WHERE
        dimension <> 'role'
        AND day = period_end('month', day, $week_start)
        AND period_start('month', day, $week_start) - 1 >= $first_day + 27
),

compared AS (
    SELECT
        coalesce(part.month, whole.month) AS month,
        coalesce(part.dimension, whole.dimension) AS dimension,
        coalesce(part.segment, whole.segment) AS segment,
        cast(part.share - part.share_before AS decimal(38, 6)) AS share_change,
        part.change,
        cast(part.mix_effect + part.rate_effect + part.interaction_effect AS decimal(38, 6)) AS effects,
        part.headcount,
        whole.headcount AS expected_headcount,
        part.seats,
        whole.mau
    FROM share_decomposition AS part
    FULL OUTER JOIN segment_end AS whole
        ON part.month = whole.month AND part.dimension = whole.dimension AND part.segment = whole.segment
)

SELECT *
FROM compared
WHERE
    (share_change IS DISTINCT FROM change)
    OR (effects IS DISTINCT FROM change)
    OR (
        coalesce(expected_headcount, 0) < 10000000000
        AND (
            coalesce(headcount, 0) <> coalesce(expected_headcount, 0)
            OR (dimension = 'size_band' AND segment NOT IN ('0-99', '(unknown)') AND seats < mau)
        )
    )
ORDER BY month, dimension, segment

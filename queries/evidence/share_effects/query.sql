SELECT
    month,
    dimension,
    segment,
    effect,
    CASE
        WHEN effect = 'rate' THEN headcount_share_before
        ELSE headcount_share - headcount_share_before
    END AS of_headcount_share,
    CASE
        WHEN effect = 'mix' THEN relative_penetration_before
        ELSE relative_penetration - relative_penetration_before
    END AS of_relative_penetration,
    CASE
        WHEN effect = 'mix' THEN mix_effect
        WHEN effect = 'rate' THEN rate_effect
        ELSE interaction_effect
    END AS value
FROM (
    SELECT *, unnest(make_array('mix', 'rate', 'interaction')) AS effect
    FROM share_decomposition
    WHERE month = $month AND dimension = $dimension AND segment = $segment
) AS part
ORDER BY month, dimension, segment, effect

WITH measured AS (
    SELECT
        org_id,
        size_band,
        industry,
        is_active,
        measure,
        CASE
            WHEN measure = 'active_seats' THEN rate(active_seats, 1)
            WHEN measure = 'dag_days' THEN rate(dag_days, 1)
            WHEN measure = 'level' THEN rate(level, 1)
            WHEN measure = 'meetings_per_day' THEN meetings_per_day
            ELSE seats_share
        END AS value
    FROM (
        SELECT
            *,
            unnest(make_array('active_seats', 'dag_days', 'level', 'meetings_per_day', 'seats_share')) AS measure
        FROM org_profiles
    ) AS asked
),

-- Itself, and its peers of both kinds with the values of itself beside them.
peer AS (
    SELECT
        own.org_id,
        own.measure,
        own.value AS own_value,
        other.value,
        other.value IS NOT NULL AND other.is_active AND other.size_band = own.size_band AS is_of_band,
        other.value IS NOT NULL AND other.is_active AND other.industry = own.industry AS is_of_industry
    FROM measured AS own
    INNER JOIN measured AS other ON own.measure = other.measure
    WHERE own.org_id = $org_id
),

ranked AS (
    SELECT
        org_id,
        measure,
        own_value,
        value,
        is_of_band,
        is_of_industry,
        cast(row_number() OVER (PARTITION BY measure, is_of_band ORDER BY value) AS bigint) AS band_rank,
        count(*) OVER (PARTITION BY measure, is_of_band) AS band_count,
        cast(row_number() OVER (PARTITION BY measure, is_of_industry ORDER BY value) AS bigint) AS industry_rank,
        count(*) OVER (PARTITION BY measure, is_of_industry) AS industry_count
    FROM peer
)

SELECT
    org_id,
    measure,
    own_value AS value,
    cast(sum(CASE
        WHEN is_of_band AND band_rank * 2 >= band_count AND band_rank * 2 <= band_count + 2 THEN value
    END) / nullif(count(CASE
        WHEN is_of_band AND band_rank * 2 >= band_count AND band_rank * 2 <= band_count + 2 THEN 1
    END), 0) AS decimal(38, 6)) AS band_median,
    count(CASE WHEN is_of_band THEN 1 END) AS band_orgs,
    cast(sum(CASE
        WHEN is_of_industry AND industry_rank * 2 >= industry_count AND industry_rank * 2 <= industry_count + 2 THEN value
    END) / nullif(count(CASE
        WHEN is_of_industry AND industry_rank * 2 >= industry_count AND industry_rank * 2 <= industry_count + 2 THEN 1
    END), 0) AS decimal(38, 6)) AS industry_median,
    count(CASE WHEN is_of_industry THEN 1 END) AS industry_orgs
FROM ranked
GROUP BY org_id, measure, own_value
ORDER BY org_id, measure

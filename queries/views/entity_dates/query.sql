SELECT
    entity,
    dated_on,
    count(*) AS ids,
    sum(count(*)) OVER (PARTITION BY entity ORDER BY dated_on) AS ids_so_far
FROM dated_entities
WHERE dated_on <= $as_of
GROUP BY entity, dated_on
ORDER BY entity, dated_on

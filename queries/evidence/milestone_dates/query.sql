SELECT
    entity,
    $threshold AS threshold,
    dated_on,
    ids,
    ids_so_far
FROM entity_dates
WHERE entity = $entity AND ids_so_far - ids < $threshold
ORDER BY entity, threshold, dated_on

SELECT
    entity,
    $threshold AS threshold,
    dated_on,
    ids,
    ids_so_far
FROM entity_dates
WHERE entity = $entity AND ids_so_far - ids < greatest($threshold, 1)
ORDER BY entity, threshold, dated_on

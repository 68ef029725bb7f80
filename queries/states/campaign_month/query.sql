SELECT
    used.month,
    used.user_id,
    person.campaign,
    person.role,
    person.registered_on,
    bit_or(used.active_bits) AS active_bits,
    bit_or(used.check_in_bits) AS check_in_bits
FROM seat_month AS used
INNER JOIN users AS person ON used.user_id = person.user_id
WHERE
    NOT person.is_internal
    AND used.active_bits <> 0
    AND (
        abs(cast(used.month AS integer) - cast(person.registered_on AS integer)) <= 30
        OR (person.campaign <> '' AND used.check_in_bits <> 0)
    )
GROUP BY used.month, used.user_id, person.campaign, person.role, person.registered_on
ORDER BY month, user_id

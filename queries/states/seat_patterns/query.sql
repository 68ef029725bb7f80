SELECT month, org_id, seen_bits, count(*) AS users
FROM seat_month
WHERE org_id <> ''
GROUP BY month, org_id, seen_bits
ORDER BY month, org_id, seen_bits

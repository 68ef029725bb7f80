SELECT
    coalesce(seat.cohort, org.cohort) AS cohort,
    coalesce(seat.period, org.period) AS period,
    seat.orgs,
    org.cohort_size AS expected_orgs,
    seat.orgs_retained,
    org."on" AS expected_retained,
    seat.seats,
    seat.seats_of_retained,
    seat.seats_retained
FROM seat_retention AS seat
FULL OUTER JOIN (SELECT * FROM org_retention WHERE grain = 'month') AS org
    ON seat.cohort = org.cohort AND seat.period = org.period
WHERE
    (seat.orgs IS DISTINCT FROM org.cohort_size)
    OR (seat.orgs_retained IS DISTINCT FROM org."on")
    OR seat.seats < seat.orgs
    OR seat.seats_of_retained > seat.seats
    OR seat.seats_retained > seat.seats_of_retained
    OR seat.orgs_below_half > seat.orgs_retained
    OR (seat.period = 0 AND seat.seats_retained < seat.seats)
    OR (seat.orgs_retained = seat.orgs AND seat.seats_of_retained < seat.seats)
ORDER BY cohort, period

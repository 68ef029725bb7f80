SELECT
    period_start('month', week, $week_start) AS month,
    org_id,
    kind,
    app_id,
    min(week) AS first_week
FROM asset_week
GROUP BY period_start('month', week, $week_start), org_id, kind, app_id
ORDER BY month, org_id, kind, app_id

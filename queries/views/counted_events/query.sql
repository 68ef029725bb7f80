WITH told AS (
    SELECT
        e.*,
        CASE
            WHEN action.action IS NOT NULL OR app.app_id IS NOT NULL THEN 'excluded'
            WHEN e.user_id = '' THEN 'machine'
            WHEN coalesce(u.is_internal, false) THEN 'internal'
            ELSE 'human'
        END AS counts_as
    FROM events AS e
    LEFT JOIN excluded_actions AS action ON e.action = action.action
    LEFT JOIN excluded_apps AS app ON e.app_id = app.app_id
    LEFT JOIN users AS u ON e.user_id = u.user_id
)

SELECT
    day,
    ts,
    org_id,
    user_id,
    app_id,
    action,
    event_id,
    concurrent_id,
    duration_ms,
    counts_as,
    counts_as = 'human' AS is_human,
    counts_as = 'machine' AS is_machine,
    CASE WHEN counts_as = 'human' THEN duration_ms ELSE 0 END AS usage_ms
FROM told

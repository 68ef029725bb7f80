SELECT
    dag.day,
    dag.since AS dag_since,
    dag.org_min_usage_ms,
    dag.app_min_usage_ms,
    dag.min_apps,
    dag.min_users,
    deep.since AS deep_since,
    deep.excluded_categories,
    deep.production_days,
    deep.systems,
    deep.store_days,
    deep.process_days,
    deep.flow_days,
    deep.decide_days
FROM dag_definitions AS dag
INNER JOIN deep_definitions AS deep ON dag.day = deep.day
ORDER BY day

"""The metrics in SQL, shared by the peers that speak it.

Days are integers (days since 1970-01-01), durations milliseconds, rates millionths: integers are the fastest type in all
of these engines, and the same arithmetic works in each. The plan is the best one that we know for a column engine:

- `visit` holds each active day of a user, organisation or DAG organisation with the active day before and after it, made
  by one aggregation into sorted lists where the engine has them, by a window otherwise. Everything that looks back (windows, retention,
  growth) is a small aggregation over it; no day is joined with the 28 days around it, and no distinct count is repeated.
- `cell` is that aggregation: counts by grain, cohort and period. The tables of retention and growth come from its few
  thousand rows.
- `deep_window` counts what changes (up on a day, down 28 days later) instead of looking back from every day.
- `seat_month` holds a user's days of a month for an organisation as the bits of one number.
"""

from . import activity, apps, campaigns, dag, deep, dialect, events, integration, quality, seats, segments, size, states, sweep

VISIT, KEPT, DEEP, REGISTERED, SEATS, SEEN, PLACES, SHARED, TURNS, BREADTH = range(10)
# Each metric, and the states that it reads.
METRICS = {
    "daily_activity": (activity.daily_activity, {VISIT, DEEP}),
    "user_retention": (lambda q: activity.retention(q, "user"), {VISIT, KEPT}),
    "org_retention": (lambda q: activity.retention(q, "org"), {VISIT, KEPT}),
    "dag_retention": (lambda q: activity.retention(q, "dag"), {VISIT, KEPT}),
    "retention_summary": (activity.retention_summary, {VISIT, KEPT}),
    "growth_accounting": (activity.growth_accounting, {VISIT}),
    "stickiness": (activity.stickiness, {VISIT}),
    "dag_orgs": (dag.dag_orgs, set()),
    "dag_near_misses": (dag.dag_near_misses, set()),
    "dag_sensitivity": (dag.dag_sensitivity, set()),
    "deep_integration_levels": (integration.deep_integration_levels, {DEEP, REGISTERED}),
    "deep_integration_orgs": (integration.deep_integration_orgs, {DEEP}),
    "data_quality": (quality.data_quality, set()),
    "activity_by_segment": (segments.activity_by_segment, {DEEP, REGISTERED, SEATS, SEEN, PLACES, SHARED}),
    "org_size_tiers": (size.org_size_tiers, {REGISTERED}),
    "milestones": (size.milestones, set()),
    "app_adoption": (apps.app_adoption, {VISIT}),
    "app_breadth": (apps.app_breadth, {BREADTH}),
    "integration_assets": (integration.integration_assets, set()),
    "campaign_funnel": (campaigns.campaign_funnel, set()),
    "account_list_penetration": (size.account_list_penetration, {DEEP, REGISTERED}),
    "concurrency_peaks": (apps.concurrency_peaks, set()),
    "meeting_volume": (apps.meeting_volume, set()),
    "dormant_orgs": (activity.dormant_orgs, {DEEP}),
    "seat_retention": (segments.seat_retention, {REGISTERED, SEATS, PLACES}),
    "segment_growth": (segments.segment_growth, {REGISTERED, PLACES, TURNS}),
    "share_decomposition": (segments.share_decomposition, {REGISTERED, SEATS, SEEN, PLACES}),
    "weekday_comparison": (activity.weekday_comparison, {VISIT}),
}


def needed(metrics):
    """The states that the metrics read, so that a run of some metrics makes no other state."""
    return set().union(*(METRICS[name][1] for name in metrics))


STATES = {
    VISIT: states.cells, KEPT: states.kept, DEEP: deep.deep, REGISTERED: deep.registered, SEATS: seats.seats, SEEN: seats.seat_months,
    PLACES: seats.places, SHARED: segments.shared, TURNS: segments.turns, BREADTH: apps.breadths,
}


def run(q, execute, write, metrics, clock):
    """Makes the states and writes each metric's table; `clock` notes when each was done."""
    need = needed(metrics)

    def make(queries):
        for name, query in queries(q):
            execute(q.materialised.format(name=name, query=query))
        clock(queries.__name__)

    make(states.states)
    if VISIT in need:
        for statement in q.visits():
            execute(statement)
        clock("visits")
    for state, queries in STATES.items():
        if state in need:
            make(queries)
    for name in metrics:
        write(name, METRICS[name][0](q))
        clock(name)

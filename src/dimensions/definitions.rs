//! Which definition of DAG and of deep integration holds on which observed day, as tables that queries join by day.
//! It does not know what the thresholds are compared with.

use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch};

use super::{ObservedRange, by_month, table, text};
use crate::error::Result;
use crate::period::Day;
use crate::settings::{DagSettings, DeepSettings, Entry, History};

/// The thresholds of DAG on each observed day.
pub(super) fn dag(history: &History<DagSettings>, range: ObservedRange) -> Result<Vec<RecordBatch>> {
    by_month(range, |days| {
        let held = held(history, days.clone());
        table(&[
            ("day", Arc::new(Date32Array::from_iter_values(days))),
            since(&held),
            ("org_min_usage_ms", number(&held, |dag| dag.org_min_usage_ms)),
            ("app_min_usage_ms", number(&held, |dag| dag.app_min_usage_ms)),
            ("min_apps", number(&held, |dag| dag.min_apps.into())),
            ("min_users", number(&held, |dag| dag.min_users.into())),
        ])
    })
}

/// The thresholds of deep integration on each observed day.
pub(super) fn deep(history: &History<DeepSettings>, range: ObservedRange) -> Result<Vec<RecordBatch>> {
    by_month(range, |days| {
        let held = held(history, days.clone());
        let excluded: Vec<String> = held.iter().map(|entry| listed(&entry.definition.excluded_categories)).collect();
        table(&[
            ("day", Arc::new(Date32Array::from_iter_values(days))),
            since(&held),
            ("excluded_categories", text(excluded.iter().map(String::as_str))),
            ("production_days", number(&held, |deep| deep.production_days.into())),
            ("systems", number(&held, |deep| deep.systems.into())),
            ("store_days", number(&held, |deep| deep.store_days.into())),
            ("process_days", number(&held, |deep| deep.process_days.into())),
            ("flow_days", number(&held, |deep| deep.flow_days.into())),
            ("decide_days", number(&held, |deep| deep.decide_days.into())),
        ])
    })
}

// The entry of each day.
fn held<T>(history: &History<T>, days: RangeInclusive<Day>) -> Vec<&Entry<T>> {
    days.map(|day| history.on(day)).collect()
}

fn since<T>(held: &[&Entry<T>]) -> (&'static str, ArrayRef) {
    ("since", Arc::new(held.iter().map(|entry| entry.valid_from).collect::<Date32Array>()))
}

fn number<T>(held: &[&Entry<T>], value: impl Fn(&T) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(held.iter().map(|entry| value(&entry.definition))))
}

// Sorted, each once, joined by `;`. A `;` within a name is escaped, and so is the mark of escaping.
fn listed(names: &[String]) -> String {
    let mut names: Vec<String> = names.iter().map(|name| name.replace('%', "%25").replace(';', "%3B")).collect();
    names.sort_unstable();
    names.dedup();
    names.join(";")
}

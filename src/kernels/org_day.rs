//! What the rules of a daily active organisation look at. See `queries/states/org_day/query.sql`.

use std::sync::Arc;

use arrow::array::{BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;

use super::columns::{Chunk, Wanted, days, read_small, side_by_side};
use super::orgs::runs;
use super::{Frame, Input, Inputs, Rows, batch, files_of};
use crate::error::{Error, Result};
use crate::period::{Day, format_day};

const APPS: Wanted<1, 2> = Wanted { texts: ["org_id"], numbers: ["human_events", "usage_ms"] };
const USERS: Wanted<1, 1> = Wanted { texts: ["org_id"], numbers: ["users"] };
const DEFINITION: [&str; 4] = ["org_min_usage_ms", "app_min_usage_ms", "min_apps", "min_users"];

/// The thresholds of a day.
#[derive(Debug, Clone, Copy)]
struct Thresholds {
    org_min_usage_ms: i64,
    app_min_usage_ms: i64,
    min_apps: i64,
    min_users: i64,
}

/// A day that is to be computed.
struct Work {
    day: Day,
    apps: Vec<Input>,
    users: Vec<Input>,
    thresholds: Thresholds,
}

/// A row of the result.
struct OrgDay<'a> {
    org: &'a str,
    apps: i64,
    over_threshold: i64,
    usage_ms: i64,
}

/// The active organisations of all days.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef) -> Result<Option<Rows>> {
    let thresholds = read_small(files_of(inputs, "dag_definitions")?, DEFINITION)?;
    let mut users = days(files_of(inputs, "org_users_day")?)?.into_iter().peekable();
    let mut work = Vec::new();
    for (day, apps) in days(files_of(inputs, "org_app_day")?)? {
        while users.next_if(|(of_users, _)| *of_users < day).is_some() {}
        let users = users.next_if(|(of_users, _)| *of_users == day).map(|(_, files)| files).unwrap_or_default();
        let unknown = || Error::Internal(format!("no definition of DAG holds on {}", format_day(day)));
        let [org_min_usage_ms, app_min_usage_ms, min_apps, min_users] = *thresholds.get(&day).ok_or_else(unknown)?;
        let thresholds = Thresholds { org_min_usage_ms, app_min_usage_ms, min_apps, min_users };
        if day >= frame.wanted.0 && day <= frame.wanted.1 {
            work.push(Work { day, apps, users, thresholds });
        }
    }
    let schema = Arc::clone(schema);
    Ok(Some(Box::new(side_by_side(work, move |work| of_day(work, &schema)))))
}

fn of_day(work: &Work, schema: &SchemaRef) -> Result<RecordBatch> {
    let (apps, users) = (APPS.read_day(&work.apps)?, USERS.read_day(&work.users)?);
    let orgs = orgs(&apps, work.thresholds.app_min_usage_ms);
    let of_users = runs(&users, 0);
    let mut of_users = of_users.iter().peekable();
    let mut counted: Vec<(i64, &OrgDay)> = Vec::with_capacity(orgs.len());
    for org in &orgs {
        while of_users.next_if(|run| run.org < org.org).is_some() {}
        if let Some(run) = of_users.next_if(|run| run.org == org.org) {
            counted.push((users[run.chunk].numbers(0)[run.rows.start], org));
        }
    }
    let Thresholds { org_min_usage_ms, min_apps, min_users, .. } = work.thresholds;
    let is_dag = |(users, org): &(i64, &OrgDay)| {
        Some(org.usage_ms >= org_min_usage_ms && org.over_threshold >= min_apps && *users >= min_users)
    };
    let number = |value: fn(&OrgDay) -> i64| Int64Array::from_iter_values(counted.iter().map(|(_, org)| value(org)));
    batch(
        schema,
        vec![
            Arc::new(Date32Array::from_value(work.day, counted.len())),
            Arc::new(StringArray::from_iter_values(counted.iter().map(|(_, org)| org.org))),
            Arc::new(Int64Array::from_iter_values(counted.iter().map(|(users, _)| *users))),
            Arc::new(number(|org| org.apps)),
            Arc::new(number(|org| org.over_threshold)),
            Arc::new(number(|org| org.usage_ms)),
            Arc::new(counted.iter().map(is_dag).collect::<BooleanArray>()),
        ],
    )
}

/// The organisations with a human event.
fn orgs(chunks: &[Chunk<1, 2>], app_min_usage_ms: i64) -> Vec<OrgDay<'_>> {
    let mut orgs = Vec::new();
    for same in runs(chunks, 0).chunk_by(|one, other| one.org == other.org) {
        let Some(org) = same.first().map(|run| run.org) else { continue };
        let mut counted = OrgDay { org, apps: 0, over_threshold: 0, usage_ms: 0 };
        for run in same {
            let chunk = &chunks[run.chunk];
            let rows = chunk.numbers(0)[run.rows.clone()].iter().zip(&chunk.numbers(1)[run.rows.clone()]);
            for (_, &usage_ms) in rows.filter(|(human_events, _)| **human_events > 0) {
                counted.apps += 1;
                counted.over_threshold += i64::from(usage_ms >= app_min_usage_ms);
                counted.usage_ms += usage_ms;
            }
        }
        if counted.apps > 0 {
            orgs.push(counted);
        }
    }
    orgs
}

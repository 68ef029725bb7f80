//! What the rules of a daily active organisation look at. See `queries/states/org_day/query.sql`.

use std::sync::Arc;

use arrow::array::{BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::days::{days, read, side_by_side};
use super::orgs::{numbers, runs};
use super::{Frame, Input, Inputs, Rows, batch, files_of};
use crate::columns::{Chunk, Wanted};
use crate::error::{Error, Result};
use crate::period::{Day, format_day};

const APPS: Wanted = Wanted { table: "org_app_day", texts: &["org_id"], others: &["human_events", "usage_ms"] };
const USERS: Wanted = Wanted { table: "org_users_day", texts: &["org_id"], others: &["users"] };
const DEFINITIONS: Wanted = Wanted {
    table: "dag_definitions",
    texts: &[],
    others: &["day", "org_min_usage_ms", "app_min_usage_ms", "min_apps", "min_users"],
};

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
    let thresholds = thresholds(inputs)?;
    let mut users = days(files_of(inputs, USERS.table)?)?.into_iter().peekable();
    let mut work = Vec::new();
    for (day, apps) in days(files_of(inputs, APPS.table)?)? {
        while users.next_if(|(of_users, _)| *of_users < day).is_some() {}
        let users = users.next_if(|(of_users, _)| *of_users == day).map(|(_, files)| files).unwrap_or_default();
        let unknown = || Error::Internal(format!("no definition of DAG holds on {}", format_day(day)));
        let thresholds = *thresholds.get(&day).ok_or_else(unknown)?;
        if day >= frame.wanted.0 && day <= frame.wanted.1 {
            work.push(Work { day, apps, users, thresholds });
        }
    }
    let schema = Arc::clone(schema);
    Ok(Some(Box::new(side_by_side(work, move |work| of_day(work, &schema)))))
}

// By the day on which they hold.
fn thresholds(inputs: &Inputs) -> Result<HashMap<Day, Thresholds>> {
    let mut by_day = HashMap::new();
    for chunk in read(DEFINITIONS, files_of(inputs, DEFINITIONS.table)?)? {
        let [org_min_usage, app_min_usage] = [chunk.numbers("org_min_usage_ms")?, chunk.numbers("app_min_usage_ms")?];
        let [min_apps, min_users] = [chunk.numbers("min_apps")?, chunk.numbers("min_users")?];
        by_day.extend(chunk.days("day")?.iter().enumerate().map(|(row, &day)| {
            let thresholds = Thresholds {
                org_min_usage_ms: org_min_usage[row],
                app_min_usage_ms: app_min_usage[row],
                min_apps: min_apps[row],
                min_users: min_users[row],
            };
            (day, thresholds)
        }));
    }
    Ok(by_day)
}

fn of_day(work: &Work, schema: &SchemaRef) -> Result<RecordBatch> {
    let (apps, users) = (read(APPS, &work.apps)?, read(USERS, &work.users)?);
    let orgs = orgs(&apps, work.thresholds.app_min_usage_ms)?;
    let (of_users, counts) = (runs(&users)?, numbers(&users, "users")?);
    let mut of_users = of_users.iter().peekable();
    let mut counted: Vec<(i64, &OrgDay)> = Vec::with_capacity(orgs.len());
    for org in &orgs {
        while of_users.next_if(|run| run.org < org.org).is_some() {}
        if let Some(run) = of_users.next_if(|run| run.org == org.org) {
            counted.push((counts[run.chunk][run.rows.start], org));
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
fn orgs(chunks: &[Chunk], app_min_usage_ms: i64) -> Result<Vec<OrgDay<'_>>> {
    let (human_events, usage_ms) = (numbers(chunks, "human_events")?, numbers(chunks, "usage_ms")?);
    let mut orgs = Vec::new();
    for same in runs(chunks)?.chunk_by(|one, other| one.org == other.org) {
        let Some(org) = same.first().map(|run| run.org) else { continue };
        let mut counted = OrgDay { org, apps: 0, over_threshold: 0, usage_ms: 0 };
        for run in same {
            let human_events = &human_events[run.chunk][run.rows.clone()];
            let rows = human_events.iter().zip(&usage_ms[run.chunk][run.rows.clone()]);
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
    Ok(orgs)
}

//! What the rules of a daily active organisation look at. See `queries/states/org_day/query.sql`.

use std::sync::Arc;

use arrow::array::{BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::days::{days, read, side_by_side};
use super::pairs::{PERSONAL, Pairs};
use super::{Frame, Input, Inputs, Rows, Shared, batch, files_of};
use crate::columns::Wanted;
use crate::error::{Error, Result};
use crate::period::{Day, format_day};

// Of the same rows as the pairs of organisations and apps.
const USAGE: Wanted = Wanted { table: "org_app_day", texts: &[], others: &["usage_ms"] };
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

/// What an organisation used on a day.
struct OrgDay {
    org: u32,
    apps: i64,
    over_threshold: i64,
    usage_ms: i64,
}

/// The active organisations of all days.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef, shared: &Shared) -> Result<Option<Rows>> {
    let thresholds = thresholds(inputs)?;
    let mut users = days(files_of(inputs, USERS.table)?)?.into_iter().peekable();
    let mut work = Vec::new();
    for (day, apps) in days(files_of(inputs, USAGE.table)?)? {
        while users.next_if(|(of_users, _)| *of_users < day).is_some() {}
        let users = users.next_if(|(of_users, _)| *of_users == day).map(|(_, files)| files).unwrap_or_default();
        let unknown = || Error::Internal(format!("no definition of DAG holds on {}", format_day(day)));
        let thresholds = *thresholds.get(&day).ok_or_else(unknown)?;
        if day >= frame.wanted.0 && day <= frame.wanted.1 {
            work.push(Work { day, apps, users, thresholds });
        }
    }
    let (pairs, schema) = (Arc::clone(&shared.apps), Arc::clone(schema));
    Ok(Some(Box::new(side_by_side(work, move |work| of_day(work, &pairs, &schema)))))
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

fn of_day(work: &Work, pairs: &Pairs, schema: &SchemaRef) -> Result<RecordBatch> {
    let orgs = orgs(work, pairs)?;
    let chunks = read(USERS, &work.users)?;
    let mut users = Vec::new();
    for chunk in &chunks {
        let (orgs, counts) = (chunk.texts("org_id")?.each(|org| org), chunk.numbers("users")?);
        users.extend(counts.iter().enumerate().map(|(row, &count)| (orgs.of(row), count)));
    }
    let known = pairs.known();
    let mut orgs = orgs.iter().map(|org| (known.orgs.text(org.org), org)).collect::<Vec<_>>();
    // A large day has several files, and no organisation is in two of them.
    if work.apps.len() > 1 {
        orgs.sort_unstable_by_key(|(org, _)| *org);
        users.sort_unstable();
    }
    let mut users = users.into_iter().peekable();
    let mut counted: Vec<(&str, i64, &OrgDay)> = Vec::with_capacity(orgs.len());
    for (name, org) in orgs {
        while users.next_if(|(other, _)| *other < name).is_some() {}
        if let Some((_, users)) = users.next_if(|(other, _)| *other == name) {
            counted.push((name, users, org));
        }
    }
    let Thresholds { org_min_usage_ms, min_apps, min_users, .. } = work.thresholds;
    let is_dag = |(_, users, org): &(&str, i64, &OrgDay)| {
        Some(org.usage_ms >= org_min_usage_ms && org.over_threshold >= min_apps && *users >= min_users)
    };
    let number = |value: fn(&OrgDay) -> i64| Int64Array::from_iter_values(counted.iter().map(|(.., org)| value(org)));
    batch(
        schema,
        vec![
            Arc::new(Date32Array::from_value(work.day, counted.len())),
            Arc::new(StringArray::from_iter_values(counted.iter().map(|(name, ..)| name))),
            Arc::new(Int64Array::from_iter_values(counted.iter().map(|(_, users, _)| *users))),
            Arc::new(number(|org| org.apps)),
            Arc::new(number(|org| org.over_threshold)),
            Arc::new(number(|org| org.usage_ms)),
            Arc::new(counted.iter().map(is_dag).collect::<BooleanArray>()),
        ],
    )
}

/// The organisations with a human event, in the order of the files.
fn orgs(work: &Work, pairs: &Pairs) -> Result<Vec<OrgDay>> {
    let mut orgs: Vec<OrgDay> = Vec::new();
    for input in &work.apps {
        let file = pairs.file(&input.path)?;
        let mut rows = file.rows.iter();
        for chunk in USAGE.read(&input.path)? {
            let chunk = chunk?;
            let known = pairs.known();
            for (&usage_ms, row) in
                chunk.numbers("usage_ms")?.iter().zip(rows.by_ref()).filter(|(_, row)| row.is_human())
            {
                let (org, _) = known.ids[row.pair()];
                if org == PERSONAL {
                    continue;
                }
                let counted = match orgs.last_mut() {
                    Some(last) if last.org == org => last,
                    _ => orgs.push_mut(OrgDay { org, apps: 0, over_threshold: 0, usage_ms: 0 }),
                };
                counted.apps += 1;
                counted.over_threshold += i64::from(usage_ms >= work.thresholds.app_min_usage_ms);
                counted.usage_ms += usage_ms;
            }
        }
    }
    Ok(orgs)
}

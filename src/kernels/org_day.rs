//! What the rules of a daily active organisation look at. See `queries/states/org_day/query.sql`.

use std::sync::Arc;

use arrow::array::{BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::days::{by_month, chunks, days, read, side_by_side};
use super::divided::Making;
use super::pairs::{OUTSIDE, PERSONAL, Pairs};
use super::parts::Halted;
use super::{Frame, Input, Inputs, batch, coded, files_of, texts};
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
pub(super) struct Thresholds {
    pub(super) org_min_usage_ms: i64,
    pub(super) app_min_usage_ms: i64,
    pub(super) min_apps: i64,
    pub(super) min_users: i64,
}

/// A day that is to be computed.
struct Work {
    day: Day,
    apps: Vec<Input>,
    users: Vec<Input>,
    thresholds: Thresholds,
}

/// A row of the result.
struct OrgDay {
    day: Day,
    org: u32,
    users: i64,
    apps: i64,
    over_threshold: i64,
    usage_ms: i64,
    is_dag: bool,
}

/// The active organisations of all days.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef, pairs: &Arc<Pairs>) -> Halted<Making> {
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
    let (pairs, schema) = (Arc::clone(pairs), Arc::clone(schema));
    let all_pairs = Arc::clone(&pairs);
    let days = side_by_side(work, move |work| Ok((work.day, of_day(work, &pairs)?)));
    let rows = by_month(days, move |orgs| {
        let names = texts(&all_pairs.known().orgs);
        of_month(orgs, &names, &schema)
    });
    Ok(Box::new(rows))
}

/// The thresholds, by the day on which they hold.
pub(super) fn thresholds(inputs: &Inputs) -> Result<HashMap<Day, Thresholds>> {
    let mut by_day = HashMap::new();
    for chunk in chunks(DEFINITIONS, inputs)? {
        let chunk = chunk?;
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

/// The organisations with a human event and users, in the order of their ids.
fn of_day(work: &Work, pairs: &Pairs) -> Halted<Vec<OrgDay>> {
    let users = users(work, pairs)?;
    let mut orgs = Vec::new();
    for input in &work.apps {
        let file = pairs.file(&input.path)?;
        let mut usage_ms = Vec::with_capacity(file.first_row + file.rows.len());
        for chunk in USAGE.read(&input.path)? {
            usage_ms.extend_from_slice(chunk?.numbers(USAGE.others[0])?);
        }
        let of_file = &usage_ms[file.first_row..];
        for (org, places) in file.orgs().filter(|(org, _)| *org != PERSONAL) {
            let users = users.get(org as usize).copied().unwrap_or(0);
            let used = file.rows[places.clone()].iter().zip(&of_file[places]).filter(|(row, _)| row.is_human());
            if users > 0 {
                orgs.extend(of_org(work, org, users, used.map(|(_, usage_ms)| *usage_ms)));
            }
        }
    }
    // A large day has several files, and no organisation is in two of them.
    if work.apps.len() > 1 {
        let known = pairs.known();
        orgs.sort_unstable_by_key(|org| known.orgs.text(org.org));
    }
    Ok(orgs)
}

/// What an organisation used on a day, by the usage of each app; `None` if it used none.
fn of_org(work: &Work, org: u32, users: i64, used: impl Iterator<Item = i64>) -> Option<OrgDay> {
    let Thresholds { org_min_usage_ms, app_min_usage_ms, min_apps, min_users } = work.thresholds;
    let (mut apps, mut over_threshold, mut usage_ms) = (0, 0, 0);
    for of_app in used {
        apps += 1;
        over_threshold += i64::from(of_app >= app_min_usage_ms);
        usage_ms += of_app;
    }
    let is_dag = usage_ms >= org_min_usage_ms && over_threshold >= min_apps && users >= min_users;
    (apps > 0).then_some(OrgDay { day: work.day, org, users, apps, over_threshold, usage_ms, is_dag })
}

/// The users of each organisation, by its number.
fn users(work: &Work, pairs: &Pairs) -> Result<Vec<i64>> {
    let mut users = Vec::new();
    for chunk in read(USERS, &work.users) {
        let chunk = chunk?;
        let (orgs, counts) = (pairs.orgs(chunk.texts(USERS.texts[0])?), chunk.numbers(USERS.others[0])?);
        users.resize(pairs.known().orgs.len(), 0);
        for (row, &count) in counts.iter().enumerate().filter(|(row, _)| orgs.of(*row) != OUTSIDE) {
            users[orgs.of(row) as usize] = count;
        }
    }
    Ok(users)
}

fn of_month(orgs: &[OrgDay], names: &StringArray, schema: &SchemaRef) -> Result<RecordBatch> {
    let number = |value: fn(&OrgDay) -> i64| Arc::new(Int64Array::from_iter_values(orgs.iter().map(value)));
    batch(
        schema,
        vec![
            Arc::new(Date32Array::from_iter_values(orgs.iter().map(|org| org.day))),
            Arc::new(coded(names, orgs.iter().map(|org| org.org))?),
            number(|org| org.users),
            number(|org| org.apps),
            number(|org| org.over_threshold),
            number(|org| org.usage_ms),
            Arc::new(orgs.iter().map(|org| Some(org.is_dag)).collect::<BooleanArray>()),
        ],
    )
}

//! The organisations that were DAG on each day, and those that nearly were, by name. See
//! `queries/metrics/dag_orgs/query.sql` and `queries/metrics/dag_near_misses/query.sql`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, StringArray, StringBuilder};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, SchemaRef};

use super::days::chunks;
use super::org_day::thresholds;
use super::{Frame, Inputs, Rows, batch, coded, texts};
use crate::columns::{Chunk, Wanted};
use crate::error::{Error, Result};
use crate::names::Names;
use crate::period::Day;

const DAYS: Wanted = Wanted {
    table: "org_day",
    texts: &["org_id"],
    others: &["day", "users", "apps", "apps_over_threshold", "usage_ms", "is_dag"],
};
const ORGS: Wanted = Wanted { table: "orgs", texts: &["org_id", "name"], others: &["valid_from", "valid_until"] };

// The rules of DAG, as numbers into their letters.
const RULES: [&str; 3] = ["a", "b", "c"];
const USAGE: u32 = 0;
const APPS: u32 = 1;
const USERS: u32 = 2;

/// What is known of an active organisation on a day.
#[derive(Debug, Clone, Copy)]
struct OrgDay {
    day: Day,
    users: i64,
    apps: i64,
    over_threshold: i64,
    usage_ms: i64,
    is_dag: bool,
}

/// The one rule that an organisation fails, and what it lacks.
#[derive(Debug, Clone, Copy)]
struct Missed {
    rule: u32,
    apps: i64,
    usage_ms: i64,
}

/// A row of a list; the organisation and its name are numbers.
struct Listed<R> {
    day: Day,
    org: u32,
    name: u32,
    of_day: R,
}

/// What organisations are called.
struct Register {
    orgs: Names,
    // By organisation.
    held: Vec<Held>,
    names: StringArray,
}

/// A name, and from when until when an organisation has it.
#[derive(Debug, Clone, Copy)]
struct Held {
    org: u32,
    from: Day,
    until: Day,
    name: u32,
}

// No name.
const NONE: u32 = 0;

/// The organisations that were DAG.
pub(super) fn dag_orgs(inputs: &Inputs, _: Frame, schema: &SchemaRef) -> Result<Rows> {
    listed(
        inputs,
        schema,
        |org: OrgDay| org.is_dag.then_some(org),
        |rows| {
            let number = |value: fn(&OrgDay) -> i64| -> ArrayRef {
                Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| value(&row.of_day))))
            };
            let usage = seconds(rows.iter().map(|row| row.of_day.usage_ms))?;
            Ok(vec![number(|org| org.users), number(|org| org.apps), number(|org| org.over_threshold), usage])
        },
    )
}

/// The active organisations that failed one rule alone.
pub(super) fn dag_near_misses(inputs: &Inputs, _: Frame, schema: &SchemaRef) -> Result<Rows> {
    let (thresholds, rules) = (thresholds(inputs)?, StringArray::from(RULES.to_vec()));
    let missed = move |org: OrgDay| {
        let least = thresholds.get(&org.day).filter(|_| !org.is_dag)?;
        let short = |least: i64, has: i64| (least - has).max(0);
        let usage_ms = short(least.org_min_usage_ms, org.usage_ms);
        let apps = short(least.min_apps, org.over_threshold);
        let users = short(least.min_users, org.users);
        let rule = match [usage_ms > 0, apps > 0, users > 0] {
            [true, false, false] => USAGE,
            [false, true, false] if apps == 1 => APPS,
            [false, false, true] => USERS,
            _ => return None,
        };
        Some(Missed { rule, apps, usage_ms })
    };
    listed(inputs, schema, missed, move |rows| {
        let apps = Int64Array::from_iter_values(rows.iter().map(|row| row.of_day.apps));
        let usage = seconds(rows.iter().map(|row| row.of_day.usage_ms))?;
        Ok(vec![Arc::new(coded(&rules, rows.iter().map(|row| row.of_day.rule))?), Arc::new(apps), usage])
    })
}

// The rows of the organisations that are chosen, in the order of the days and ids: that in which they are read.
fn listed<R>(
    inputs: &Inputs,
    schema: &SchemaRef,
    choose: impl Fn(OrgDay) -> Option<R> + Send + 'static,
    columns: impl Fn(&[Listed<R>]) -> Result<Vec<ArrayRef>> + Send + 'static,
) -> Result<Rows> {
    let (register, schema) = (Register::read(inputs)?, Arc::clone(schema));
    Ok(Box::new(chunks(DAYS, inputs)?.map(move |chunk| {
        let (ids, rows) = register.rows_of(&chunk?, &choose)?;
        let first: [ArrayRef; 3] = [
            Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| row.day))),
            Arc::new(coded(&ids, rows.iter().map(|row| row.org))?),
            Arc::new(coded(&register.names, rows.iter().map(|row| row.name))?),
        ];
        batch(&schema, first.into_iter().chain(columns(&rows)?).collect())
    })))
}

impl Register {
    fn read(inputs: &Inputs) -> Result<Self> {
        let (mut orgs, mut names, mut held) = (Names::default(), Names::default(), Vec::new());
        names.number(0, "");
        for chunk in chunks(ORGS, inputs)? {
            let chunk = chunk?;
            let (ids, of_rows) =
                (chunk.texts("org_id")?.numbered(&mut orgs), chunk.texts("name")?.numbered(&mut names));
            let (from, until) = (chunk.days("valid_from")?, chunk.days("valid_until")?);
            let row = |row: usize| Held { org: ids.of(row), from: from[row], until: until[row], name: of_rows.of(row) };
            held.extend((0..chunk.rows()).map(row));
        }
        held.sort_by_key(|held| held.org);
        Ok(Self { orgs, held, names: texts(&names) })
    }

    // The chosen rows, and the ids that they number.
    fn rows_of<R>(&self, chunk: &Chunk, choose: impl Fn(OrgDay) -> Option<R>) -> Result<(StringArray, Vec<Listed<R>>)> {
        let (mut ids, mut count) = (StringBuilder::new(), 0);
        let orgs = chunk.texts("org_id")?.each(|org| {
            ids.append_value(org);
            count += 1;
            (count - 1, self.places_of(org))
        });
        let (days, is_dag) = (chunk.days("day")?, chunk.flags("is_dag")?);
        let [users, apps] = [chunk.numbers("users")?, chunk.numbers("apps")?];
        let [over_threshold, usage_ms] = [chunk.numbers("apps_over_threshold")?, chunk.numbers("usage_ms")?];
        let mut rows = Vec::new();
        for (row, &day) in days.iter().enumerate() {
            let of_day = OrgDay {
                day,
                users: users[row],
                apps: apps[row],
                over_threshold: over_threshold[row],
                usage_ms: usage_ms[row],
                is_dag: is_dag.value(row),
            };
            if let Some(of_day) = choose(of_day) {
                let (org, (first, end)) = orgs.of(row);
                let held = self.held[first..end].iter().find(|held| held.from <= day && day <= held.until);
                rows.push(Listed { day, org, name: held.map_or(NONE, |held| held.name), of_day });
            }
        }
        Ok((ids.finish(), rows))
    }

    // Where the names of an organisation begin and end.
    fn places_of(&self, org: &str) -> (usize, usize) {
        let Some(org) = self.orgs.find(0, org) else { return (0, 0) };
        (self.held.partition_point(|held| held.org < org), self.held.partition_point(|held| held.org <= org))
    }
}

// Milliseconds as seconds with three decimals.
fn seconds(ms: impl Iterator<Item = i64>) -> Result<ArrayRef> {
    let seconds = Decimal128Array::from_iter_values(ms.map(i128::from));
    let seconds = seconds.with_precision_and_scale(DECIMAL128_MAX_PRECISION, 3);
    Ok(Arc::new(seconds.map_err(|e| Error::Internal(e.to_string()))?))
}

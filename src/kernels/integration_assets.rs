//! How many connectors and low-code apps organisations use in each week, and how many they had used by then. See
//! `queries/metrics/integration_assets/query.sql`.

use std::sync::Arc;

use arrow::array::{BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::days::chunks;
use super::{Frame, Inputs, Rows, batch, coded, texts};
use crate::columns::{Chunk, Wanted};
use crate::error::Result;
use crate::names::Names;
use crate::period::Day;

const FIRST: Wanted = Wanted { table: "asset_month", texts: &["org_id", "kind", "app_id"], others: &["first_week"] };
const WEEKS: Wanted = Wanted { table: "asset_week", texts: &["org_id", "kind"], others: &["week"] };

const WEEK: Day = 7;
const BATCH_ROWS: usize = 64 * 1024;

/// An organisation and a kind, by their numbers.
type Group = (u32, u32);

/// The names of all numbers.
#[derive(Default)]
struct Ids {
    orgs: Names,
    kinds: Names,
    apps: Names,
}

/// A row of the result.
struct Used {
    week: Day,
    group: Group,
    in_use: i64,
    first_seen: i64,
    cumulative: i64,
}

/// When a group first used each of its assets, in order, and how many of them it had used by the last week looked at.
#[derive(Default)]
struct History {
    weeks: Vec<Day>,
    before: usize,
}

/// The weeks of each organisation and kind.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef) -> Result<Rows> {
    let mut ids = Ids::default();
    let mut histories = histories(inputs, &mut ids)?;
    let mut rows: Vec<Used> = Vec::new();
    for chunk in chunks(WEEKS, inputs)? {
        count(&chunk?, frame.wanted.0, &mut ids, &mut rows)?;
    }
    for row in &mut rows {
        if let Some(history) = histories.get_mut(&row.group) {
            (row.first_seen, row.cumulative) = history.by(row.week);
        }
    }
    let (names, schema) = ([&ids.orgs, &ids.kinds].map(texts), Arc::clone(schema));
    let starts = (0..rows.len()).step_by(BATCH_ROWS);
    Ok(Box::new(
        starts.map(move |start| of_weeks(&rows[start..rows.len().min(start + BATCH_ROWS)], &names, frame, &schema)),
    ))
}

fn histories(inputs: &Inputs, ids: &mut Ids) -> Result<HashMap<Group, History>> {
    let mut first_weeks: HashMap<(Group, u32), Day> = HashMap::new();
    for chunk in chunks(FIRST, inputs)? {
        let chunk = chunk?;
        let (orgs, kinds) =
            (chunk.texts("org_id")?.numbered(&mut ids.orgs), chunk.texts("kind")?.numbered(&mut ids.kinds));
        let apps = chunk.texts("app_id")?.numbered(&mut ids.apps);
        for (row, &week) in chunk.days("first_week")?.iter().enumerate() {
            let asset = ((orgs.of(row), kinds.of(row)), apps.of(row));
            let first = first_weeks.entry(asset).or_insert(week);
            *first = week.min(*first);
        }
    }
    let mut histories: HashMap<Group, History> = HashMap::new();
    for ((group, _), week) in first_weeks {
        histories.entry(group).or_default().weeks.push(week);
    }
    histories.values_mut().for_each(|history| history.weeks.sort_unstable());
    Ok(histories)
}

// Assets come week by week, those of a week in the order of organisations and kinds.
fn count(chunk: &Chunk, from: Day, ids: &mut Ids, rows: &mut Vec<Used>) -> Result<()> {
    let (orgs, kinds) = (chunk.texts("org_id")?.numbered(&mut ids.orgs), chunk.texts("kind")?.numbered(&mut ids.kinds));
    for (row, &week) in chunk.days("week")?.iter().enumerate().filter(|(_, week)| **week >= from) {
        let group = (orgs.of(row), kinds.of(row));
        match rows.last_mut() {
            Some(last) if last.week == week && last.group == group => last.in_use += 1,
            _ => rows.push(Used { week, group, in_use: 1, first_seen: 0, cumulative: 0 }),
        }
    }
    Ok(())
}

impl History {
    /// How many assets were first used in a week, and by its end. Weeks are asked for in order.
    fn by(&mut self, week: Day) -> (i64, i64) {
        let rest = &self.weeks[self.before..];
        let (before, until) =
            (rest.iter().take_while(|first| **first < week), rest.iter().take_while(|first| **first <= week));
        let (before, until) = (before.count(), until.count());
        self.before += until;
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        (count(until - before), count(self.before))
    }
}

fn of_weeks(rows: &[Used], [orgs, kinds]: &[StringArray; 2], frame: Frame, schema: &SchemaRef) -> Result<RecordBatch> {
    let number = |value: fn(&Used) -> i64| Arc::new(Int64Array::from_iter_values(rows.iter().map(value)));
    let is_complete = |row: &Used| row.week >= frame.first_day && row.week + WEEK - 1 <= frame.as_of;
    batch(
        schema,
        vec![
            Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| row.week))),
            Arc::new(coded(orgs, rows.iter().map(|row| row.group.0))?),
            Arc::new(coded(kinds, rows.iter().map(|row| row.group.1))?),
            number(|row| row.in_use),
            number(|row| row.first_seen),
            number(|row| row.cumulative),
            Arc::new(rows.iter().map(|row| Some(is_complete(row))).collect::<BooleanArray>()),
        ],
    )
}

//! The months of organisations that were active in them. See `queries/states/org_month/query.sql`.

use std::sync::Arc;

use arrow::array::{Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;

use super::days::{ByMonth, chunks, wanted_months};
use super::{Frame, Inputs, Rows, batch, coded, texts};
use crate::columns::{Chunk, Wanted};
use crate::error::Result;
use crate::names::Names;
use crate::period::{Day, Grain};

const ACTIVE: Wanted = Wanted { table: "org_day", texts: &["org_id"], others: &["day", "is_dag"] };
const PATTERNS: Wanted =
    Wanted { table: "seat_patterns", texts: &["org_id"], others: &["month", "seen_bits", "users"] };
const DEEP: Wanted = Wanted { table: "deep_window", texts: &["org_id"], others: &["from_day", "until_day", "level"] };

const MONTH_DAYS: usize = 31;

/// What is known of an organisation in a month.
#[derive(Debug, Clone, Copy, Default)]
struct OrgMonth {
    dag_days: i64,
    last_active_on: Option<Day>,
    deep_level: Option<i64>,
    peak_users: Option<i64>,
}

/// The months that are wanted, each with its organisations by their numbers.
struct Months {
    orgs: Names,
    by_month: ByMonth<Vec<OrgMonth>>,
}

/// The patterns of an organisation in a month: the users in sight on each day.
struct Sight {
    month: Day,
    org: u32,
    users: [i64; MONTH_DAYS],
}

/// A row of the result: the organisation, the last day, and the other numbers.
type Row = (u32, Day, [i64; 3]);

/// The months of each organisation; what there is of organisations is held.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef) -> Result<Rows> {
    let wanted = wanted_months(frame);
    let mut months = Months { orgs: Names::default(), by_month: ByMonth::new(wanted.clone(), |_| Vec::new()) };
    for chunk in chunks(ACTIVE, inputs)? {
        months.add_active(&chunk?)?;
    }
    let mut sight = None;
    for chunk in chunks(PATTERNS, inputs)? {
        months.add_patterns(&chunk?, &mut sight)?;
    }
    months.end(sight.as_ref());
    for chunk in chunks(DEEP, inputs)? {
        months.add_deep(&chunk?)?;
    }
    let Months { orgs, by_month } = months;
    let (names, numbers, schema) = (texts(&orgs), orgs.ranks().numbers, Arc::clone(schema));
    Ok(Box::new(wanted.zip(by_month.all).map(move |(month, of_orgs)| {
        let row = |&org: &u32| {
            let OrgMonth { dag_days, last_active_on, deep_level, peak_users } = of_orgs.get(org as usize)?;
            Some((org, (*last_active_on)?, [*dag_days, (*deep_level)?, (*peak_users)?]))
        };
        of_month(Grain::Month.first_day(month), &numbers.iter().filter_map(row).collect::<Vec<_>>(), &names, &schema)
    })))
}

impl Months {
    /// An organisation in the month of a day, if that is wanted.
    fn of(&mut self, day: Day, org: u32) -> Option<&mut OrgMonth> {
        let (orgs, org) = (self.by_month.of(day)?, org as usize);
        if orgs.len() <= org {
            orgs.resize(org + 1, OrgMonth::default());
        }
        Some(&mut orgs[org])
    }

    fn add_active(&mut self, chunk: &Chunk) -> Result<()> {
        let orgs = chunk.texts("org_id")?.numbered(&mut self.orgs);
        let (days, is_dag) = (chunk.days("day")?, chunk.flags("is_dag")?);
        for (row, &day) in days.iter().enumerate() {
            if let Some(org) = self.of(day, orgs.of(row)) {
                org.dag_days += i64::from(is_dag.value(row));
                org.last_active_on = org.last_active_on.max(Some(day));
            }
        }
        Ok(())
    }

    // The patterns of an organisation follow each other; a chunk may end between them.
    fn add_patterns(&mut self, chunk: &Chunk, sight: &mut Option<Sight>) -> Result<()> {
        let orgs = chunk.texts("org_id")?.numbered(&mut self.orgs);
        let (months, seen) = (chunk.days("month")?, chunk.numbers("seen_bits")?);
        let users = chunk.numbers("users")?;
        for (row, &month) in months.iter().enumerate() {
            let org = orgs.of(row);
            if sight.as_ref().is_none_or(|sight| (sight.month, sight.org) != (month, org)) {
                let ended = sight.replace(Sight { month, org, users: [0; MONTH_DAYS] });
                self.end(ended.as_ref());
            }
            for (day, of_day) in sight.iter_mut().flat_map(|sight| sight.users.iter_mut().enumerate()) {
                *of_day += users[row] * (seen[row] >> day & 1);
            }
        }
        Ok(())
    }

    fn end(&mut self, sight: Option<&Sight>) {
        let Some(Sight { month, org, users }) = sight else { return };
        if let Some(org) = self.of(*month, *org) {
            org.peak_users = users.iter().copied().max();
        }
    }

    // The level on the last day on which an organisation was active.
    fn add_deep(&mut self, chunk: &Chunk) -> Result<()> {
        let orgs = chunk.texts("org_id")?.found(&self.orgs);
        let (from, until) = (chunk.days("from_day")?, chunk.days("until_day")?);
        let levels = chunk.numbers("level")?;
        for row in 0..chunk.rows() {
            let Some(org) = orgs.of(row).and_then(|org| self.of(from[row], org)) else { continue };
            if org.last_active_on.is_some_and(|last| from[row] <= last && last <= until[row]) {
                org.deep_level = Some(levels[row]);
            }
        }
        Ok(())
    }
}

fn of_month(month: Day, rows: &[Row], names: &StringArray, schema: &SchemaRef) -> Result<RecordBatch> {
    let number = |place: usize| Arc::new(Int64Array::from_iter_values(rows.iter().map(|(.., numbers)| numbers[place])));
    batch(
        schema,
        vec![
            Arc::new(Date32Array::from_value(month, rows.len())),
            Arc::new(coded(names, rows.iter().map(|(org, ..)| *org))?),
            number(0),
            Arc::new(Date32Array::from_iter_values(rows.iter().map(|(_, last, _)| *last))),
            number(1),
            number(2),
        ],
    )
}

//! The first day of each month on which an organisation had an event. See `queries/states/org_seen/query.sql`.

use std::sync::Arc;

use arrow::array::{Date32Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;

use super::divided::Making;
use super::pairs::{PERSONAL, Pairs};
use super::parts::{Halt, Halted};
use super::{Frame, Inputs, batch, coded, texts};
use crate::error::Result;
use crate::period::{Day, Grain};

/// An organisation by its number, and its first day.
type Seen = (u32, Day);

/// The organisations of each month.
pub(super) fn run(inputs: &Inputs, _: Frame, schema: &SchemaRef, pairs: &Arc<Pairs>) -> Halted<Making> {
    let mut months: Vec<(Day, Vec<Seen>)> = Vec::new();
    // By organisation: the first day of the month in which it was seen last.
    let mut last_seen: Vec<Option<Day>> = Vec::new();
    let mut held = 0;
    for day in pairs.days(inputs)? {
        let (day, files) = day?;
        let month = Grain::Month.first_day(Grain::Month.index(day));
        let seen = match months.last_mut() {
            Some((known, seen)) if *known == month => seen,
            _ => &mut months.push_mut((month, Vec::new())).1,
        };
        last_seen.resize(pairs.known().orgs.len(), None);
        for (org, _) in files.iter().flat_map(|file| file.orgs()) {
            if org != PERSONAL && last_seen[org as usize].replace(month) != Some(month) {
                seen.push((org, day));
                held += size_of::<Seen>();
            }
        }
        pairs.fit(held)?;
    }
    let known = pairs.known();
    let (names, ranks) = (texts(&known.orgs), known.orgs.ranks().ranks);
    let schema = Arc::clone(schema);
    let rows = months.into_iter().map(move |(month, mut seen)| {
        seen.sort_unstable_by_key(|(org, _)| ranks[*org as usize]);
        of_month(month, &seen, &names, &schema).map_err(Halt::Failed)
    });
    Ok(Box::new(rows))
}

fn of_month(month: Day, seen: &[Seen], names: &StringArray, schema: &SchemaRef) -> Result<RecordBatch> {
    batch(
        schema,
        vec![
            Arc::new(Date32Array::from_value(month, seen.len())),
            Arc::new(coded(names, seen.iter().map(|(org, _)| *org))?),
            Arc::new(Date32Array::from_iter_values(seen.iter().map(|(_, day)| *day))),
        ],
    )
}

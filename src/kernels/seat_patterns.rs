//! How many users of an organisation were in sight on the same days of a month. See `queries/states/seat_patterns/query.sql`.

use std::sync::Arc;

use arrow::array::{Date32Array, Int64Array};
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::days::chunks;
use super::{Frame, Inputs, Rows, Shared, batch, coded, texts};
use crate::columns::{Chunk, Wanted};
use crate::error::Result;
use crate::names::Names;
use crate::period::Day;

const SEATS: Wanted = Wanted { table: "seat_month", texts: &["org_id"], others: &["month", "seen_bits"] };

/// The users of each organisation's patterns in a month.
type Patterns = HashMap<(u32, i64), i64>;

/// The patterns of each month.
pub(super) fn run(inputs: &Inputs, _: Frame, schema: &SchemaRef, _: &Shared) -> Result<Rows> {
    let mut orgs = Names::default();
    let mut months: Vec<(Day, Patterns)> = Vec::new();
    for chunk in chunks(SEATS, inputs)? {
        add(&chunk?, &mut orgs, &mut months)?;
    }
    let (names, ranks, schema) = (texts(&orgs), orgs.ranks().ranks, Arc::clone(schema));
    Ok(Box::new(months.into_iter().map(move |(month, patterns)| {
        let mut rows = patterns.into_iter().collect::<Vec<_>>();
        rows.sort_unstable_by_key(|((org, seen), _)| (ranks[*org as usize], *seen));
        let columns = vec![
            Arc::new(Date32Array::from_value(month, rows.len())) as _,
            Arc::new(coded(&names, rows.iter().map(|((org, _), _)| *org))?) as _,
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|((_, seen), _)| *seen))) as _,
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, users)| *users))) as _,
        ];
        batch(&schema, columns)
    })))
}

// Seats come month by month.
fn add(chunk: &Chunk, orgs: &mut Names, months: &mut Vec<(Day, Patterns)>) -> Result<()> {
    let orgs = chunk.texts("org_id")?.each(|org| (!org.is_empty()).then(|| orgs.number(0, org)));
    let (of_rows, seen) = (chunk.days("month")?, chunk.numbers("seen_bits")?);
    for (row, &month) in of_rows.iter().enumerate() {
        let Some(org) = orgs.of(row) else { continue };
        let patterns = match months.last_mut() {
            Some((known, patterns)) if *known == month => patterns,
            _ => &mut months.push_mut((month, Patterns::default())).1,
        };
        *patterns.entry((org, seen[row])).or_default() += 1;
    }
    Ok(())
}

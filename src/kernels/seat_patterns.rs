//! How many users of an organisation were in sight on the same days of a month. See `queries/states/seat_patterns/query.sql`.

use std::iter;
use std::sync::Arc;

use arrow::array::{Date32Array, Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::days::{chunks, one_by_one};
use super::{Frame, Inputs, Rows, batch, coded, texts};
use crate::columns::{Chunk, Wanted};
use crate::error::Result;
use crate::names::Names;
use crate::period::Day;

const SEATS: Wanted = Wanted { table: "seat_month", texts: &["org_id"], others: &["month", "seen_bits"] };

/// The users of each organisation's patterns in a month, by the organisation's number and the pattern.
#[derive(Default)]
struct Month {
    first: Day,
    patterns: HashMap<(u32, i64), i64>,
}

/// The patterns of each month. Seats come month by month.
pub(super) fn run(inputs: &Inputs, _: Frame, schema: &SchemaRef) -> Result<Rows> {
    let (mut orgs, mut begun) = (Names::default(), Month::default());
    let (mut chunks, schema) = (chunks(SEATS, inputs)?, Arc::clone(schema));
    let next = move || match chunks.next() {
        Some(chunk) => Some(chunk.and_then(|chunk| begun.add(&chunk, &mut orgs, &schema))),
        None => begun.end(&orgs, &schema).transpose().map(|last| last.map(|last| vec![last])),
    };
    Ok(Box::new(iter::from_fn(next).flat_map(one_by_one)))
}

impl Month {
    // Gives the months that end with it.
    fn add(&mut self, chunk: &Chunk, names: &mut Names, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
        let orgs = chunk.texts("org_id")?.each(|org| (!org.is_empty()).then(|| names.number(0, org)));
        let (months, seen) = (chunk.days("month")?, chunk.numbers("seen_bits")?);
        let mut ended = Vec::new();
        for (row, &month) in months.iter().enumerate() {
            let Some(org) = orgs.of(row) else { continue };
            if self.first != month {
                ended.extend(self.end(names, schema)?);
                self.first = month;
            }
            *self.patterns.entry((org, seen[row])).or_default() += 1;
        }
        Ok(ended)
    }

    fn end(&mut self, names: &Names, schema: &SchemaRef) -> Result<Option<RecordBatch>> {
        let mut rows = std::mem::take(&mut self.patterns).into_iter().collect::<Vec<_>>();
        if rows.is_empty() {
            return Ok(None);
        }
        let ranks = names.ranks().ranks;
        rows.sort_unstable_by_key(|((org, seen), _)| (ranks[*org as usize], *seen));
        let columns = vec![
            Arc::new(Date32Array::from_value(self.first, rows.len())) as _,
            Arc::new(coded(&texts(names), rows.iter().map(|((org, _), _)| *org))?) as _,
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|((_, seen), _)| *seen))) as _,
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, users)| *users))) as _,
        ];
        batch(schema, columns).map(Some)
    }
}

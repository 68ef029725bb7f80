//! The first day of each month on which an organisation had an event. See `queries/states/org_seen/query.sql`.

use std::sync::Arc;

use arrow::array::{Date32Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::days::{FilesOfDay, periods, read, side_by_side};
use super::{Frame, Inputs, Rows, batch, files_of};
use crate::columns::Wanted;
use crate::error::Result;
use crate::period::{Day, Grain};

const USE: Wanted = Wanted { table: "org_app_day", texts: &["org_id"], others: &[] };

/// The organisations of each month.
pub(super) fn run(inputs: &Inputs, _frame: Frame, schema: &SchemaRef) -> Result<Option<Rows>> {
    let months = periods(files_of(inputs, USE.table)?, Grain::Month)?.into_iter().collect();
    let schema = Arc::clone(schema);
    Ok(Some(Box::new(side_by_side(months, move |(month, days)| of_month(*month, days, &schema)))))
}

fn of_month(month: Day, days: &[FilesOfDay], schema: &SchemaRef) -> Result<RecordBatch> {
    let mut seen: HashMap<String, Day> = HashMap::new();
    for (day, files) in days {
        for chunk in read(USE, files)? {
            for org in chunk.texts("org_id")?.used().filter(|org| !org.is_empty()) {
                seen.entry_ref(org).or_insert(*day);
            }
        }
    }
    let mut seen = seen.into_iter().collect::<Vec<_>>();
    seen.sort_unstable();
    batch(
        schema,
        vec![
            Arc::new(Date32Array::from_value(month, seen.len())),
            Arc::new(StringArray::from_iter_values(seen.iter().map(|(org, _)| org))),
            Arc::new(Date32Array::from_iter_values(seen.iter().map(|(_, day)| *day))),
        ],
    )
}

//! Rows in the order of time and then of ids: made for all ids at once or, if these do not fit into the memory, for one
//! stretch of time after the other and one part of the ids after the other. It does not know what the rows say.

use std::iter;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, SchemaRef};

use super::pairs::Pairs;
use super::parts::{Halt, Halted, Whole};
use super::{Frame, Input, Inputs, Rows, Shared, files_of};
use crate::error::Result;
use crate::period::{Day, Grain};

/// Rows as they are made.
pub(super) type Making = Box<dyn Iterator<Item = Halted<RecordBatch>> + Send>;

/// How a kernel's rows are made, and how they are divided.
#[derive(Clone, Copy)]
pub(super) struct Divided {
    /// Makes the rows of some pairs.
    pub(super) rows: fn(&Inputs, Frame, &SchemaRef, &Arc<Pairs>) -> Halted<Making>,
    /// All pairs that there are.
    pub(super) pairs: fn(&Shared) -> &Arc<Whole>,
    /// The stretches of time that stand in the first column.
    pub(super) grain: fn(Frame) -> Grain,
    /// How many days before a stretch it sees.
    pub(super) looks_back: Day,
}

impl Divided {
    /// What is made from the apps of organisations.
    pub(super) const fn of_apps(
        rows: fn(&Inputs, Frame, &SchemaRef, &Arc<Pairs>) -> Halted<Making>,
        grain: fn(Frame) -> Grain,
    ) -> Self {
        Self { rows, pairs: |shared| &shared.apps, grain, looks_back: 0 }
    }

    /// The rows of all ids at once; from where they do not fit, those of one stretch after the other, and of one part of its
    /// ids after the other.
    pub(super) fn run(self, inputs: &Inputs, frame: Frame, schema: &SchemaRef, shared: &Shared) -> Rows {
        let whole = Arc::clone((self.pairs)(shared));
        let (inputs, schema) = (inputs.clone(), Arc::clone(schema));
        let mut at_once = whole.all().map(|pairs| self.making(&inputs, frame, &schema, &pairs));
        let mut divided: Option<Rows> = None;
        let mut last = None;
        Box::new(iter::from_fn(move || {
            loop {
                if let Some(divided) = &mut divided {
                    return divided.next();
                }
                match at_once.as_mut().map(Iterator::next) {
                    Some(None) => return None,
                    Some(Some(Ok(batch))) => {
                        last = last_day(&batch).or(last);
                        return Some(Ok(batch));
                    }
                    Some(Some(Err(Halt::Failed(error)))) => return Some(Err(error)),
                    Some(Some(Err(Halt::Full))) | None => {
                        at_once = None;
                        divided = Some(self.divided(&inputs, frame, &schema, &whole, last));
                    }
                }
            }
        }))
    }

    fn making(self, inputs: &Inputs, frame: Frame, schema: &SchemaRef, pairs: &Arc<Pairs>) -> Making {
        (self.rows)(inputs, frame, schema, pairs).unwrap_or_else(|halt| Box::new(iter::once(Err(halt))))
    }

    // The rows of the stretches after a day.
    fn divided(
        self,
        inputs: &Inputs,
        frame: Frame,
        schema: &SchemaRef,
        whole: &Arc<Whole>,
        after: Option<Day>,
    ) -> Rows {
        let stretches = match self.stretches(inputs, frame, whole.rollup.table, after) {
            Ok(stretches) => stretches,
            Err(error) => return Box::new(iter::once(Err(error))),
        };
        let (rollup, whole, schema) = (whole.rollup, Arc::clone(whole), Arc::clone(schema));
        Box::new(stretches.into_iter().flat_map(move |(inputs, frame)| {
            let files = inputs.get(whole.rollup.table).cloned().unwrap_or_default();
            let schema = Arc::clone(&schema);
            // Of a stretch nothing is given before all of it fits.
            let work = move |pairs: &Arc<Pairs>| {
                let mut rows = self.making(&inputs, frame, &schema, pairs);
                let first = rows.next().transpose()?;
                Ok(first.into_iter().map(Ok).chain(rows))
            };
            whole.parts(whole.rollup.divided_by(), files, work).flat_map(move |part| match part {
                Ok(rows) => Box::new(rows.map(move |batch| batch.map_err(|halt| halt.into_error(rollup)))) as Rows,
                Err(error) => Box::new(iter::once(Err(error))),
            })
        }))
    }

    // Each stretch by what it sees and what is wanted of it.
    fn stretches(self, inputs: &Inputs, frame: Frame, table: &str, after: Option<Day>) -> Result<Vec<(Inputs, Frame)>> {
        let grain = (self.grain)(frame);
        let Some(first) = files_of(inputs, table)?.iter().find_map(|input| input.day) else {
            return Ok(Vec::new());
        };
        let (first, last) = (frame.wanted.0.max(first), frame.wanted.1.min(frame.as_of));
        let first = after.map_or(grain.index(first), |day| grain.index(day) + 1);
        let stretch = |index: i32| {
            let (first, last) = (grain.first_day(index), grain.last_day(index));
            let is_seen = |input: &Input| input.day.is_none_or(|day| day >= first - self.looks_back && day <= last);
            let seen = |(name, files): (&String, &Vec<Input>)| {
                (name.clone(), files.iter().filter(|input| is_seen(input)).cloned().collect())
            };
            let wanted = (first.max(frame.wanted.0), last.min(frame.wanted.1));
            (inputs.iter().map(seen).collect(), Frame { wanted, ..frame })
        };
        Ok((first..=grain.index(last)).map(stretch).collect())
    }
}

// The last date in the first column.
fn last_day(batch: &RecordBatch) -> Option<Day> {
    batch.columns().first()?.as_primitive_opt::<Date32Type>()?.values().last().copied()
}

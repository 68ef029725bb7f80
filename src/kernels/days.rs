//! Days of stored tables: which files each has, and many of them worked on at once. It does not know what is in them.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::{iter, thread};

use arrow::array::RecordBatch;

use super::parts::{Halt, Halted};
use super::{Frame, Input, Inputs, files_of};
use crate::columns::{Chunk, Wanted};
use crate::error::{Error, Result};
use crate::period::{Day, Grain};

// Rows of a batch end with their month, or with a day by which there are so many.
const MANY_ROWS: usize = 1 << 18;

/// A day with its files.
pub(super) type FilesOfDay = (Day, Vec<Input>);

/// The days of a table, in order, each with its files.
pub(super) fn days(inputs: &[Input]) -> Result<Vec<FilesOfDay>> {
    let mut days: Vec<FilesOfDay> = Vec::new();
    for input in inputs {
        let of_no_day = || Error::Internal(format!("{} is of no day", input.path.display()));
        let day = input.day.ok_or_else(of_no_day)?;
        match days.last_mut() {
            Some((last, files)) if *last == day => files.push(input.clone()),
            Some((last, _)) if *last > day => {
                return Err(Error::Internal(format!("{} comes after a later day", input.path.display())));
            }
            _ => days.push((day, vec![input.clone()])),
        }
    }
    Ok(days)
}

/// All rows of some files, file by file as they are asked for.
pub(super) fn read(wanted: Wanted, files: &[Input]) -> impl Iterator<Item = Result<Chunk>> + Send + use<> {
    let files = files.to_vec();
    files.into_iter().flat_map(move |input| {
        let (rows, failed) = match wanted.read(&input.path) {
            Ok(rows) => (Some(rows), None),
            Err(error) => (None, Some(Err(error))),
        };
        rows.into_iter().flatten().chain(failed)
    })
}

/// All rows of a table.
pub(super) fn chunks(wanted: Wanted, inputs: &Inputs) -> Result<impl Iterator<Item = Result<Chunk>> + Send + use<>> {
    Ok(read(wanted, files_of(inputs, wanted.table)?))
}

/// Several things one after the other, or why there are none.
pub(super) fn one_by_one<T: Send>(some: Result<Vec<T>>) -> impl Iterator<Item = Result<T>> + Send {
    let (some, failed) = some.map_or_else(|error| (Vec::new(), Some(Err(error))), |some| (some, None));
    some.into_iter().map(Ok).chain(failed)
}

/// The observed days that rows are wanted of, the first and the last.
pub(super) fn wanted_days(frame: Frame) -> (Day, Day) {
    (frame.first_day.max(frame.wanted.0), frame.as_of.min(frame.wanted.1))
}

/// Their months, by index.
pub(super) fn wanted_months(frame: Frame) -> RangeInclusive<i32> {
    let (first, last) = wanted_days(frame);
    Grain::Month.index(first)..=Grain::Month.index(last)
}

/// What there is of each of some months.
pub(super) struct ByMonth<T> {
    first: i32,
    /// In order.
    pub(super) all: Vec<T>,
}

impl<T> ByMonth<T> {
    pub(super) fn new(months: RangeInclusive<i32>, each: impl FnMut(i32) -> T) -> Self {
        Self { first: *months.start(), all: months.map(each).collect() }
    }

    /// What there is of the month of a day, if it is one of them.
    pub(super) fn of(&mut self, day: Day) -> Option<&mut T> {
        let place = usize::try_from(Grain::Month.index(day) - self.first).ok()?;
        self.all.get_mut(place)
    }
}

/// The rows of days as one batch for each month, so that its rows share one list of texts; of a month of many rows as several.
pub(super) fn by_month<R: Send>(
    mut days: impl Iterator<Item = Halted<(Day, Vec<R>)>> + Send,
    batch: impl Fn(&[R]) -> Result<RecordBatch> + Send,
) -> impl Iterator<Item = Halted<RecordBatch>> + Send {
    let mut begun: Option<(i32, Vec<R>)> = None;
    iter::from_fn(move || {
        loop {
            let next = match days.next().transpose() {
                Ok(next) => next.map(|(day, rows)| (Grain::Month.index(day), rows)),
                Err(error) => return Some(Err(error)),
            };
            match (&mut begun, next) {
                (Some((month, all)), Some((same, rows))) if *month == same && all.len() < MANY_ROWS => all.extend(rows),
                (None, None) => return None,
                (_, next) => {
                    if let Some((_, ended)) = std::mem::replace(&mut begun, next) {
                        return Some(batch(&ended).map_err(Halt::Failed));
                    }
                }
            }
        }
    })
}

/// What `work` makes of each of many things, in their order; as many are worked on side by side as there are threads, also
/// while one is looked at, and one more is held.
pub(super) fn side_by_side<A: Send + 'static, B: Send + 'static>(
    all: Vec<A>,
    work: impl Fn(&A) -> Halted<B> + Send + Sync + 'static,
) -> impl Iterator<Item = Halted<B>> + Send {
    let (mut all, work) = (all.into_iter(), Arc::new(work));
    let mut begun: VecDeque<Receiver<thread::Result<Halted<B>>>> = VecDeque::new();
    let most = rayon::current_num_threads() + 1;
    iter::from_fn(move || {
        for next in all.by_ref().take(most - begun.len()) {
            let (work, (done, gives)) = (Arc::clone(&work), sync_channel(1));
            // Nobody waits for what is left after an error.
            rayon::spawn(move || drop(done.send(catch_unwind(AssertUnwindSafe(|| work(&next))))));
            begun.push_back(gives);
        }
        let lost = |_| Err(Error::Internal("a thread that works on days was lost".to_owned()).into());
        Some(begun.pop_front()?.recv().map_or_else(lost, |done| done.unwrap_or_else(|panic| resume_unwind(panic))))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn what_is_worked_on_side_by_side_comes_in_order() {
        let doubled = side_by_side((0..100).collect(), |number| Ok(2 * number)).collect::<Halted<Vec<i32>>>();
        assert_eq!(doubled.expect("numbers"), (0..100).map(|number| 2 * number).collect::<Vec<_>>());
    }

    #[test]
    fn no_more_are_begun_than_are_worked_on_and_one() {
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        let mut all = side_by_side((0..100).collect::<Vec<usize>>(), |&number| {
            BEGUN.fetch_add(1, Ordering::Relaxed);
            if number == 3 { Err(Halt::Full) } else { Ok(number) }
        });
        for taken in 0..3 {
            assert_eq!(all.next().and_then(Halted::ok), Some(taken));
            assert!(BEGUN.load(Ordering::Relaxed) <= taken + 1 + rayon::current_num_threads());
        }
        assert!(all.next().is_some_and(|fourth| fourth.is_err()));
    }

    #[test]
    #[should_panic(expected = "the work is bad")]
    fn a_panic_is_passed_on() {
        let _ = side_by_side(vec![()], |()| -> Halted<()> { panic!("the work is bad") }).count();
    }
}

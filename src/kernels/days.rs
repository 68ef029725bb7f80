//! Days of stored tables: which files each has, and many of them worked on at once. It does not know what is in them.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::Input;
use crate::columns::{Chunk, Wanted};
use crate::error::{Error, Result};
use crate::period::Day;

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

/// All rows of some files, in their order.
pub(super) fn read(wanted: Wanted, inputs: &[Input]) -> Result<Vec<Chunk>> {
    let mut chunks = Vec::new();
    for input in inputs {
        for chunk in wanted.read(&input.path)? {
            chunks.push(chunk?);
        }
    }
    Ok(chunks)
}

/// The rows of each day, in order; days are read side by side.
pub(super) fn read_days(
    wanted: Wanted,
    inputs: &[Input],
) -> Result<impl Iterator<Item = Result<(Day, Vec<Chunk>)>> + Send + use<>> {
    Ok(side_by_side(days(inputs)?, move |(day, files)| Ok((*day, read(wanted, files)?))))
}

/// What `work` makes of each of many things, in their order; as many are worked on side by side as there are threads, and
/// no more are held.
pub(super) fn side_by_side<A: Send + Sync + 'static, B: Send + 'static>(
    all: Vec<A>,
    work: impl Fn(&A) -> Result<B> + Send + Sync + 'static,
) -> impl Iterator<Item = Result<B>> + Send {
    let step = rayon::current_num_threads();
    (0..all.len()).step_by(step).flat_map(move |start| {
        let some = &all[start..all.len().min(start + step)];
        some.par_iter().map(&work).collect::<Vec<_>>()
    })
}

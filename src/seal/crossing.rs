//! What crosses organisations, gathered over the parts of a day until the day is ended: in memory, or beyond a limit in
//! sorted work files. It does not know what becomes of it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::day::{DayFiles, Place};
use super::ending::{Ending, walk};
use super::spill::Runs;
use super::uses::Uses;
use crate::error::Result;

// What a sweep takes for each instant it holds: those of users and rooms, starts and ends, each sorted aside.
const SWEEP_BYTES: usize = 64;

/// What the parts of a day found so far, on all threads.
#[derive(Default)]
pub(super) struct Crossing {
    found: Mutex<Found>,
    limit: Option<Limit>,
}

#[derive(Default)]
struct Found {
    kept: Vec<Uses>,
    runs: Option<Runs>,
}

struct Limit {
    folder: PathBuf,
    bytes: usize,
    // How many find something at once.
    writers: usize,
}

impl Crossing {
    /// Holds so many bytes of it in memory, and each of so many writers its part of as many; the rest is in work files below
    /// the folder. Without a limit all is held.
    pub(super) fn with_memory(folder: &Path, memory: u64, writers: usize) -> Self {
        let bytes = usize::try_from(memory).unwrap_or(usize::MAX);
        Self { limit: Some(Limit { folder: folder.to_owned(), bytes, writers }), ..Self::default() }
    }

    /// Whether this is more than should be held in memory.
    pub(super) fn is_much(&self, uses: &Uses) -> bool {
        self.limit.as_ref().is_some_and(|limit| uses.bytes() > limit.bytes / limit.writers)
    }

    /// Adds what was found.
    pub(super) fn add(&self, uses: Uses) -> Result<()> {
        if uses.by_user.is_empty() {
            return Ok(());
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.kept.push(uses);
        match &self.limit {
            Some(limit) if found.kept.iter().map(Uses::bytes).sum::<usize>() > limit.bytes => found.spill(limit),
            _ => Ok(()),
        }
    }

    /// Ends the day: writes the rows that follow from everything that was found.
    pub(super) fn end(self, place: &Place<'_>, files: &mut DayFiles) -> Result<()> {
        let mut found = self.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = self.limit.as_ref().filter(|_| found.runs.is_some()) {
            found.spill(limit)?;
        }
        let folder = self.limit.as_ref().map(|limit| limit.folder.as_path());
        // A sweep holds starts and ends of users and of rooms; they may take half of the memory.
        let most = self.limit.as_ref().map_or(usize::MAX, |limit| limit.bytes / SWEEP_BYTES);
        let mut ending = Ending::new(place, files, folder, most);
        match found.runs {
            Some(runs) => runs.walk(&mut ending)?,
            None => {
                if let Some(found) = join(found.kept.into_iter()) {
                    walk(found, place.threads, &mut ending)?;
                }
            }
        }
        ending.finish()
    }
}

impl Found {
    // Writes what is held in memory to work files. Parts are joined to a run, since all runs are read at once, but not all
    // of them, since joining takes as much again.
    fn spill(&mut self, limit: &Limit) -> Result<()> {
        let runs = match &mut self.runs {
            Some(runs) => runs,
            none => none.insert(Runs::create(&limit.folder)?),
        };
        let mut rest = None;
        for found in self.kept.drain(..) {
            let joined = join([rest.take(), Some(found)].into_iter().flatten());
            rest = match joined {
                Some(run) if run.bytes() >= limit.bytes / 8 => {
                    runs.add(run)?;
                    None
                }
                joined => joined,
            };
        }
        rest.map_or(Ok(()), |rest| runs.add(rest))
    }
}

fn join(parts: impl Iterator<Item = Uses>) -> Option<Uses> {
    parts.reduce(|mut all, more| {
        all.extend(more);
        all
    })
}

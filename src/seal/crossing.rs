//! What crosses organisations, gathered over the parts of a day until the day is ended: in memory, or beyond a limit in
//! sorted work files. It does not know what becomes of it.

use std::path::{Path, PathBuf};

use super::day::{DayFiles, Place};
use super::ending::{Ending, walk};
use super::spill::Runs;
use super::uses::Uses;
use crate::error::Result;

/// What the parts of a day found so far.
#[derive(Default)]
pub(super) struct Crossing {
    kept: Vec<Uses>,
    limit: Option<Limit>,
    runs: Option<Runs>,
}

struct Limit {
    folder: PathBuf,
    bytes: usize,
}

impl Crossing {
    /// Holds so many bytes of it in memory, and the rest in work files below the folder. Without a limit all is held.
    pub(super) fn with_memory(folder: &Path, memory: u64) -> Self {
        let bytes = usize::try_from(memory).unwrap_or(usize::MAX);
        Self { limit: Some(Limit { folder: folder.to_owned(), bytes }), ..Self::default() }
    }

    /// Whether this is more than should be held in memory.
    pub(super) fn is_much(&self, uses: &Uses) -> bool {
        self.limit.as_ref().is_some_and(|limit| uses.bytes() > limit.bytes)
    }

    /// Adds what was found.
    pub(super) fn add(&mut self, uses: Uses) -> Result<()> {
        if uses.uses.is_empty() {
            return Ok(());
        }
        self.kept.push(uses);
        match &self.limit {
            Some(limit) if self.kept.iter().map(Uses::bytes).sum::<usize>() > limit.bytes => self.spill(),
            _ => Ok(()),
        }
    }

    /// Adds what another thread gathered without a limit.
    pub(super) fn extend(&mut self, other: Self) {
        self.kept.extend(other.kept);
    }

    /// Ends the day: writes the rows that follow from everything that was found.
    pub(super) fn end(mut self, place: &Place<'_>, files: &mut DayFiles) -> Result<()> {
        if self.runs.is_some() {
            self.spill()?;
        }
        let folder = self.limit.as_ref().map(|limit| limit.folder.as_path());
        // A sweep holds starts and ends of users and of rooms; they may take half of the memory.
        let most = self.limit.as_ref().map_or(usize::MAX, |limit| limit.bytes / (8 * size_of::<i64>()));
        let mut ending = Ending::new(place, files, folder, most);
        match self.runs {
            Some(runs) => runs.walk(&mut ending)?,
            None => {
                if let Some(found) = join(self.kept) {
                    walk(found, place.threads, &mut ending)?;
                }
            }
        }
        ending.finish()
    }

    // Writes what is held in memory to work files.
    fn spill(&mut self) -> Result<()> {
        let (Some(limit), Some(found)) = (&self.limit, join(std::mem::take(&mut self.kept))) else { return Ok(()) };
        let runs = match &mut self.runs {
            Some(runs) => runs,
            none => none.insert(Runs::create(&limit.folder)?),
        };
        runs.add(found)
    }
}

fn join(parts: Vec<Uses>) -> Option<Uses> {
    parts.into_iter().reduce(|mut all, more| {
        all.extend(more);
        all
    })
}

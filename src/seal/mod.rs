//! Sealing days: staged events and the day's sealed ones become one sorted, deduplicated day and its rollups.
//! It writes files; it does not commit them.

use std::collections::BTreeMap;
use std::collections::HashSet;

use crate::error::Result;
use crate::period::Day;
use crate::store::{DataFile, RollupFiles, Snapshot, Staging, Store};

/// Who counts: what rollups depend on beside the events.
#[derive(Debug, Clone, Default)]
pub struct Who {
    /// Actions that count for nobody.
    pub exclude_actions: HashSet<String>,
    /// Apps that count for nobody.
    pub exclude_apps: HashSet<String>,
    /// Users of one's own house.
    pub internal_users: HashSet<String>,
}

/// How much sealing may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Memory in bytes over all threads.
    pub memory: u64,
}

/// What became of one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayCounts {
    /// New events.
    pub accepted: u64,
    /// Events whose id the day had already.
    pub duplicate: u64,
    /// New events on a day not after the last observed day before this batch.
    pub late: u64,
}

/// The result of sealing, not yet committed.
#[derive(Debug, Default)]
pub struct Sealed {
    /// New content of the days that changed; a day with only duplicates is not rewritten.
    pub events: Vec<DataFile>,
    /// Their rollups.
    pub rollups: RollupFiles,
    /// Counts of each staged day.
    pub days: BTreeMap<Day, DayCounts>,
    /// Duplicates for each file of the ingest.
    pub duplicates: Vec<u64>,
}

impl Who {
    /// A hash that changes when a rollup may change: hex of SHA-256.
    #[must_use]
    pub fn hash(&self) -> String {
        todo!()
    }
}

/// Seals all staged days, several at once.
pub fn seal(
    _store: &Store,
    _snapshot: &Snapshot,
    _staging: &Staging,
    _files: usize,
    _who: &Who,
    _limits: Limits,
) -> Result<Sealed> {
    todo!()
}

/// Computes the rollups of sealed days again.
pub fn rebuild(
    _store: &Store,
    _snapshot: &Snapshot,
    _days: &[Day],
    _who: &Who,
    _limits: Limits,
) -> Result<RollupFiles> {
    todo!()
}

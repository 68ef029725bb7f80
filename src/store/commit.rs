//! Changing the store: a batch of events, the rollups of days, and which days of the rollups are out of date.
//! Each commit is one table's; the order of the commits makes a killed one harmless.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use super::files::{DataFile, TableFiles};
use super::log::{Change, LogState};
use super::snapshot::{DERIVED, Derived, INGEST, LEDGER, Snapshot, WHO, derived_of, split_ledger};
use super::stats::integer_bounds;
use super::{Store, WriterLock};
use crate::error::{Error, Result};
use crate::event::Table;
use crate::period::{Day, format_day};

/// Everything that one ingest adds. Files are written already; nothing exists until it is committed.
#[derive(Debug, Default)]
pub struct BatchFiles {
    /// Full new content of each touched day.
    pub events: Vec<DataFile>,
    /// Rows for `rejects`.
    pub rejects: Vec<DataFile>,
    /// Rows for `batches`.
    pub batches: Vec<DataFile>,
    /// Rows for `batch_days`.
    pub batch_days: Vec<DataFile>,
}

/// New content of days in the rollups.
#[derive(Debug, Default)]
pub struct RollupFiles {
    /// The days that are replaced, also those for which no file is given.
    pub days: Vec<Day>,
    /// The files of each rollup; a table that is not in it has no rows on these days.
    pub files: BTreeMap<Table, Vec<DataFile>>,
}

/// Which days of the rollups do not follow from the present events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// The rollups are up to date.
    Nothing,
    /// These days differ, in order.
    Days(Vec<Day>),
    /// All days, because who counts or what the rollups mean has changed, or because it cannot be told which differ.
    All,
}

impl Store {
    /// Commits batch `base.last_batch + 1` on top of `base`: ledger and rejects first, `events` last, which makes it
    /// exist. Rows that a killed ingest left in the ledger are removed on the way.
    /// `Error::Conflict` if the store moved since `base`.
    pub async fn commit_batch(&self, _lock: &WriterLock, base: &Snapshot, files: BatchFiles) -> Result<Snapshot> {
        let batch = base.last_batch + 1;
        let events = self.state_at(Table::Events, base).await?;
        let BatchFiles { events: days, rejects, batches, batch_days } = files;
        let mut added =
            BTreeMap::from([(Table::Batches, batches), (Table::Rejects, rejects), (Table::BatchDays, batch_days)]);
        // `batches` goes first and always gets a commit: of two writers that for want of working file locks start from
        // the same base, the second fails there and has changed nothing.
        for table in LEDGER {
            let files = added.remove(&table).unwrap_or_default();
            self.commit_ledger(table, base, batch, files).await?;
        }
        self.commit_events(&events, batch, days)?;
        self.checkpoint(&[Table::Events, Table::Batches, Table::Rejects, Table::BatchDays]).await?;
        self.snapshot().await
    }

    /// Commits rollups derived from `base.tables[Events]` with the given hash of who counts. `Error::Conflict` if a
    /// rollup moved since `base`; `Error::Internal` if a day that is out of date is not among `files.days`.
    pub async fn commit_rollups(
        &self,
        _lock: &WriterLock,
        base: &Snapshot,
        mut files: RollupFiles,
        who: &str,
    ) -> Result<()> {
        let days: BTreeSet<Day> = files.days.iter().copied().collect();
        self.check_covered(base, who, &days).await?;
        for table in Table::ROLLUPS {
            let files = files.files.remove(&table).unwrap_or_default();
            if let Some(stray) = files.iter().find(|file| file.day.is_none_or(|day| !days.contains(&day))) {
                return Err(Error::Internal(format!("{} is of a day that is not replaced", stray.path)));
            }
            let state = self.state_at(table, base).await?;
            let from = base.version(Table::Events)?;
            let change = Change {
                remove: paths(state.files()?, |file| file.day.is_some_and(|day| days.contains(&day))),
                add: files,
                transaction: Some((DERIVED, from)),
                property: Some((WHO, who.to_owned())),
                days: days.clone(),
                facts: BTreeMap::from([("eventsVersion", json!(from)), ("who", json!(who))]),
            };
            self.commit(table, &state, &change)?;
        }
        self.checkpoint(&Table::ROLLUPS).await
    }

    /// Begins to make files of a table outlive a power cut, which the commit that adds them waits for. Nothing is written to
    /// them any more.
    pub fn begin_sync(&self, table: Table, files: &[DataFile]) {
        self.syncs.begin(self.log(table).root(), files);
    }

    /// Compares the rollups' provenance with the events of `snapshot`.
    pub async fn stale_rollups(&self, snapshot: &Snapshot, who: &str) -> Result<Stale> {
        let mut days = BTreeSet::new();
        for derived in self.derived(snapshot).await? {
            let Some(derived) = derived.filter(|derived| derived.who == who) else { return Ok(Stale::All) };
            let changed = self.log(Table::Events).changed_days(derived.from, snapshot.version(Table::Events)?)?;
            let Some(changed) = changed else { return Ok(Stale::All) };
            days.extend(changed);
        }
        Ok(if days.is_empty() { Stale::Nothing } else { Stale::Days(days.into_iter().collect()) })
    }

    // Where each rollup comes from. When they agree, the snapshot knows; after a kill between their commits they do not.
    async fn derived(&self, snapshot: &Snapshot) -> Result<Vec<Option<Derived>>> {
        if let (Some(from), Some(who)) = (snapshot.rollups_from, &snapshot.rollups_who) {
            return Ok(vec![Some(Derived { from, who: who.clone() })]);
        }
        let mut all = Vec::new();
        for table in Table::ROLLUPS {
            let state = self.log(table).read_at(snapshot.version(table)?).await?;
            all.push(derived_of(&state).await?);
        }
        Ok(all)
    }

    // A commit says of the whole table that it follows from one version of events; one that leaves out a day that does
    // not would hide that for ever.
    async fn check_covered(&self, base: &Snapshot, who: &str, days: &BTreeSet<Day>) -> Result<()> {
        let needed: BTreeSet<Day> = match self.stale_rollups(base, who).await? {
            Stale::Nothing => return Ok(()),
            Stale::Days(days) => days.into_iter().collect(),
            Stale::All => [Table::Events]
                .iter()
                .chain(&Table::ROLLUPS)
                .filter_map(|table| base.tables.get(table))
                .flat_map(TableFiles::days)
                .collect(),
        };
        match needed.difference(days).next() {
            None => Ok(()),
            Some(day) => Err(Error::Internal(format!(
                "the rollups of {} are out of date, but are not among the {} days to be committed",
                format_day(*day),
                days.len()
            ))),
        }
    }

    pub(super) async fn commit_ledger(
        &self,
        table: Table,
        base: &Snapshot,
        batch: i64,
        files: Vec<DataFile>,
    ) -> Result<()> {
        if let Some(stray) = files.iter().find(|file| integer_bounds(&file.stats, "batch") != Some((batch, batch))) {
            return Err(Error::Internal(format!("{} of {} is not of batch {batch}", stray.path, table.name())));
        }
        let state = self.state_at(table, base).await?;
        let (_known, orphans) = split_ledger(&self.table_root(table), state.files()?, base.last_batch)?;
        if files.is_empty() && orphans.is_empty() && table != Table::Batches {
            return Ok(());
        }
        let change = Change {
            remove: paths(&orphans, |_| true),
            add: files,
            transaction: Some((INGEST, batch)),
            facts: BTreeMap::from([("batch", json!(batch))]),
            ..Change::default()
        };
        self.commit(table, &state, &change)
    }

    // A batch of nothing but duplicates changes no day, but exists all the same.
    fn commit_events(&self, events: &LogState, batch: i64, files: Vec<DataFile>) -> Result<()> {
        let days: BTreeSet<Day> = files.iter().filter_map(|file| file.day).collect();
        let change = Change {
            remove: paths(events.files()?, |file| file.day.is_some_and(|day| days.contains(&day))),
            add: files,
            transaction: Some((INGEST, batch)),
            days,
            facts: BTreeMap::from([("batch", json!(batch))]),
            ..Change::default()
        };
        self.commit(Table::Events, events, &change)
    }

    fn commit(&self, table: Table, base: &LogState, change: &Change) -> Result<()> {
        let log = self.log(table);
        self.syncs.finish(log.root(), &change.add)?;
        log.commit(base, change, &self.session_folder()?)
    }

    // The state of a table that a snapshot saw, which must still be the newest.
    async fn state_at(&self, table: Table, base: &Snapshot) -> Result<Arc<LogState>> {
        let state = self.log(table).read().await?;
        let (expected, found) = (base.version(table)?, state.version());
        if expected == found {
            return Ok(state);
        }
        let place = self.table_root(table);
        let versions = format!("from version {expected} to {found}");
        let place = place.display();
        Err(Error::Conflict(format!("another program moved {place} {versions}: run the command again")))
    }

    async fn checkpoint(&self, tables: &[Table]) -> Result<()> {
        for &table in tables {
            self.log(table).checkpoint().await?;
        }
        Ok(())
    }
}

fn paths(files: &[DataFile], chosen: impl Fn(&DataFile) -> bool) -> BTreeSet<String> {
    files.iter().filter(|file| chosen(file)).map(|file| file.path.clone()).collect()
}

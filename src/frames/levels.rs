//! The levels of deep integration: what each needs on a day, as table `deep_definitions` says, and which one counters
//! reach. It does not know how the counters come about.

use std::path::PathBuf;

use crate::columns::{Wanted, wrong};
use crate::error::Result;
use crate::period::{Day, format_day};

/// The table that is read.
pub(super) const TABLE: &str = "deep_definitions";

const WANTED: Wanted = Wanted {
    table: TABLE,
    texts: &[],
    others: &["day", "production_days", "systems", "store_days", "process_days", "flow_days", "decide_days"],
};
// All but the day.
const COLUMNS: &[&str] = WANTED.others.split_at(1).1;

/// The counters of the trailing 28 days of an organisation.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    /// Days with an event.
    pub(super) active: i32,
    /// Days with an event on an eligible app, on one that has a system, and on one of each stage: store, process, flow,
    /// decide.
    pub(super) days: [i32; 6],
    /// Distinct systems.
    pub(super) systems: i32,
}

/// The least counters for each level, in the order of [`COLUMNS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Levels([i64; 6]);

impl Levels {
    /// The level that counters reach.
    pub(super) fn reached(&self, counters: &Counters) -> i32 {
        let [eligible, production, store, process, flow, decide] = counters.days.map(i64::from);
        let Self([production_days, systems, store_days, process_days, flow_days, decide_days]) = *self;
        let connected = production >= production_days && i64::from(counters.systems) >= systems;
        let loops = store >= store_days && process >= process_days && flow >= flow_days;
        match () {
            () if counters.active == 0 => 0,
            () if eligible == 0 => 1,
            () if !connected => 2,
            () if !loops => 3,
            () if decide < decide_days => 4,
            () => 5,
        }
    }
}

/// The levels of all observed days: each holds from its day until the next begins.
#[derive(Debug)]
pub(super) struct LevelsByDay(Vec<(Day, Levels)>);

impl LevelsByDay {
    /// Reads the table.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self> {
        let mut rows: Vec<(Day, Levels)> = Vec::new();
        for path in files {
            for chunk in WANTED.read(path)? {
                let chunk = chunk?;
                let mut counts = [&[][..]; 6];
                for (counts, name) in counts.iter_mut().zip(COLUMNS) {
                    *counts = chunk.numbers(name)?;
                }
                let days = chunk.days("day")?.iter().enumerate();
                rows.extend(days.map(|(row, &day)| (day, Levels(counts.map(|counts| counts[row])))));
            }
        }
        rows.sort_unstable_by_key(|(day, _)| *day);
        rows.dedup_by(|next, before| next.1 == before.1);
        Ok(Self(rows))
    }

    /// The levels that hold on a day, and those that come after them.
    pub(super) fn from(&self, day: Day) -> Result<(Levels, &[(Day, Levels)])> {
        let (begun, coming) = self.0.split_at(self.0.partition_point(|(from, _)| *from <= day));
        let (_, levels) = begun.last().ok_or_else(|| wrong(TABLE, &format!("no row for day=`{}`", format_day(day))))?;
        Ok((*levels, coming))
    }
}

//! Trailing activity: how many ids of each entity were active on each day, and over the windows that end on it.
//! It does not know what being active means.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use polars::prelude::{UnionArgs, col, concat, lit};

use super::Named;
use super::answer::{self, Kind, Shape, column, counts};
use super::events::Events;
use super::keys::{Keys, MAX_TRAILING, Read};
use crate::calendar::trailing;
use crate::error::Result;

pub(super) const KEYS: &[&str] = &["entities", "windows", "filter", "min_events"];

/// What trailing activity is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trailing {
    pub(super) entities: Vec<&'static str>,
    windows: Vec<u32>,
    pub(super) events: Option<Events>,
}

impl Trailing {
    pub(super) fn read(keys: &Keys<'_>) -> Read<Self> {
        let events = keys.events(false)?;
        let windows = keys.numbers("windows", 2..=MAX_TRAILING, &[7, 28])?;
        Ok(Self { entities: keys.entities(events.is_some())?, windows, events })
    }

    /// The days before a month that the widest windows of its days hold, back to the first of a month: there stand the
    /// calendars of all its days.
    pub(super) fn looks_back(&self) -> i32 {
        let days = self.windows.last().map_or(0, |&window| i32::try_from(window).unwrap_or(i32::MAX) - 1);
        // No month is shorter than 28 days, and none longer than 31.
        if days <= 28 { 31 } else { days.saturating_add(30) }
    }

    /// The columns of trailing activity.
    pub(super) fn schema(&self) -> SchemaRef {
        answer::schema(&columns(&self.names()))
    }

    // The name of each count: of the day, then of the windows.
    fn names(&self) -> Vec<String> {
        let windows = self.windows.iter().map(|window| format!("active_{window}d"));
        std::iter::once("active".to_owned()).chain(windows).collect()
    }

    /// A row for each day of the range and each entity.
    pub(super) fn run(&self, entities: &[Named]) -> Result<RecordBatch> {
        let names = self.names();
        let windows: Vec<u32> = std::iter::once(1).chain(self.windows.iter().copied()).collect();
        let mut frames = Vec::new();
        for (entity, calendars) in entities {
            let range = calendars.range();
            let mut counted = vec![column("day", (range.first()..=range.last()).collect::<Vec<_>>())];
            let active = trailing(calendars, &windows);
            counted.extend(names.iter().zip(active).map(|(name, active)| column(name, counts(active))));
            frames.push(answer::frame(counted)?.with_column(lit(*entity).alias("entity")));
        }
        let all = concat(frames, UnionArgs::default())
            .map(|all| all.sort_by_exprs([col("day"), col("entity")], answer::in_order()));
        answer::collect(all, &columns(&names))
    }
}

fn columns(names: &[String]) -> Vec<Shape<'_>> {
    let counts = names.iter().map(|name| (name.as_str(), Kind::Integer, false));
    [("day", Kind::Date, false), ("entity", Kind::Text, false)].into_iter().chain(counts).collect()
}

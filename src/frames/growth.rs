//! Growth accounting: who is new, stayed, came back or left in each period, for users, orgs and DAG orgs.
//! It does not know what being active means.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use polars::prelude::{DataFrame, DataType, LazyFrame, PolarsResult, col, lit};

use super::answer::{self, Kind};
use super::visits::{Calendar, NEXT, PERIOD, PREVIOUS, Visits, internal};
use super::{ENTITIES, Frame};
use crate::error::Result;
use crate::period::{Day, Grain};

/// The columns of growth accounting.
pub(super) fn schema() -> SchemaRef {
    answer::schema(&[
        ("entity", Kind::Text, false),
        ("grain", Kind::Text, false),
        ("period_start", Kind::Date, false),
        ("active", Kind::Integer, false),
        ("new", Kind::Integer, false),
        ("retained", Kind::Integer, false),
        ("resurrected", Kind::Integer, false),
        ("churned", Kind::Integer, false),
        ("quick_ratio", Kind::Rate, true),
        ("is_complete", Kind::Boolean, false),
    ])
}

/// Growth accounting of all entities: a row for every period of the observed range.
pub(super) fn run(batches: &[RecordBatch], frame: Frame) -> Result<RecordBatch> {
    if frame.first_day > frame.as_of {
        return Ok(RecordBatch::new_empty(schema()));
    }
    let mut rows = Vec::new();
    for entity in ENTITIES {
        let visits = Visits::gather(batches, entity, frame)?;
        for window in windows(frame) {
            let calendar = Calendar::new(window.grain, frame);
            let moves = moves(&visits, &calendar, window.reach)?;
            rows.extend(periods(entity, &window, &calendar, &moves, frame));
        }
    }
    batch(&rows)
}

/// A grain of the report: an id seen in a period stays active for `reach` periods, this one included. A calendar
/// period is a window of one; `trailing_28` is a window of 28 that moves on day by day.
struct Window {
    name: &'static str,
    grain: Grain,
    reach: i32,
}

/// In the order of their names.
fn windows(frame: Frame) -> [Window; 4] {
    let calendar = |grain: Grain| Window { name: grain.name(), grain, reach: 1 };
    [
        calendar(Grain::Day),
        calendar(Grain::Month),
        Window { name: "trailing_28", grain: Grain::Day, reach: 28 },
        calendar(Grain::Week(frame.week_start)),
    ]
}

/// What moved in one period, counted in ids.
#[derive(Debug, Default, Clone, Copy)]
struct Moves {
    /// Seen for the first time.
    new: i64,
    /// Seen again after a gap wider than the reach.
    resurrected: i64,
    /// Not seen in as many periods after this one as the reach holds: they are missed that much later.
    leaving: i64,
}

/// The moves of each period of the observed range.
fn moves(visits: &Visits, calendar: &Calendar, reach: i32) -> Result<Vec<Moves>> {
    let mut moves = vec![Moves::default(); usize::try_from(calendar.last - calendar.first + 1).unwrap_or(0)];
    for steps in visits.steps(calendar) {
        let counted = count(steps?, reach).collect().map_err(|e| internal(&e))?;
        add(&mut moves, &counted, calendar.first).map_err(|e| internal(&e))?;
    }
    Ok(moves)
}

fn count(steps: LazyFrame, reach: i32) -> LazyFrame {
    let came_back = (col(PERIOD) - col(PREVIOUS)).gt(lit(reach));
    let leaves = col(NEXT).is_null().or((col(NEXT) - col(PERIOD)).gt(lit(reach)));
    steps.group_by([col(PERIOD)]).agg([
        col(PREVIOUS).is_null().sum().cast(DataType::Int64).alias("new"),
        came_back.sum().cast(DataType::Int64).alias("resurrected"),
        leaves.sum().cast(DataType::Int64).alias("leaving"),
    ])
}

fn add(moves: &mut [Moves], counted: &DataFrame, first: i32) -> PolarsResult<()> {
    let period = counted.column(PERIOD)?.i32()?;
    let counts = |name| counted.column(name)?.i64();
    let (new, resurrected, leaving) = (counts("new")?, counts("resurrected")?, counts("leaving")?);
    for row in 0..counted.height() {
        let place = period.get(row).and_then(|period| usize::try_from(period - first).ok());
        let Some(sum) = place.and_then(|place| moves.get_mut(place)) else { continue };
        sum.new += new.get(row).unwrap_or(0);
        sum.resurrected += resurrected.get(row).unwrap_or(0);
        sum.leaving += leaving.get(row).unwrap_or(0);
    }
    Ok(())
}

/// One row of the table.
struct Row {
    entity: &'static str,
    grain: &'static str,
    period_start: Day,
    active: i64,
    new: i64,
    resurrected: i64,
    churned: i64,
    is_complete: bool,
}

/// The rows of one entity and grain: who is active follows from who was and what moved since.
fn periods<'a>(
    entity: &'static str,
    window: &'a Window,
    calendar: &'a Calendar,
    moves: &'a [Moves],
    frame: Frame,
) -> impl Iterator<Item = Row> + 'a {
    let reach = usize::try_from(window.reach).unwrap_or(0);
    let mut active = 0;
    (calendar.first..=calendar.last).zip(moves).enumerate().map(move |(place, (period, moved))| {
        let left = place.checked_sub(reach).and_then(|place| moves.get(place));
        let churned = left.map_or(0, |moves| moves.leaving);
        active += moved.new + moved.resurrected - churned;
        let window_start = calendar.grain.first_day(period - (window.reach - 1));
        Row {
            entity,
            grain: window.name,
            period_start: calendar.grain.first_day(period),
            active,
            new: moved.new,
            resurrected: moved.resurrected,
            churned,
            is_complete: window_start >= frame.first_day && calendar.grain.last_day(period) <= frame.as_of,
        }
    })
}

fn batch(rows: &[Row]) -> Result<RecordBatch> {
    let counts = |value: fn(&Row) -> i64| answer::integers(rows.iter().map(move |row| Some(value(row))));
    let columns = vec![
        answer::texts(rows.iter().map(|row| row.entity)),
        answer::texts(rows.iter().map(|row| row.grain)),
        answer::dates(rows.iter().map(|row| row.period_start)),
        counts(|row| row.active),
        counts(|row| row.new),
        counts(|row| row.active - row.new - row.resurrected),
        counts(|row| row.resurrected),
        counts(|row| row.churned),
        answer::rates(rows.iter().map(|row| Some((row.new + row.resurrected, row.churned))))?,
        answer::booleans(rows.iter().map(|row| row.is_complete)),
    ];
    answer::batch(schema(), columns)
}

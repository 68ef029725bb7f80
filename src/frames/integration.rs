//! Deep integration over time: the counters of the trailing 28 days of each organisation, and its level.
//! It knows table `integration_day`; it does not know what makes a day one of production or of a stage, nor what a level
//! needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, DictionaryArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::SchemaRef;

use super::Frame;
use super::answer::{self, Kind, Shape};
use super::levels::{Counters, Levels, LevelsByDay};
use crate::columns::{Wanted, wrong};
use crate::error::{Error, Result};
use crate::names::{Names, Ranks};
use crate::period::{Day, Grain, format_day};

/// The table that is read.
pub(super) const TABLE: &str = "integration_day";

const COLUMNS: &[Shape] = &[
    ("from_day", Kind::Date, false),
    ("org_id", Kind::Text, false),
    ("until_day", Kind::Date, false),
    ("level", Kind::Integer, false),
    ("previous_level", Kind::Integer, false),
    ("systems", Kind::Integer, false),
    ("production_days", Kind::Integer, false),
    ("store_days", Kind::Integer, false),
    ("process_days", Kind::Integer, false),
    ("flow_days", Kind::Integer, false),
    ("decide_days", Kind::Integer, false),
];

const WANTED: Wanted = Wanted {
    table: TABLE,
    texts: &["org_id", "systems"],
    others: &["day", "is_eligible", "is_production", "is_store", "is_process", "is_flow", "is_decide"],
};
/// The columns that say something of a day, in the order of `Counters::days`: all but the day.
const FACTS: &[&str] = WANTED.others.split_at(1).1;

const WINDOW: Day = 28;
/// The level on the day before a row is of a window that begins so many days before it.
pub(super) const LOOKS_BACK: Day = WINDOW;

/// The columns of the windows.
pub(super) fn schema() -> SchemaRef {
    answer::schema(COLUMNS)
}

/// The windows of all organisations.
pub(super) fn run(files: &[PathBuf], levels: &LevelsByDay, frame: Frame) -> Result<RecordBatch> {
    let mut days = Days::default();
    for path in files {
        days.read(path, frame.as_of)?;
    }
    let (names, days, systems) = days.by_org();
    let (used, windows) = (vec![0; systems.count], Vec::new());
    let mut sweep = Sweep { frame, levels, systems: &systems, used, windows };
    let mut rest = days.as_slice();
    for (name, org) in names.iter().zip(0_u32..) {
        let (of_org, after) = rest.split_at(rest.partition_point(|day| day.org <= org));
        rest = after;
        sweep.org(org, name, of_org)?;
    }
    batch(names, sweep.windows)
}

/// A day of an organisation with an event.
#[derive(Debug, Clone, Copy)]
struct OrgDay {
    org: u32,
    day: Day,
    /// The set of systems used, by number.
    systems: u32,
    /// Bit `n` is the n-th of [`FACTS`].
    facts: u8,
}

/// What is read, with names as numbers in the order in which they came.
#[derive(Default)]
struct Days {
    rows: Vec<OrgDay>,
    orgs: Names,
    systems: Names,
}

impl Days {
    fn read(&mut self, path: &Path, as_of: Day) -> Result<()> {
        for chunk in WANTED.read(path)? {
            let chunk = chunk?;
            let days = chunk.days("day")?;
            let mut facts = vec![0_u8; chunk.rows()];
            for (name, bit) in FACTS.iter().zip(0..) {
                for (facts, is_so) in facts.iter_mut().zip(chunk.flags(name)?.values()) {
                    *facts |= u8::from(is_so) << bit;
                }
            }
            let orgs = chunk.texts("org_id")?.numbered(&mut self.orgs);
            let systems = chunk.texts("systems")?.numbered(&mut self.systems);
            for (row, &day) in days.iter().enumerate().filter(|(_, day)| **day <= as_of) {
                self.rows.push(OrgDay { org: orgs.of(row), day, systems: systems.of(row), facts: facts[row] });
            }
        }
        Ok(())
    }

    /// The organisations by the places of their ids in order, their days in order with these places, and the systems.
    fn by_org(self) -> (Vec<String>, Vec<OrgDay>, Systems) {
        let Ranks { ranks, numbers } = self.orgs.ranks();
        // Days mostly come one after the other: then to put each behind those of its organisation is to sort them.
        let mut places = vec![0; ranks.len() + 1];
        for row in &self.rows {
            places[ranks[row.org as usize] as usize + 1] += 1;
        }
        for org in 1..places.len() {
            places[org] += places[org - 1];
        }
        let mut rows = self.rows.clone();
        for row in self.rows {
            let org = ranks[row.org as usize];
            rows[places[org as usize]] = OrgDay { org, ..row };
            places[org as usize] += 1;
        }
        rows.sort_by_key(|row| (row.org, row.day));
        let ids = numbers.into_iter().map(|number| self.orgs.text(number).to_owned()).collect();
        (ids, rows, Systems::of(&self.systems))
    }
}

/// The sets of systems: for each set the numbers of its systems.
struct Systems {
    sets: Vec<Vec<u32>>,
    count: usize,
}

impl Systems {
    fn of(sets: &Names) -> Self {
        let mut systems = Names::default();
        // Names are escaped, so a `;` always parts two of them.
        let mut set =
            |text: &str| text.split(';').filter(|name| !name.is_empty()).map(|name| systems.number(0, name)).collect();
        let sets = sets.texts().map(&mut set).collect();
        Self { sets, count: systems.len() }
    }
}

struct Sweep<'a> {
    frame: Frame,
    levels: &'a LevelsByDay,
    systems: &'a Systems,
    // Days of the window on which each system was used; all 0 between organisations.
    used: Vec<u32>,
    windows: Vec<Window>,
}

impl Sweep<'_> {
    /// One organisation: a day counts from itself until 28 days later, so counters change on such days only; the level
    /// may also change on a day on which other thresholds begin.
    fn org(&mut self, org: u32, name: &str, days: &[OrgDay]) -> Result<()> {
        let Some(first) = days.first() else { return Ok(()) };
        if let Some(twice) = days.windows(2).find(|pair| pair[0].day == pair[1].day) {
            let day = format_day(twice[0].day);
            return Err(wrong(TABLE, &format!("day={day}, org_id=`{name}` twice")));
        }
        let (mut coming, mut leaving) = (days.iter().peekable(), days.iter().peekable());
        let (mut levels, mut other_levels) = self.levels.from(first.day)?;
        let mut counters = Counters::default();
        let mut shown: Option<Shown> = None;
        let mut begun: Option<Window> = None;
        loop {
            let comes = coming.peek().map(|day| day.day);
            let leaves = leaving.peek().map(|day| day.day + WINDOW);
            let changes = other_levels.first().map(|(day, _)| *day);
            let next = comes.into_iter().chain(leaves).chain(changes).min();
            let Some(today) = next.filter(|&day| day <= self.frame.as_of) else { break };
            if let Some(day) = coming.next_if(|day| day.day == today) {
                self.count(&mut counters, day, 1);
            }
            if let Some(day) = leaving.next_if(|day| day.day + WINDOW == today) {
                self.count(&mut counters, day, -1);
            }
            if let Some(((day, others), later)) = other_levels.split_first()
                && *day == today
            {
                (levels, other_levels) = (*others, later);
            }
            let now = Shown::of(&counters, levels);
            if shown != Some(now) {
                let previous_level = shown.map_or(0, |before| before.level);
                let next = Window { org, from: today, until: self.frame.as_of, shown: now, previous_level };
                if let Some(ended) = begun.replace(next) {
                    self.add(Window { until: today - 1, ..ended });
                }
            }
            shown = Some(now);
        }
        if let Some(last) = begun {
            self.add(last);
        }
        // What has not left yet makes room for the next organisation.
        for day in leaving {
            self.count(&mut counters, day, -1);
        }
        Ok(())
    }

    /// Adds a window, cut where a month ends; one without an event ends there.
    fn add(&mut self, mut window: Window) {
        loop {
            let month_end = Grain::Month.last_day(Grain::Month.index(window.from));
            self.windows.push(Window { until: window.until.min(month_end), ..window });
            if window.until <= month_end || window.shown.level == 0 {
                return;
            }
            window = Window { from: month_end + 1, previous_level: window.shown.level, ..window };
        }
    }

    fn count(&mut self, counters: &mut Counters, day: &OrgDay, step: i32) {
        counters.active += step;
        for (sum, bit) in counters.days.iter_mut().zip(0..) {
            *sum += i32::from(day.facts >> bit & 1) * step;
        }
        for &system in self.systems.sets.get(day.systems as usize).into_iter().flatten() {
            let Some(used) = self.used.get_mut(system as usize) else { continue };
            let was_used = *used > 0;
            *used = if step > 0 { *used + 1 } else { used.saturating_sub(1) };
            counters.systems += i32::from(*used > 0) - i32::from(was_used);
        }
    }
}

/// What a row says: the level, and the counters that it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shown {
    level: i32,
    systems: i32,
    days: [i32; 5],
}

impl Shown {
    fn of(counters: &Counters, levels: Levels) -> Self {
        let [_, days @ ..] = counters.days;
        Self { level: levels.reached(counters), systems: counters.systems, days }
    }
}

/// A row of the result.
#[derive(Debug, Clone, Copy)]
struct Window {
    /// The place of the organisation's id.
    org: u32,
    from: Day,
    until: Day,
    shown: Shown,
    /// The level on the day before, 0 before the first.
    previous_level: i32,
}

// Windows in the order of their first days, each day's as they came: in the order of organisations. There are few days, so
// each window is put at its place.
fn by_day(windows: Vec<Window>) -> Vec<Window> {
    let days = windows.iter().map(|window| window.from);
    let (Some(first), Some(last)) = (days.clone().min(), days.clone().max()) else { return windows };
    let place = |day: Day| usize::try_from(i64::from(day) - i64::from(first)).unwrap_or(0);
    let mut places = vec![0; place(last) + 2];
    for day in days {
        places[place(day) + 1] += 1;
    }
    for day in 1..places.len() {
        places[day] += places[day - 1];
    }
    let mut in_order = windows.clone();
    for window in windows {
        let place = &mut places[place(window.from)];
        in_order[*place] = window;
        *place += 1;
    }
    in_order
}

// Ids come as codes, so that each is compared and written once.
fn batch(names: Vec<String>, windows: Vec<Window>) -> Result<RecordBatch> {
    let windows = by_day(windows);
    let broken = |e| Error::Internal(format!("a job's columns are not those of its schema: {e}"));
    let date =
        |value: fn(&Window) -> Day| -> ArrayRef { Arc::new(Date32Array::from_iter_values(windows.iter().map(value))) };
    let number = |value: &dyn Fn(&Window) -> i32| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(windows.iter().map(|window| i64::from(value(window)))))
    };
    let orgs = UInt32Array::from_iter_values(windows.iter().map(|window| window.org));
    let mut columns: Vec<ArrayRef> = vec![
        date(|window| window.from),
        Arc::new(DictionaryArray::try_new(orgs, Arc::new(StringArray::from(names))).map_err(broken)?),
        date(|window| window.until),
        number(&|window| window.shown.level),
        number(&|window| window.previous_level),
        number(&|window| window.shown.systems),
    ];
    columns.extend((0..5).map(|place| number(&|window| window.shown.days[place])));
    RecordBatch::try_from_iter(COLUMNS.iter().map(|(name, ..)| *name).zip(columns)).map_err(broken)
}

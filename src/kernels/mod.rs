//! What some queries say in SQL, computed here from the codes that Parquet files hold, without hashing or comparing rows
//! of text. The SQL remains the definition, and runs where a kernel does not. This module knows Parquet files of rollups and
//! of states; it knows neither the store nor the engine, and not what its results are for.

mod activity_calendar;
mod app_breadth;
mod app_week;
mod asset_week;
mod dag_lists;
mod days;
mod divided;
mod integration_assets;
mod integration_day;
mod known;
mod org_day;
mod org_month;
mod org_seen;
mod pairs;
mod parts;
mod quality_day;
mod roles;
mod seat_month;
mod seat_patterns;
mod segment_day;
mod segment_flow;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{SchemaRef, UInt32Type};

use crate::error::{Error, Result};
use crate::names::Names;
use crate::period::{Day, Grain, WeekStart};
use divided::Divided;
use parts::Whole;

/// A Parquet file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Where it is.
    pub path: PathBuf,
    /// The day of its rows, for tables by day.
    pub day: Option<Day>,
}

/// The files of each table that a query reads, by the table's name; those by day in the order of their days.
pub type Inputs = BTreeMap<String, Vec<Input>>;

/// What a kernel is told beside its tables.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// The first observed day.
    pub first_day: Day,
    /// The last day that may be seen.
    pub as_of: Day,
    /// The days that rows are wanted of, by the date in their first column.
    pub wanted: (Day, Day),
    /// The day on which a week begins.
    pub week_start: WeekStart,
    /// Which dimension files there are.
    pub given: Given,
}

/// Which dimension files there are; a table of a file that is not given has no rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Given {
    /// That of organisations.
    pub orgs: bool,
    /// That of users.
    pub users: bool,
    /// That of apps.
    pub apps: bool,
}

/// Rows in the order of the query's key, piece by piece.
pub type Rows = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// What the kernels of a run share, so that it is read once. It is for tables whose files do not change meanwhile.
#[derive(Clone)]
pub struct Shared {
    // The apps and the users of organisations; others number apps and users like them.
    apps: Arc<Whole>,
    users: Arc<Whole>,
}

enum Kernel {
    // Counts of all ids, which it divides by itself if it must.
    Counts(fn(&Inputs, Frame, &SchemaRef, &Shared) -> Result<Rows>),
    // Rows of the ids of a rollup.
    Rows(Divided),
    // What follows from states, and shares nothing.
    States(fn(&Inputs, Frame, &SchemaRef) -> Result<Rows>),
}

static KERNELS: [(&str, Kernel); 16] = [
    ("activity_calendar", Kernel::States(activity_calendar::run)),
    ("app_breadth", Kernel::Counts(app_breadth::run)),
    ("app_week", Kernel::Counts(app_week::run)),
    ("asset_week", Kernel::Rows(Divided::of_apps(asset_week::run, |frame| Grain::Week(frame.week_start)))),
    ("dag_near_misses", Kernel::States(dag_lists::dag_near_misses)),
    ("dag_orgs", Kernel::States(dag_lists::dag_orgs)),
    ("integration_assets", Kernel::States(integration_assets::run)),
    ("integration_day", Kernel::Rows(Divided::of_apps(integration_day::run, |_| Grain::Day))),
    ("org_day", Kernel::Rows(Divided::of_apps(org_day::run, |_| Grain::Day))),
    ("org_month", Kernel::States(org_month::run)),
    ("org_seen", Kernel::Rows(Divided::of_apps(org_seen::run, |_| Grain::Month))),
    ("quality_day", Kernel::Counts(quality_day::run)),
    ("seat_month", Kernel::Rows(seat_month::DIVIDED)),
    ("seat_patterns", Kernel::States(seat_patterns::run)),
    ("segment_day", Kernel::States(segment_day::run)),
    ("segment_flow", Kernel::States(segment_flow::run)),
];

/// The names that `kernel` in `query.toml` may say.
pub fn names() -> impl Iterator<Item = &'static str> {
    KERNELS.iter().map(|(name, _)| *name)
}

/// Whether a kernel reads rollups, and so needs what kernels share.
#[must_use]
pub fn shares(name: &str) -> bool {
    find(name).is_some_and(|kernel| !matches!(kernel, Kernel::States(_)))
}

/// Computes what a query's SQL says. `schema` is that of the result; `shared` is there if the kernel [`shares`].
pub fn run(name: &str, inputs: &Inputs, frame: Frame, schema: &SchemaRef, shared: Option<&Shared>) -> Result<Rows> {
    let kernel = find(name).ok_or_else(|| Error::Definition(format!("kernel=`{name}` does not exist")))?;
    let shared = || shared.ok_or_else(|| Error::Internal(format!("kernel `{name}` was not given what it shares")));
    match kernel {
        Kernel::Counts(run) => run(inputs, frame, schema, shared()?),
        Kernel::Rows(divided) => Ok(divided.run(inputs, frame, schema, shared()?)),
        Kernel::States(run) => run(inputs, frame, schema),
    }
}

fn find(name: &str) -> Option<&'static Kernel> {
    KERNELS.iter().find(|(known, _)| *known == name).map(|(_, kernel)| kernel)
}

impl Shared {
    /// Keeps what was read up to `room` bytes; a kernel may take `memory` bytes, about.
    #[must_use]
    pub fn new(room: u64, memory: u64) -> Self {
        let [room, memory] = [room / 2, memory].map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        Self { apps: Whole::new(&pairs::APPS, room, memory), users: Whole::new(&pairs::USERS, room, memory) }
    }
}

fn files_of<'a>(inputs: &'a Inputs, table: &str) -> Result<&'a [Input]> {
    inputs.get(table).map(Vec::as_slice).ok_or_else(|| {
        Error::Definition(format!("the kernel reads table `{table}`, which it was not given; add it to `reads`"))
    })
}

// Columns of a kernel become a batch of the query's result. Texts may be coded; rows whose texts are of one list are written
// the fastest.
fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    let named = schema.fields().iter().map(|field| field.name()).zip(columns);
    RecordBatch::try_from_iter(named)
        .map_err(|e| Error::Internal(format!("a kernel's columns are not those of its query: {e}")))
}

// Names as a column: what the numbers stand for, and each row's number.
fn coded(names: &StringArray, numbers: impl Iterator<Item = u32>) -> Result<DictionaryArray<UInt32Type>> {
    DictionaryArray::try_new(UInt32Array::from_iter_values(numbers), Arc::new(names.clone()))
        .map_err(|e| Error::Internal(format!("a kernel numbers texts that it does not have: {e}")))
}

// The texts of names in the order of their numbers.
fn texts(names: &Names) -> StringArray {
    StringArray::from_iter_values(names.texts())
}

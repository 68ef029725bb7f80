//! Dimension files: organisations, users, apps, campaigns, account lists and the work calendar, checked on load and
//! written as tables with resolved history. It knows their columns and rules; it does not know which metric reads them.

mod definitions;
mod history;
mod notes;
mod rows;
mod texts;
mod users;
mod work_days;

pub use users::{Users, read_users};

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono_tz::Tz;
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use crate::error::{Error, Result};
use crate::period::{Day, Grain};
use crate::settings::Settings;
use crate::store::{Packing, TableFiles, write_files};

use history::Span;
use notes::Notes;
use rows::{Place, Row, for_each_row};

/// The days of the observed range, both ends inclusive; `None` = no event was ever accepted.
pub type ObservedRange = Option<(Day, Day)>;

/// The stages that an app's `stage` may name.
pub const STAGES: [&str; 4] = ["store", "process", "flow", "decide"];

/// The names of the tables that [`write_tables`] makes.
pub const TABLES: [&str; 11] = [
    "account_lists",
    "apps",
    "campaigns",
    "dag_definitions",
    "days",
    "deep_definitions",
    "excluded_actions",
    "excluded_apps",
    "orgs",
    "users",
    "work_days",
];

/// Loads every dimension file but that of the users, which is given, and writes each as one Parquet table under `folder`,
/// with the small tables that queries join: the observed days, which of them are work days, what defines DAG and deep
/// integration on them, and what the settings exclude. Also gives what the user should know about the files, in sentences.
pub fn write_tables(
    settings: &Settings,
    users: Users,
    range: ObservedRange,
    folder: &Path,
) -> Result<(Vec<TableFiles>, Vec<String>)> {
    let (zone, files) = (settings.report.time_zone, &settings.dimensions);
    let Users { table: of_users, mut notes } = users;
    let one = |rows: Result<RecordBatch>| rows.map(|rows| vec![rows]);
    let texts = |name: &str, values: &[String]| {
        let mut sorted: Vec<&str> = values.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        sorted.dedup();
        one(table(&[(name, text(sorted))]))
    };
    let makers: [(&str, &[&str], Maker); 9] = [
        ("account_lists", &["list", "account"], &|notes| one(account_lists(files.account_lists.as_deref(), notes))),
        ("apps", &["app_id", "valid_from"], &|notes| one(apps(files.apps.as_deref(), zone, notes))),
        ("campaigns", &["campaign"], &|notes| one(campaigns(files.campaigns.as_deref(), zone, notes))),
        ("days", &["day"], &|_| days(range)),
        ("excluded_actions", &["action"], &|_| texts("action", &settings.who.exclude_actions)),
        ("excluded_apps", &["app_id"], &|_| texts("app_id", &settings.who.exclude_apps)),
        ("orgs", &["org_id", "valid_from"], &|notes| one(orgs(files.orgs.as_deref(), zone, notes))),
        ("users", &["user_id"], &|_| Ok(vec![of_users.clone()])),
        ("work_days", &["day", "role"], &|notes| {
            work_days::work_days(files.calendar.as_deref(), zone, &settings.work, range, notes)
        }),
    ];
    let write = |(name, key, rows): &(&str, &[&str], Maker)| {
        let mut notes = Notes::default();
        let rows = rows(&mut notes)?;
        Ok((write_table(folder, name, rows, key)?, notes))
    };
    // Of several errors the first in this order is told, whichever comes first.
    let (written, definitions) = rayon::join(
        || makers.par_iter().with_max_len(1).map(write).collect::<Vec<Result<_>>>(),
        || write_definitions(settings, range, folder),
    );
    let mut tables = Vec::with_capacity(TABLES.len());
    for written in written {
        let (table, found) = written?;
        tables.push(table);
        notes.extend(found);
    }
    tables.extend(definitions?);
    Ok((tables, notes.sentences()))
}

// Gives the rows of a table, batch by batch, and notes what is odd about their file.
type Maker<'a> = &'a (dyn Fn(&mut Notes) -> Result<Vec<RecordBatch>> + Sync);

/// Writes what defines DAG and deep integration on each observed day, as two of the tables of [`write_tables`].
pub fn write_definitions(settings: &Settings, range: ObservedRange, folder: &Path) -> Result<[TableFiles; 2]> {
    let write = |name, months| write_table(folder, name, months, &["day"]);
    Ok([
        write("dag_definitions", definitions::dag(&settings.dag, range)?)?,
        write("deep_definitions", definitions::deep(&settings.deep, range)?)?,
    ])
}

fn days(range: ObservedRange) -> Result<Vec<RecordBatch>> {
    by_month(range, |days| table(&[("day", Arc::new(Date32Array::from_iter_values(days)))]))
}

// Rows of the observed days, month by month: a new day leaves the months before it as they were.
fn by_month(
    range: ObservedRange,
    rows: impl Fn(RangeInclusive<Day>) -> Result<RecordBatch>,
) -> Result<Vec<RecordBatch>> {
    let Some((first, last)) = range else { return Ok(vec![rows(RangeInclusive::new(0, -1))?]) };
    let month = |index| Grain::Month.first_day(index).max(first)..=Grain::Month.last_day(index).min(last);
    (Grain::Month.index(first)..=Grain::Month.index(last)).map(month).map(rows).collect()
}

// Each batch becomes a file.
fn write_table(folder: &Path, name: &str, batches: Vec<RecordBatch>, sort_key: &[&str]) -> Result<TableFiles> {
    let root = folder.join(name);
    let schema = batches.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
    let mut files = Vec::with_capacity(batches.len());
    for batch in batches {
        files.extend(write_files(&root, None, &schema, sort_key, Packing::Fast, [Ok(batch)])?);
    }
    Ok(TableFiles {
        name: name.to_owned(),
        root,
        schema,
        by_day: false,
        sort_key: sort_key.iter().map(|&column| column.to_owned()).collect(),
        version: None,
        files,
    })
}

struct OrgRow {
    name: String,
    headcount: Option<i64>,
    industry: String,
    region: String,
    edition: String,
}

fn orgs(path: Option<&Path>, zone: Tz, notes: &mut Notes) -> Result<RecordBatch> {
    let columns = ["org_id", "name", "headcount", "industry", "region", "edition", "registered_at", "valid_from"];
    let mut spans = Vec::new();
    let mut registered: BTreeMap<String, Option<Day>> = BTreeMap::new();
    for_each_row(path, &columns, &[0], notes, |row, _| {
        let id = row.text(0);
        let since = row.day(6, zone)?;
        registered.entry(id.clone()).and_modify(|known| *known = earliest(*known, since)).or_insert(since);
        let attributes = OrgRow {
            name: row.text(1),
            headcount: row.count(2)?,
            industry: row.text(3),
            region: row.text(4),
            edition: row.text(5),
        };
        spans.push((id, row.day(7, zone)?, row.place, attributes));
        Ok(())
    })?;
    let spans = resolve(path, "org_id", spans, notes);
    let of = |field: fn(&OrgRow) -> &String| text(spans.iter().map(|s| field(&s.attributes).as_str()));
    let headcounts: Int64Array = spans.iter().map(|s| s.attributes.headcount).collect();
    let registered: Date32Array = spans.iter().map(|s| registered.get(&s.id).copied().flatten()).collect();
    let mut fields = vec![
        ("org_id", text(spans.iter().map(|s| s.id.as_str()))),
        ("name", of(|o| &o.name)),
        ("headcount", Arc::new(headcounts) as ArrayRef),
        ("industry", of(|o| &o.industry)),
        ("region", of(|o| &o.region)),
        ("edition", of(|o| &o.edition)),
        ("registered_on", Arc::new(registered)),
    ];
    fields.extend(validity(&spans));
    table(&fields)
}

// Spans of rows that are all in one file; of those that another row replaces the user is told.
fn resolve<T>(
    path: Option<&Path>,
    key: &str,
    rows: Vec<(String, Option<Day>, Place, T)>,
    notes: &mut Notes,
) -> Vec<Span<T>> {
    history::resolve(rows, |id, earlier, later| {
        if let Some(path) = path {
            let what = format!("of rows with the same {key} and valid_from the last holds");
            notes.add(path, &what, &format!("`{id}`: {later} over {earlier}"));
        }
    })
}

struct AppRow {
    name: String,
    category: String,
    system: String,
    stage: String,
}

fn apps(path: Option<&Path>, zone: Tz, notes: &mut Notes) -> Result<RecordBatch> {
    let columns = ["app_id", "name", "category", "system", "stage", "valid_from"];
    let mut spans = Vec::new();
    for_each_row(path, &columns, &[0], notes, |row, notes| {
        let attributes =
            AppRow { name: row.text(1), category: row.text(2), system: row.text(3), stage: stages(row, 4, notes) };
        spans.push((row.text(0), row.day(5, zone)?, row.place, attributes));
        Ok(())
    })?;
    let spans = resolve(path, "app_id", spans, notes);
    let of = |field: fn(&AppRow) -> &String| text(spans.iter().map(|s| field(&s.attributes).as_str()));
    let mut fields = vec![
        ("app_id", text(spans.iter().map(|s| s.id.as_str()))),
        ("name", of(|a| &a.name)),
        ("category", of(|a| &a.category)),
        ("system", of(|a| &a.system)),
        ("stage", of(|a| &a.stage)),
    ];
    fields.extend(validity(&spans));
    table(&fields)
}

// The stages of an app between semicolons, as in `;store;flow;`, so that one is found by `like '%;flow;%'`.
fn stages(row: &Row, column: usize, notes: &mut Notes) -> String {
    let mut stages = String::from(";");
    for stage in row.get(column).split(';').map(str::trim).filter(|stage| !stage.is_empty()) {
        if STAGES.contains(&stage) {
            stages.push_str(stage);
            stages.push(';');
        } else {
            let what = format!("left out what is no stage, only {} are", STAGES.join(", "));
            notes.add(row.path, &what, &format!("`{stage}` in {}", row.place));
        }
    }
    stages
}

struct CampaignRow {
    place: Place,
    name: String,
    start_on: Option<Day>,
    end_on: Option<Day>,
    cost_cents: Option<i128>,
    reward_cents: Option<i128>,
    streak_days: Option<i64>,
}

fn campaigns(path: Option<&Path>, zone: Tz, notes: &mut Notes) -> Result<RecordBatch> {
    let columns = ["campaign", "name", "start_on", "end_on", "cost", "reward_per_completion", "streak_days"];
    let mut campaigns: BTreeMap<String, CampaignRow> = BTreeMap::new();
    for_each_row(path, &columns, &[0], notes, |row, notes| {
        let (start_on, end_on) = row.days(2, 3, zone)?;
        let campaign = CampaignRow {
            place: row.place,
            name: row.text(1),
            start_on,
            end_on,
            cost_cents: row.cents(4)?,
            reward_cents: row.cents(5)?,
            streak_days: row.count(6)?,
        };
        if let Some(earlier) = campaigns.insert(row.text(0), campaign) {
            let place = format!("`{}`: {} over {}", row.get(0), row.place, earlier.place);
            notes.add(row.path, "of rows with the same campaign the last holds", &place);
        }
        Ok(())
    })?;
    let days = |field: fn(&CampaignRow) -> Option<Day>| -> ArrayRef {
        Arc::new(campaigns.values().map(field).collect::<Date32Array>())
    };
    table(&[
        ("campaign", text(campaigns.keys().map(String::as_str))),
        ("name", text(campaigns.values().map(|c| c.name.as_str()))),
        ("start_on", days(|c| c.start_on)),
        ("end_on", days(|c| c.end_on)),
        ("cost", money(campaigns.values().map(|c| c.cost_cents))?),
        ("reward_per_completion", money(campaigns.values().map(|c| c.reward_cents))?),
        ("streak_days", Arc::new(campaigns.values().map(|c| c.streak_days).collect::<Int64Array>())),
    ])
}

fn account_lists(path: Option<&Path>, notes: &mut Notes) -> Result<RecordBatch> {
    let mut rows: BTreeMap<[String; 3], Place> = BTreeMap::new();
    for_each_row(path, &["list", "account", "org_id"], &[0, 1], notes, |row, notes| {
        match rows.entry([row.text(0), row.text(1), row.text(2)]) {
            Entry::Vacant(place) => {
                place.insert(row.place);
            }
            Entry::Occupied(earlier) => {
                let place = format!("`{}`, `{}`: {} as {}", row.get(0), row.get(1), row.place, earlier.get());
                notes.add(row.path, "left out rows that are there already", &place);
            }
        }
        Ok(())
    })?;
    let column = |number: usize| text(rows.keys().map(|row| row[number].as_str()));
    table(&[("list", column(0)), ("account", column(1)), ("org_id", column(2))])
}

fn earliest(a: Option<Day>, b: Option<Day>) -> Option<Day> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (known, None) | (None, known) => known,
    }
}

fn validity<T>(spans: &[Span<T>]) -> [(&'static str, ArrayRef); 2] {
    let from: Date32Array = spans.iter().map(|s| Some(s.valid_from)).collect();
    let until: Date32Array = spans.iter().map(|s| Some(s.valid_until)).collect();
    [("valid_from", Arc::new(from)), ("valid_until", Arc::new(until))]
}

fn text<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn money(cents: impl Iterator<Item = Option<i128>>) -> Result<ArrayRef> {
    let amounts: Decimal128Array = cents.collect();
    amounts
        .with_precision_and_scale(38, 2)
        .map(|amounts| Arc::new(amounts) as ArrayRef)
        .map_err(|e| Error::Internal(format!("cannot make a column of money: {e}")))
}

// What a dimension's columns may lack: the rest always has a value, be it the empty text.
const OPTIONAL: [&str; 8] =
    ["headcount", "registered_on", "start_on", "end_on", "cost", "reward_per_completion", "since", "streak_days"];

fn table(columns: &[(&str, ArrayRef)]) -> Result<RecordBatch> {
    let field = |(name, array): &(&str, ArrayRef)| {
        let data_type: DataType = array.data_type().clone();
        Field::new(*name, data_type, OPTIONAL.contains(name))
    };
    let schema: SchemaRef = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let arrays = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    RecordBatch::try_new(schema, arrays).map_err(|e| Error::Internal(format!("cannot make a dimension table: {e}")))
}

#[cfg(test)]
mod tests;

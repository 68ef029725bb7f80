//! Dimension files: organisations, users, apps, campaigns and account lists, checked on load and written as tables
//! with resolved history. It knows their columns and rules; it does not know which metric reads them.

mod definitions;
mod history;
mod rows;

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono_tz::Tz;

use crate::error::{Error, Result};
use crate::period::{Day, Grain};
use crate::settings::{DimensionSettings, Settings};
use crate::store::{TableFiles, write_result};

use history::Span;
use rows::{LeftOut, Row, for_each_row};

/// The days of the observed range, both ends inclusive; `None` = no event was ever accepted.
pub type ObservedRange = Option<(Day, Day)>;

/// The stages that an app's `stage` may name.
pub const STAGES: [&str; 4] = ["store", "process", "flow", "decide"];

/// The names of the tables that [`write_tables`] makes.
pub const TABLES: [&str; 10] = [
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
];

/// The users whom the users file calls internal; none without a file.
pub fn internal_users(settings: &DimensionSettings, zone: Tz) -> Result<HashSet<String>> {
    let users = read_users(settings.users.as_deref(), zone, &mut LeftOut::default())?;
    Ok(users.into_iter().filter(|(_, user)| user.is_internal).map(|(id, _)| id).collect())
}

/// Loads every dimension file and writes each as one Parquet table under `folder`, with the small tables that
/// queries join: the observed days, what defines DAG and deep integration on them, and what the settings exclude. Also
/// gives what was left out of the files, in sentences.
pub fn write_tables(
    settings: &Settings,
    range: ObservedRange,
    folder: &Path,
) -> Result<(Vec<TableFiles>, Vec<String>)> {
    let zone = settings.report.time_zone;
    let files = &settings.dimensions;
    let mut left_out = LeftOut::default();
    let notes = &mut left_out;
    let texts = |name: &str, values: &[String]| {
        let mut sorted: Vec<&str> = values.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        sorted.dedup();
        table(&[(name, text(sorted))])
    };
    let tables = [
        ("account_lists", account_lists(files.account_lists.as_deref(), notes)?, vec!["list", "account"]),
        ("apps", apps(files.apps.as_deref(), zone, notes)?, vec!["app_id", "valid_from"]),
        ("campaigns", campaigns(files.campaigns.as_deref(), zone, notes)?, vec!["campaign"]),
        ("excluded_actions", texts("action", &settings.who.exclude_actions)?, vec!["action"]),
        ("excluded_apps", texts("app_id", &settings.who.exclude_apps)?, vec!["app_id"]),
        ("orgs", orgs(files.orgs.as_deref(), zone, notes)?, vec!["org_id", "valid_from"]),
        ("users", users(files.users.as_deref(), zone, notes)?, vec!["user_id"]),
    ];
    let tables = tables.into_iter().map(|(name, batch, key)| write_table(folder, name, vec![batch], &key));
    let days = write_table(folder, "days", days(range)?, &["day"]);
    let mut tables = tables.chain([days]).collect::<Result<Vec<_>>>()?;
    tables.extend(write_definitions(settings, range, folder)?);
    Ok((tables, left_out.sentences()))
}

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
        files.extend(write_result(&root, &schema, sort_key, [Ok(batch)])?);
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

fn orgs(path: Option<&Path>, zone: Tz, left_out: &mut LeftOut) -> Result<RecordBatch> {
    let columns = ["org_id", "name", "headcount", "industry", "region", "edition", "registered_at", "valid_from"];
    let mut spans = Vec::new();
    let mut registered: BTreeMap<String, Option<Day>> = BTreeMap::new();
    for_each_row(path, &columns, 1, left_out, |row, _| {
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
        spans.push((id, row.day(7, zone)?, attributes));
        Ok(())
    })?;
    let spans = history::resolve(spans);
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

struct AppRow {
    name: String,
    category: String,
    system: String,
    stage: String,
}

fn apps(path: Option<&Path>, zone: Tz, left_out: &mut LeftOut) -> Result<RecordBatch> {
    let columns = ["app_id", "name", "category", "system", "stage", "valid_from"];
    let mut spans = Vec::new();
    for_each_row(path, &columns, 1, left_out, |row, left_out| {
        let attributes =
            AppRow { name: row.text(1), category: row.text(2), system: row.text(3), stage: stages(row, 4, left_out) };
        spans.push((row.text(0), row.day(5, zone)?, attributes));
        Ok(())
    })?;
    let spans = history::resolve(spans);
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
fn stages(row: &Row, column: usize, left_out: &mut LeftOut) -> String {
    let mut stages = String::from(";");
    for stage in row.get(column).split(';').map(str::trim).filter(|stage| !stage.is_empty()) {
        if STAGES.contains(&stage) {
            stages.push_str(stage);
            stages.push(';');
        } else {
            left_out.add(row, &format!("`{stage}` is no stage, only {} are", STAGES.join(", ")));
        }
    }
    stages
}

struct UserRow {
    registered_on: Option<Day>,
    role: String,
    campaign: String,
    invited_by: String,
    is_internal: bool,
}

// Of several rows of a user the last one holds.
fn read_users(path: Option<&Path>, zone: Tz, left_out: &mut LeftOut) -> Result<BTreeMap<String, UserRow>> {
    let columns = ["user_id", "registered_at", "role", "campaign", "invited_by", "is_internal"];
    let mut users = BTreeMap::new();
    for_each_row(path, &columns, 1, left_out, |row, _| {
        let flag = row.get(5);
        let user = UserRow {
            registered_on: row.day(1, zone)?,
            role: row.text(2),
            campaign: row.text(3),
            invited_by: row.text(4),
            is_internal: flag == "1" || flag.eq_ignore_ascii_case("true"),
        };
        users.insert(row.text(0), user);
        Ok(())
    })?;
    Ok(users)
}

fn users(path: Option<&Path>, zone: Tz, left_out: &mut LeftOut) -> Result<RecordBatch> {
    let users = read_users(path, zone, left_out)?;
    let of = |field: fn(&UserRow) -> &String| text(users.values().map(|u| field(u).as_str()));
    table(&[
        ("user_id", text(users.keys().map(String::as_str))),
        ("registered_on", Arc::new(users.values().map(|u| u.registered_on).collect::<Date32Array>())),
        ("role", of(|u| &u.role)),
        ("campaign", of(|u| &u.campaign)),
        ("invited_by", of(|u| &u.invited_by)),
        ("is_internal", Arc::new(users.values().map(|u| Some(u.is_internal)).collect::<BooleanArray>())),
    ])
}

struct CampaignRow {
    name: String,
    start_on: Option<Day>,
    end_on: Option<Day>,
    cost_cents: Option<i128>,
    reward_cents: Option<i128>,
    streak_days: Option<i64>,
}

fn campaigns(path: Option<&Path>, zone: Tz, left_out: &mut LeftOut) -> Result<RecordBatch> {
    let columns = ["campaign", "name", "start_on", "end_on", "cost", "reward_per_completion", "streak_days"];
    let mut campaigns = BTreeMap::new();
    for_each_row(path, &columns, 1, left_out, |row, _| {
        let campaign = CampaignRow {
            name: row.text(1),
            start_on: row.day(2, zone)?,
            end_on: row.day(3, zone)?,
            cost_cents: row.cents(4)?,
            reward_cents: row.cents(5)?,
            streak_days: row.count(6)?,
        };
        campaigns.insert(row.text(0), campaign);
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

fn account_lists(path: Option<&Path>, left_out: &mut LeftOut) -> Result<RecordBatch> {
    let mut rows = Vec::new();
    for_each_row(path, &["list", "account", "org_id"], 2, left_out, |row, _| {
        rows.push((row.text(0), row.text(1), row.text(2)));
        Ok(())
    })?;
    rows.sort();
    rows.dedup();
    table(&[
        ("list", text(rows.iter().map(|r| r.0.as_str()))),
        ("account", text(rows.iter().map(|r| r.1.as_str()))),
        ("org_id", text(rows.iter().map(|r| r.2.as_str()))),
    ])
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
mod tests {
    use super::*;
    use crate::period::parse_day;

    fn write(folder: &Path, name: &str, content: &str) -> std::path::PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, content).expect("a test file");
        path
    }

    fn strings(batch: &RecordBatch, column: &str) -> Vec<String> {
        let array = batch.column_by_name(column).expect("a column");
        let texts = arrow::compute::cast(array, &DataType::Utf8).expect("a text");
        let texts: &StringArray = arrow::array::AsArray::as_string(&texts);
        texts.iter().map(|t| t.unwrap_or("").to_owned()).collect()
    }

    #[test]
    fn an_org_has_one_row_a_span_and_its_earliest_registration() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = write(
            folder.path(),
            "orgs.csv",
            "org_id,name,headcount,registered_at,valid_from\n\
             b,Beta,10,2026-02-01T23:30:00Z,2026-03-01\n\
             b,Beta AG,2000,,2026-05-01\n\
             b,Beta SE,2001,,2026-05-01\n\
             a,Alpha,,,\n",
        );
        let zone = "Asia/Shanghai".parse().expect("a zone");
        let batch = orgs(Some(&path), zone, &mut LeftOut::default()).expect("orgs");
        assert_eq!(strings(&batch, "name"), ["Alpha", "Beta", "Beta SE"]);
        assert_eq!(strings(&batch, "headcount"), ["", "10", "2001"]);
        assert_eq!(strings(&batch, "registered_on"), ["", "2026-02-02", "2026-02-02"]);
        assert_eq!(strings(&batch, "valid_from"), ["0001-01-01", "2026-03-01", "2026-05-01"]);
        assert_eq!(strings(&batch, "valid_until"), ["9999-12-31", "2026-04-30", "9999-12-31"]);
    }

    #[test]
    fn the_last_row_of_a_user_wins() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = write(folder.path(), "users.csv", "user_id,is_internal,role\nu,1,x\nv,TRUE,\nu,no,y\n");
        let batch = users(Some(&path), Tz::UTC, &mut LeftOut::default()).expect("users");
        assert_eq!(strings(&batch, "role"), ["y", ""]);
        assert_eq!(strings(&batch, "is_internal"), ["false", "true"]);
        let settings = DimensionSettings { users: Some(path), ..DimensionSettings::default() };
        let internal = internal_users(&settings, Tz::UTC).expect("internal users");
        assert_eq!(internal, HashSet::from(["v".to_owned()]));
    }

    fn check_refused(content: &str, expected: &[&str]) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = write(folder.path(), "orgs.csv", content);
        let message = orgs(Some(&path), Tz::UTC, &mut LeftOut::default()).expect_err("must be refused").to_string();
        for part in expected.iter().chain(&["orgs.csv"]) {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }

    #[test]
    fn a_wrong_row_is_named() {
        check_refused("name\nx\n", &["org_id"]);
        check_refused("org_id,name,name\na,x,y\n", &["name", "twice"]);
        check_refused("org_id,headcount\na,1\nb,-5\n", &["line 3", "headcount", "-5"]);
        check_refused("org_id,headcount\na,many\n", &["line 2", "headcount"]);
        check_refused("org_id,valid_from\na,2026-02-30\n", &["line 2", "valid_from", "2026-02-30"]);
    }

    #[test]
    fn each_day_has_the_definition_that_holds_on_it() {
        let settings = Settings::parse(
            "[[dag]]\nmin_users = 2\n[[dag]]\nvalid_from = \"2026-03-02\"\nmin_apps = 4\n\
             [deep]\nexcluded_categories = [\"hr\", \"50%;off\", \"fun\", \"hr\"]\n",
        )
        .expect("settings");
        let range = parse_day("2026-02-28").zip(parse_day("2026-03-02"));
        let months = definitions::dag(&settings.dag, range).expect("a table");
        let column = |name: &str| months.iter().map(|month| strings(month, name)).collect::<Vec<_>>();
        assert_eq!(column("day"), [vec!["2026-02-28"], vec!["2026-03-01", "2026-03-02"]]);
        assert_eq!(column("since"), [vec![""], vec!["", "2026-03-02"]]);
        assert_eq!(column("min_apps"), [vec!["3"], vec!["3", "4"]]);
        assert_eq!(column("min_users"), [vec!["2"], vec!["2", "2"]]);
        let months = definitions::deep(&settings.deep, range).expect("a table");
        assert_eq!(strings(&months[0], "excluded_categories"), ["50%25%3Boff;fun;hr"]);
        let empty = definitions::dag(&settings.dag, None).expect("a table");
        assert_eq!(empty.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn what_cannot_be_used_is_left_out_and_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = write(folder.path(), "apps.csv", "app_id,stage\na, store ;flow\nb,keep;decide\n,store\nc,keep\n");
        let mut left_out = LeftOut::default();
        let batch = apps(Some(&path), Tz::UTC, &mut left_out).expect("apps");
        assert_eq!(strings(&batch, "stage"), [";store;flow;", ";decide;", ";"]);
        let sentences = left_out.sentences();
        assert_eq!(sentences.len(), 2, "{sentences:?}");
        assert!(sentences.iter().any(|s| s.contains("`keep` is no stage") && s.contains("2 times, first in line 3")));
        assert!(sentences.iter().any(|s| s.contains("without app_id") && s.contains("line 4")));
    }

    #[test]
    fn parquet_files_read_like_csv() {
        let folder = tempfile::tempdir().expect("a folder");
        let headcounts: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None]));
        let since: ArrayRef = Arc::new(Date32Array::from(vec![parse_day("2026-01-02"), None]));
        let batch = RecordBatch::try_from_iter([
            ("org_id", text(["a", "b"])),
            ("headcount", headcounts),
            ("registered_at", since),
        ])
        .expect("a batch");
        let file = write_result(folder.path(), &batch.schema(), &[], [Ok(batch)]).expect("a file").expect("rows");
        let path = folder.path().join(file.path);
        let batch = orgs(Some(&path), Tz::UTC, &mut LeftOut::default()).expect("orgs");
        assert_eq!(strings(&batch, "headcount"), ["5", ""]);
        assert_eq!(strings(&batch, "registered_on"), ["2026-01-02", ""]);
    }
}

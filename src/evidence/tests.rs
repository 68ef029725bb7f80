//! Cells, addresses and ties on small tables of the tests' own.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray};
use tempfile::TempDir;

use super::*;
use crate::catalog::{Catalog, ColumnType, Query};
use crate::period::{WeekStart, parse_day};

fn check_cell(kind: ColumnType, text: &str, shown: Option<&str>) {
    assert_eq!(Cell::parse(kind, text).map(|cell| cell.to_string()).as_deref(), shown, "{text} as {kind:?}");
}

#[test]
fn cells_are_read_and_shown_exactly() {
    check_cell(ColumnType::Integer, "-12", Some("-12"));
    check_cell(ColumnType::Integer, "1.5", None);
    check_cell(ColumnType::Rate, "0.250000", Some("0.25"));
    check_cell(ColumnType::Seconds, "0.5", Some("0.5"));
    check_cell(ColumnType::Seconds, "1.0005", None);
    check_cell(ColumnType::Seconds, "-1.5", Some("-1.5"));
    check_cell(ColumnType::Date, "2026-02-28", Some("2026-02-28"));
    check_cell(ColumnType::Date, "2026-02-30", None);
    check_cell(ColumnType::Date, "", Some(""));
    check_cell(ColumnType::Boolean, "true", Some("true"));
    check_cell(ColumnType::Boolean, "yes", None);
    check_cell(ColumnType::Text, "", Some(""));
    assert_ne!(Cell::parse(ColumnType::Text, ""), Cell::parse(ColumnType::Date, ""), "an empty text is a value");
}

#[test]
fn the_nearest_are_found_by_kind() {
    let texts = |texts: &[&str]| texts.iter().map(|text| Cell::Text((*text).to_owned())).collect::<Vec<_>>();
    let found = nearest(&Cell::Text("acmee".into()), texts(&["zeta", "ACME", "acne"]), 2);
    assert_eq!(found, texts(&["ACME", "acne"]));
    let days = |days: &[i32]| days.iter().map(|day| Cell::Day(*day)).collect::<Vec<_>>();
    assert_eq!(nearest(&Cell::Day(10), days(&[1, 12, 9, 30]), 3), days(&[9, 12, 1]));
}

const METRIC: &str = "title = \"t\"\ndescription = \"d\"\nowner = \"o\"\nkind = \"sql\"\nreads = [\"days\"]\n\
    key = [\"week\", \"org_id\"]\nnumber = \"apps\"\n
[[column]]\nname = \"week\"\ntype = \"date\"\ndescription = \"d\"\n
[[column]]\nname = \"org_id\"\ntype = \"text\"\ndescription = \"d\"\n
[[column]]\nname = \"apps\"\ntype = \"integer\"\ndescription = \"d\"\n
[[column]]\nname = \"spent\"\ntype = \"seconds\"\ndescription = \"d\"\noptional = true\n";

const EVIDENCE: &str = "title = \"t\"\ndescription = \"d\"\nowner = \"o\"\nkind = \"sql\"\nreads = [\"days\"]\n\
    key = [\"org_id\", \"app_id\"]\n
[[argument]]\nname = \"org_id\"\ntype = \"text\"\ndescription = \"d\"\n
[[behind]]\nof = \"weekly\"\non = [\"org_id\"]\nTIES\n
[[column]]\nname = \"org_id\"\ntype = \"text\"\ndescription = \"d\"\n
[[column]]\nname = \"app_id\"\ntype = \"text\"\ndescription = \"d\"\n
[[column]]\nname = \"is_used\"\ntype = \"boolean\"\ndescription = \"d\"\n
[[column]]\nname = \"spent\"\ntype = \"seconds\"\ndescription = \"d\"\n";

fn catalog(ties: &str) -> (TempDir, Catalog) {
    let root = tempfile::tempdir().expect("a folder");
    let write = |path: &str, toml: &str, sql: &str| {
        let folder = root.path().join(path);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("query.toml"), toml).expect("a file");
        std::fs::write(folder.join("query.sql"), sql).expect("a file");
    };
    write("metrics/weekly", METRIC, "SELECT day AS week FROM days");
    write("evidence/weekly_apps", &EVIDENCE.replace("TIES", ties), "SELECT $org_id FROM days");
    let catalog = Catalog::of(Path::new(root.path())).expect("a catalog");
    (root, catalog)
}

fn rows(query: &Query, columns: Vec<ArrayRef>) -> Rows<'_> {
    Rows { query, batch: RecordBatch::try_new(query.schema(), columns).expect("a batch") }
}

fn seconds(ms: &[Option<i128>]) -> ArrayRef {
    let values: Decimal128Array = ms.iter().copied().collect();
    Arc::new(values.with_precision_and_scale(38, 3).expect("seconds"))
}

/// Ties the apps of organisation `a` to its week, which says two apps and 1.5 s.
fn check_tie(ties: &str, used: &[bool], spent: &[Option<i128>], expected: Result<&str, &str>) {
    let (_root, catalog) = catalog(ties);
    let (metric, evidence) = (catalog.get("weekly").expect("it"), catalog.get("weekly_apps").expect("it"));
    let week: ArrayRef = Arc::new(arrow::array::Date32Array::from(vec![0]));
    let org = |count: usize| -> ArrayRef { Arc::new(StringArray::from(vec!["a"; count])) };
    let report = rows(metric, vec![week, org(1), Arc::new(Int64Array::from(vec![2])), seconds(&[Some(1_500)])]);
    let names: Vec<String> = (0..used.len()).map(|number| format!("app{number}")).collect();
    let apps: ArrayRef = Arc::new(StringArray::from(names));
    let flags: ArrayRef = Arc::new(BooleanArray::from(used.to_vec()));
    let behind = rows(evidence, vec![org(used.len()), apps, flags, seconds(spent)]);
    let question = Question { pins: vec![("org_id".into(), "a".into())], ..Question::default() };
    let steps = chain(&catalog, metric, "apps");
    let address = question.address(metric, &steps, 3, WeekStart::Monday).expect("an address");
    let held = behind.tie(&report, steps[0].links[0], &address);
    match (held, expected) {
        (Ok(held), Ok(value)) => assert_eq!(held[0].value.as_deref(), Some(value)),
        (Err(error), Err(part)) => {
            assert_eq!(error.exit_code(), 3);
            assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
        }
        (held, expected) => panic!("{held:?} is not {expected:?}"),
    }
}

#[test]
fn what_adds_up_holds_and_what_does_not_is_named() {
    let spent = [Some(500), Some(1_000)];
    check_tie("rows = \"apps\"", &[true, false], &spent, Ok("2"));
    check_tie(
        "rows = \"apps\"",
        &[true],
        &[Some(0)],
        Err("rows = 1, but `apps` of weekly of the row with org_id=`a` is 2"),
    );
    check_tie("counts = { is_used = \"apps\" }", &[true, true], &spent, Ok("2"));
    check_tie("counts = { is_used = \"apps\" }", &[true, false], &spent, Err("rows with is_used = 1"));
    check_tie("sums = { spent = \"spent\" }", &[true, true], &spent, Ok("1.5"));
    check_tie("sums = { spent = \"spent\" }", &[true, true], &[Some(500), Some(999)], Err("= 1.499"));
    check_tie("distinct = { app_id = \"apps\" }", &[true, false], &spent, Ok("2"));
    check_tie("distinct = { org_id = \"apps\" }", &[true, false], &spent, Err("distinct org_id = 1"));
    check_tie("same = [\"spent\"]", &[true], &[Some(1_500)], Ok("1.5"));
    check_tie("same = [\"spent\"]", &[true, true], &spent, Err("the same = 0.5"));
    check_tie("same = [\"spent\"]", &[], &[], Err("`spent` of weekly"));
    let named = "named = { column = \"app_id\", value = \"spent\", names = [\"spent\"] }";
    check_tie(named, &[true], &[Some(1_500)], Err("spent by app_id"));
    check_tie("counts = { is_used = \"in_report\" }", &[true, false], &spent, Ok("1"));
    check_tie("counts = { is_used = \"in_report\" }", &[false, false], &spent, Err("`in_report`"));
}

fn address(question: &Question) -> crate::error::Result<Address> {
    let (_root, catalog) = catalog("rows = \"apps\"");
    let metric = catalog.get("weekly").expect("it");
    question.address(metric, &chain(&catalog, metric, "apps"), 20_000, WeekStart::Monday)
}

#[test]
fn a_row_is_found_by_a_day_of_its_period() {
    let question = |day: &str, pins: &[(&str, &str)]| Question {
        metric: "weekly".into(),
        day: parse_day(day),
        pins: pins.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..Question::default()
    };
    let found = address(&question("2026-01-08", &[("org_id", "a")])).expect("an address");
    assert_eq!(found.get("week"), parse_day("2026-01-05").map(Cell::Day).as_ref());
    let check = |question: &Question, parts: &[&str]| {
        let error = address(question).expect_err("must be refused");
        assert_eq!(error.exit_code(), 2);
        assert!(parts.iter().all(|part| error.to_string().contains(part)), "{parts:?} are not in: {error}");
    };
    check(&question("2026-01-08", &[]), &["week, org_id", "org_id is open", "--org ID"]);
    check(&question("2026-01-08", &[("org_id", "a"), ("org_id", "b")]), &["`org_id`", "twice"]);
    check(&question("2026-01-08", &[("user_id", "a")]), &["`user_id`", "org_id, week"]);
    check(&question("2026-01-08", &[("org_id", "a"), ("week", "1")]), &["week=`1`", "date"]);
}

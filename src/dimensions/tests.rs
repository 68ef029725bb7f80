//! What dimension files give, and what is said of those that are wrong, for each kind and both formats.

use arrow::array::{
    AsArray, BinaryArray, BooleanArray, Date64Array, Float64Array, ListArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::Int64Type;

use super::*;
use crate::period::parse_day;
use crate::settings::DimensionSettings;

/// Each kind with its file's header and a good row.
const KINDS: [(&str, &str, &str); 6] = [
    ("account_lists", "list,account,org_id", "l,one,a"),
    ("apps", "app_id,name,category,system,stage,valid_from", "x,X,hr,erp,store;flow,2026-01-01"),
    ("calendar", "first_day,last_day,kind,role,name", "2026-03-02,,holiday,,Day of Days"),
    ("campaigns", "campaign,name,start_on,end_on,cost,reward_per_completion,streak_days", "c,C,2026-01-01,,10.5,1,3"),
    ("orgs", "org_id,name,headcount,industry,region,edition,registered_at,valid_from", "a,A,10,it,EU,pro,,2026-01-01"),
    (
        "users",
        "user_id,registered_at,role,campaign,invited_by,is_internal",
        "u,2026-01-01T09:00:00+08:00,clerk,c,v,true",
    ),
];

fn batch_of(kind: &str, content: &str) -> RecordBatch {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file.csv");
    std::fs::write(&path, content).expect("a file");
    let (path, zone, notes) = (Some(path.as_path()), "Asia/Shanghai".parse().expect("a zone"), &mut Notes::default());
    match kind {
        "orgs" => orgs(path, zone, notes),
        "apps" => apps(path, zone, notes),
        "campaigns" => campaigns(path, zone, notes),
        _ => account_lists(path, notes),
    }
    .expect("a table")
}

fn strings(batch: &RecordBatch, column: &str) -> Vec<String> {
    let array = batch.column_by_name(column).expect("a column");
    let texts = cast(array, &DataType::Utf8).expect("a text");
    texts.as_string::<i32>().iter().map(|t| t.unwrap_or("").to_owned()).collect()
}

/// Loads one file as a run does; gives what the user is told.
fn load(kind: &str, path: &Path) -> Result<Vec<String>> {
    let mut settings = Settings::default();
    let files = &mut settings.dimensions;
    let place = match kind {
        "account_lists" => &mut files.account_lists,
        "apps" => &mut files.apps,
        "calendar" => &mut files.calendar,
        "campaigns" => &mut files.campaigns,
        "orgs" => &mut files.orgs,
        _ => &mut files.users,
    };
    *place = Some(path.to_owned());
    let folder = tempfile::tempdir().expect("a folder");
    let users = read_users(&settings.dimensions, Tz::UTC)?;
    write_tables(&settings, users, Some((20_000, 20_100)), folder.path()).map(|(_, notes)| notes)
}

fn load_text(kind: &str, content: impl AsRef<[u8]>) -> Result<Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file.csv");
    std::fs::write(&path, content).expect("a file");
    load(kind, &path)
}

fn check_refused(kind: &str, content: impl AsRef<[u8]>, expected: &[&str]) {
    let message = load_text(kind, content).expect_err("must be refused").to_string();
    for part in expected.iter().chain(&["file.csv"]) {
        assert!(message.contains(part), "{kind}: {part:?} is not in: {message}");
    }
}

fn check_told(kind: &str, content: impl AsRef<[u8]>, expected: Option<&str>) {
    match (load_text(kind, content).expect("tables").as_slice(), expected) {
        ([], None) => {}
        ([sentence], Some(part)) if sentence.contains(part) => {}
        (found, expected) => panic!("{kind}: told was {found:?}, expected {expected:?}"),
    }
}

#[test]
fn an_org_has_one_row_a_span_and_its_earliest_registration() {
    let batch = batch_of(
        "orgs",
        "org_id,name,headcount,registered_at,valid_from\n\
         b,Beta,10,2026-02-01T23:30:00Z,2026-03-01\n\
         b,Beta AG,2000,,2026-05-01\n\
         b,Beta SE,2001,,2026-05-01\n\
         a,Alpha,,,\n",
    );
    assert_eq!(strings(&batch, "name"), ["Alpha", "Beta", "Beta SE"]);
    assert_eq!(strings(&batch, "headcount"), ["", "10", "2001"]);
    assert_eq!(strings(&batch, "registered_on"), ["", "2026-02-02", "2026-02-02"]);
    assert_eq!(strings(&batch, "valid_from"), ["0001-01-01", "2026-03-01", "2026-05-01"]);
    assert_eq!(strings(&batch, "valid_until"), ["9999-12-31", "2026-04-30", "9999-12-31"]);
}

#[test]
fn the_last_row_of_a_campaign_wins() {
    let batch = batch_of("campaigns", "campaign,cost,streak_days\nc,1.5,1\nb,,\nc,2.25,0\n");
    assert_eq!(strings(&batch, "campaign"), ["b", "c"]);
    assert_eq!(strings(&batch, "cost"), ["", "2.25"]);
    assert_eq!(strings(&batch, "streak_days"), ["", "0"]);
}

#[test]
fn stages_are_read_whatever_is_beside_them() {
    let apps = "app_id,stage\na, store ;flow\nb,keep;decide\n,store\nc,keep\n";
    assert_eq!(strings(&batch_of("apps", apps), "stage"), [";store;flow;", ";decide;", ";"]);
    let told = load_text("apps", apps).expect("tables");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].contains("no stage") && told[1].ends_with("(`keep` in line 3, `keep` in line 5)"), "{told:?}");
    assert!(told[0].ends_with("left out rows without app_id (line 4)"), "{told:?}");
}

#[test]
fn good_files_are_read_in_silence() {
    for (kind, header, row) in KINDS {
        check_told(kind, format!("{header}\n{row}\n"), None);
        check_told(kind, format!("\u{feff}{header}\r\n{row}\r\n"), None);
        check_told(kind, format!("{header}\n\n{row}"), None);
    }
    check_told("orgs", "org_id\na\n", None);
    check_told("orgs", format!("{},color\n{},red\n", KINDS[4].1, KINDS[4].2), None);
}

#[test]
fn files_that_are_none_are_refused() {
    for (kind, header, row) in KINDS {
        let key = header.split(',').next().expect("a key");
        check_refused(kind, "", &[key, "it is empty"]);
        check_refused(kind, "\n\n", &[key, "it is empty"]);
        check_refused(kind, header.replacen(key, "id", 1), &[&format!("no column `{key}`"), "it has `id` instead"]);
        check_refused(kind, header.replace(',', ";"), &[&format!("no column `{key}`"), &header.replace(',', ";")]);
        let second = header.split(',').nth(1).expect("a column");
        check_refused(kind, format!("{header},{second}\n{row},\n"), &[second, "twice"]);
        check_refused(kind, format!("\u{feff}{key},{header}\n"), &[key, "twice"]);
        check_refused(kind, format!("{header}\n{row}\n{row},\n"), &["line 3", "number of fields"]);
        check_refused(kind, format!("{header}\nx\n"), &["line 2", "number of fields"]);
        check_refused(kind, format!("{header}\n\"{row}\n{row}\n"), &["line 2", "close each quote"]);
        check_refused(kind, [header.as_bytes(), b"\n\xff", row.as_bytes()].concat(), &["line 2", "not UTF-8"]);
        check_refused(kind, b"\x1f\x8b\x08\x00", &["line 1", "not UTF-8"]);
    }
}

#[test]
fn files_that_cannot_be_opened_are_a_matter_of_settings() {
    let folder = tempfile::tempdir().expect("a folder");
    for (kind, ..) in KINDS {
        for path in [folder.path(), &folder.path().join("gone.csv")] {
            let error = load(kind, path).expect_err("must be refused");
            assert!(matches!(error, Error::Definition(_)), "{error}");
            assert!(error.to_string().contains("check [dimensions]"), "{error}");
        }
    }
    let path = folder.path().join("text.PARQUET");
    std::fs::write(&path, "org_id\na\n").expect("a file");
    assert!(load("orgs", &path).expect_err("refused").to_string().contains("cannot read it as Parquet"));
}

#[test]
fn wrong_values_are_named_with_their_line() {
    let check = |kind: &str, column: &str, values: &[&str], advice: &str| {
        let (_, header, _) = KINDS.iter().find(|(name, ..)| *name == kind).expect("a kind");
        let (key, good) =
            (header.split(',').next().expect("a key"), if kind == "calendar" { "2026-03-02" } else { "k" });
        for value in values {
            let (header, row) = if kind == "calendar" && column != "kind" {
                (format!("{key},kind,{column}"), format!("{good},term,\"{value}\""))
            } else {
                (format!("{key},{column}"), format!("{good},\"{value}\""))
            };
            check_refused(kind, format!("{header}\n{row}\n"), &["line 2", &format!("{column}=`{value}`"), advice]);
        }
    };
    let days = [
        "2026-02-30",
        "2026-1-1",
        "20260101",
        "2026-01-01 ",
        "2026-01-01T10:00:00",
        "NULL",
        "0000-12-31",
        "1700000000",
    ];
    for (kind, column) in [
        ("apps", "valid_from"),
        ("calendar", "last_day"),
        ("campaigns", "start_on"),
        ("campaigns", "end_on"),
        ("orgs", "registered_at"),
        ("orgs", "valid_from"),
        ("users", "registered_at"),
    ] {
        check(kind, column, &days, "ISO date");
    }
    let counts = ["-5", "1.5", "1,000", "n/a", " 7", "10000000000", "99999999999999999999"];
    check("orgs", "headcount", &counts, "whole number from 0");
    check("campaigns", "streak_days", &counts, "whole number from 0");
    let amounts = ["1.234", "1,000.00", "-5", "1e3", ".5", "€5", "1000000000000"];
    check("campaigns", "cost", &amounts, "at most two decimals");
    check("campaigns", "reward_per_completion", &amounts, "at most two decimals");
    check("calendar", "kind", &["Holiday", "feast"], "holiday, work_day or term");
    check_refused(
        "campaigns",
        "campaign,start_on,end_on\nc,2026-03-02,2026-03-01\n",
        &["line 2", "end_on", "before start_on"],
    );
    check_refused("calendar", "first_day,kind,last_day\n2026-03-02,term,2026-03-01\n", &["line 2", "before first_day"]);
}

#[test]
fn repeated_keys_are_resolved_and_told() {
    let same_day = "org_id,valid_from\na,2026-01-01\nb,\na,2026-01-01\nb,0001-01-01\na,2026-01-02\n";
    check_told("orgs", same_day, Some("the last holds (`a`: line 4 over line 2, `b`: line 5 over line 3)"));
    check_told("apps", "app_id\nx\nx\n", Some("same app_id and valid_from the last holds (`x`: line 3 over line 2)"));
    check_told("campaigns", "campaign\nc\nd\nc\n", Some("the last holds (`c`: line 4 over line 2)"));
    let lists = "list,account,org_id\nl,one,a\nl,one,b\nl,one,a\n";
    check_told("account_lists", lists, Some("there already (`l`, `one`: line 4 as line 2)"));
    let many = format!("user_id\n{}", "u\n".repeat(10));
    check_told(
        "users",
        many,
        Some("(`u`: line 3 over line 2, `u`: line 4 over line 3, `u`: line 5 over line 4 and 6 more)"),
    );
}

#[test]
fn what_looks_like_a_slip_is_told() {
    for (kind, header, row) in KINDS {
        check_told(kind, header, Some("it has no rows"));
        let key = header.split(',').next().expect("a key");
        let no_key = row.replacen(row.split(',').next().expect("a value"), "", 1);
        check_told(kind, format!("{header}\n{no_key}\n"), Some(&format!("left out rows without {key} (line 2)")));
    }
    check_told("orgs", "org_id,headcont\na,5\n", Some("`headcount`"));
    check_told("orgs", "org_id,Name\na,5\n", Some("and with `Name`"));
}

fn parquet(folder: &Path, columns: Vec<(&str, ArrayRef)>) -> std::path::PathBuf {
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let file =
        write_files(folder, None, &batch.schema(), &[], Packing::Fast, [Ok(batch)]).expect("a file").expect("rows");
    folder.join(file.path)
}

#[test]
fn parquet_files_read_like_csv() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |column: &str, values: ArrayRef, expected: [&str; 2]| {
        let path = parquet(folder.path(), vec![("org_id", text(["a", "b"])), (column, values)]);
        let batch = orgs(Some(&path), Tz::Asia__Shanghai, &mut Notes::default()).expect("orgs");
        let column = if column == "registered_at" { "registered_on" } else { column };
        assert_eq!(strings(&batch, column), expected);
    };
    check("headcount", Arc::new(Int64Array::from(vec![Some(5), None])), ["5", ""]);
    check("headcount", Arc::new(Float64Array::from(vec![Some(5.0), None])), ["5", ""]);
    check("name", Arc::new(Float64Array::from(vec![1.0, 1.5])), ["1", "1.5"]);
    let names = cast(&text(["x", "y"]), &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)));
    check("name", names.expect("a dictionary"), ["x", "y"]);
    let day = parse_day("2026-01-02").expect("a day");
    check("registered_at", Arc::new(Date32Array::from(vec![Some(day), None])), ["2026-01-02", ""]);
    let day_ms = i64::from(day) * 86_400_000;
    check("registered_at", Arc::new(Date64Array::from(vec![Some(day_ms), None])), ["2026-01-02", ""]);
    let evening = TimestampMicrosecondArray::from(vec![Some(day_ms * 1000 + 57_600_000_000), None]);
    check("registered_at", Arc::new(evening.with_timezone("UTC")), ["2026-01-03", ""]);
}

#[test]
fn parquet_types_that_say_nothing_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |column: &str, values: ArrayRef, expected: &[&str]| {
        let path = parquet(folder.path(), vec![("user_id", text(["a"])), (column, values)]);
        let message = load("users", &path).expect_err("must be refused").to_string();
        for part in expected.iter().chain(&[column]) {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    };
    check("registered_at", Arc::new(TimestampMicrosecondArray::from(vec![0])), &["without a zone", "adjusted to UTC"]);
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]);
    check("role", Arc::new(list), &["is of type List"]);
    check("role", Arc::new(BinaryArray::from(vec![&b"x"[..]])), &["is of type Binary"]);
    check("registered_at", Arc::new(Int64Array::from(vec![-1])), &["row 1", "`-1`", "ISO date"]);
    check("registered_at", Arc::new(BooleanArray::from(vec![true])), &["row 1", "`true`", "ISO date"]);
    let path = parquet(folder.path(), vec![("user_id", text(["a", "b"])), ("is_internal", text(["yes", "1"]))]);
    let users = read_users(&DimensionSettings { users: Some(path), ..DimensionSettings::default() }, Tz::UTC);
    let users = users.expect("users");
    assert_eq!(users.internal().into_iter().collect::<Vec<_>>(), ["b"]);
    assert!(users.notes.sentences()[0].ends_with("counts as false (`yes` in row 1)"));
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

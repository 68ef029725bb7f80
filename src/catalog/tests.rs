//! What the catalog takes, what it refuses and in which words.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;

/// A `query.toml` that is right, over the given tables.
fn toml(reads: &str) -> String {
    format!(
        r#"title = "Active users"
description = "Users active on a day."
owner = "analytics"
kind = "sql"
reads = [{reads}]
key = ["day"]

[[column]]
name = "day"
type = "date"
description = "The day."

[[column]]
name = "users"
type = "integer"
unit = "users"
description = "Distinct users."
checks = {{ min = 0 }}
"#
    )
}

/// A user's folder with files by their path below it.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    root
}

/// The catalog of these files alone, without the built-in queries.
fn read(files: &[(&str, &str)]) -> Result<Catalog> {
    let root = folder(files);
    Catalog::of(root.path())
}

const SQL: &str = "SELECT day, count(*) AS users FROM days GROUP BY day ORDER BY day";

#[test]
fn a_folder_becomes_a_typed_query() {
    let case =
        "why = \"one\"\nas_of = \"2026-03-01\"\nnow = \"2026-04-01T00:00:00+02:00\"\n[settings.dag]\nmin_apps = 2\n";
    let catalog = read(&[
        ("metrics/dau/query.toml", &toml("\"days\"")),
        ("metrics/dau/query.sql", SQL),
        ("metrics/dau/README.md", "ignored"),
        ("metrics/dau/cases/two/case.toml", "why = \"two\""),
        ("metrics/dau/cases/one/case.toml", case),
        ("metrics/dau/cases/one/events.10.csv", ""),
        ("metrics/dau/cases/one/events.9.jsonl", ""),
        ("metrics/dau/cases/one/orgs.csv", ""),
        ("metrics/dau/cases/one/expect.csv", "day,users\n"),
        ("metrics/.hidden/query.toml", "ignored"),
    ])
    .expect("a catalog");
    let query = catalog.get("dau").expect("the query");
    assert_eq!((query.group, query.title.as_str(), query.sql()), (Group::Metric, "Active users", Some(SQL)));
    assert_eq!(
        (query.reads.as_slice(), query.key.as_slice()),
        (["days".to_owned()].as_slice(), ["day".to_owned()].as_slice())
    );
    assert_eq!(query.columns[1].checks, Checks { min: Some(0), max: None, one_of: Vec::new() });
    let schema = query.schema();
    assert_eq!(schema.field(0), &Field::new("day", arrow::datatypes::DataType::Date32, false));
    assert_eq!(schema.field(1), &Field::new("users", arrow::datatypes::DataType::Int64, false));

    let names: Vec<_> = query.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    let one = &query.cases[0];
    assert_eq!(
        one.events.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(),
        ["events.9.jsonl", "events.10.csv"]
    );
    assert_eq!(one.dimensions.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(), ["orgs.csv"]);
    assert_eq!(one.as_of, crate::period::parse_day("2026-03-01"));
    assert_eq!(one.now.map(|now| now.to_rfc3339()), Some("2026-03-31T22:00:00+00:00".into()));
    assert!(one.settings.contains("min_apps = 2"));
    assert!(one.has_expect && !query.cases[1].has_expect);
}

fn check_refused(files: &[(&str, &str)], expected: &[&str]) {
    let error = read(files).expect_err("must be refused");
    assert_eq!(error.exit_code(), 4, "{error}");
    for part in expected {
        assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
    }
}

/// A catalog of one metric whose right definition has one text changed.
fn check_toml_refused(from: &str, to: &str, expected: &[&str]) {
    let right = toml("\"days\"");
    assert!(right.contains(from), "{from:?} is not in the definition");
    let wrong = right.replacen(from, to, 1);
    check_refused(&[("metrics/dau/query.toml", &wrong), ("metrics/dau/query.sql", SQL)], expected);
}

#[test]
fn a_wrong_definition_is_refused_with_file_line_and_what_is_allowed() {
    let check = check_toml_refused;
    check("owner", "ownr", &["dau/query.toml", "line 3", "ownr", "`owner`"]);
    check("key = [\"day\"]", "key = [\"day\"]\neach = \"year\"", &["each=`year`", "`month`"]);
    check(
        "key = [\"day\"]",
        "key = [\"day\"]\nlooks_back = { hours = 3 }",
        &["line 7", "`hours` is not among `reads`"],
    );
    check("key = [\"day\"]", "key = [\"day\"]\nlooks_ahead = 3", &["`looks_ahead`", "each=`month`"]);
    check(
        "key = [\"day\"]",
        "key = [\"day\"]\neach = \"month\"\nlooks_back = \"ever\"",
        &["`ever`", "number of days", "`all`"],
    );
    check(
        "key = [\"day\"]",
        "key = [\"day\"]\neach = \"month\"\nlooks_back = -1",
        &["line 8", "a number of days, `all`"],
    );
    check("key = [\"day\"]", "key = [\"users\"]\neach = \"month\"", &["each=`month` needs a date"]);
    check("unit", "units", &["line 16", "units", "`unit`"]);
    check("min = 0", "minimum = 0", &["line 18", "minimum", "`min`"]);
    check("title = \"Active users\"\n", "", &["missing field `title`"]);
    check("title = \"Active users\"", "title = \" \"", &["query.toml, line 1", "`title` is empty"]);
    check("\"Users active on a day.\"", "\"\"", &["line 2", "`description` is empty"]);
    check("\"analytics\"", "\"\"", &["line 3", "`owner` is empty"]);
    check("\"The day.\"", "\"\"", &["line 11", "`description` is empty"]);
    check("description = \"The day.\"", "", &["line 8", "missing field `description`"]);
    check("\"integer\"", "\"float\"", &["line 15", "float", "integer", "seconds"]);
    check("\"users\"", "\"day\"", &["line 14", "column `day` is there twice"]);
    check("name = \"users\"", "name = \"Users\"", &["line 14", "`Users`", "a-z"]);
    check("key = [\"day\"]", "key = [\"week\"]", &["line 6", "key=`week`", "day, users"]);
    check("key = [\"day\"]", "key = []", &["line 6", "`key` is empty"]);
    check("key = [\"day\"]", "key = [\"day\", \"day\"]", &["line 6", "twice"]);
    check("key = [", "from = \"week\"\nkey = [", &["line 6", "from=`week`", "there are: day"]);
    check("key = [", "from = \"users\"\nkey = [", &["line 6", "from=`users`", "type date"]);
    check("\"days\"", "\"days\", \"days\"", &["line 5", "reads=`days`", "twice"]);
    check("kind = \"sql\"", "kind = \"python\"", &["line 4", "python", "frame"]);
    check("kind = \"sql\"", "kind = \"frame\"", &["line 4", "no query.sql"]);
    check("key = [", "job = { name = \"retention\" }\nkey = [", &["line 6", "[job]"]);
    check("min = 0", "min = 0.5", &["line 18", "`users`", "min=`0.5`"]);
    check("min = 0", "one_of = [\"a\"]", &["line 18", "`one_of`", "text"]);
    check(
        "description = \"The day.\"",
        "description = \"The day.\"\nchecks = { max = 1 }",
        &["line 12", "date", "`max`"],
    );
}

#[test]
fn sql_and_reads_must_agree() {
    check_toml_refused("[\"days\"]", "[]", &["dau/query.sql", "table `days`", "not in `reads`"]);
    check_toml_refused("[\"days\"]", "[\"days\", \"orgs\"]", &["reads=`orgs`", "not used"]);
    let files = |sql| [("metrics/dau/query.toml", toml("\"days\"")), ("metrics/dau/query.sql", String::from(sql))];
    for (sql, expected) in
        [("SELECT day FRM days", "query.sql"), ("DELETE FROM days", "only a SELECT"), ("", "one statement")]
    {
        let files = files(sql);
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        check_refused(&files, &["dau/query.sql", expected]);
    }
}

#[test]
fn a_folder_must_hold_what_its_kind_needs() {
    let sql = toml("\"days\"");
    let frame = sql.replace("\"sql\"", "\"frame\"");
    let frame = frame.replace("\"days\"", "\"events\", \"excluded_actions\", \"excluded_apps\", \"users\"");
    let job = |name: &str| format!("{frame}\n[job]\nname = \"{name}\"\nentity = \"user\"\nmin_events = 2\n");
    check_refused(&[("metrics/dau/query.toml", &sql)], &["metrics/dau", "needs a file query.sql"]);
    check_refused(&[("metrics/dau/query.sql", SQL)], &["metrics/dau", "no query.toml"]);
    check_refused(&[("metrics/dau/query.toml", &frame)], &["line 4", "[job]"]);
    check_refused(&[("metrics/dau/query.toml", &job("dream"))], &["`dream` is no job", "retention"]);
    check_refused(&[("metrics/Dau/query.toml", &sql), ("metrics/Dau/query.sql", SQL)], &["metrics/Dau", "a-z"]);
    check_refused(&[("metric/dau/query.toml", &sql)], &["`metric` is none of them", "metrics/"]);
    let catalog = read(&[("metrics/dau/query.toml", &job("retention"))]).expect("a frame");
    let kept = catalog.get("dau").and_then(Query::job).expect("a job");
    assert_eq!(kept.written.get("entity").map(String::as_str), Some("\"user\""));
    let reads = job("retention").replace("\"users\"", "\"days\"");
    check_refused(&[("metrics/dau/query.toml", &reads)], &["line 5", "reads=`days`", "it reads: events, "]);
    let reads = job("retention").replace(", \"users\"", "");
    check_refused(&[("metrics/dau/query.toml", &reads)], &["line 20", "table `users`", "not in `reads`"]);
    let wrong = job("retention").replace("\"user\"", "\"app\"");
    check_refused(&[("metrics/dau/query.toml", &wrong)], &["line 22", "entity=`app`", "dag, org, user"]);
}

#[test]
fn what_is_cut_by_month_says_how_far_it_looks() {
    let by_month = |more: &str| toml("\"days\"").replace("key = [", &format!("each = \"month\"\n{more}key = ["));
    let window = |text: &str| {
        let catalog = read(&[("metrics/dau/query.toml", text), ("metrics/dau/query.sql", SQL)]).expect("a catalog");
        let window = &catalog.get("dau").expect("the query").window;
        (window.by_month, window.back("days"), window.ahead)
    };
    assert_eq!(window(&by_month("")), (true, Some(0), 0));
    assert_eq!(window(&by_month("looks_back = 27\nlooks_ahead = 6\n")), (true, Some(27), 6));
    assert_eq!(window(&by_month("looks_back = \"all\"\n")), (true, None, 0));
    assert_eq!(window(&by_month("looks_back = { days = 3 }\n")), (true, Some(3), 0));
    assert_eq!(window(&by_month("looks_back = { days = \"all\" }\n")), (true, None, 0));
    let whole = |more: &str| toml("\"days\"").replace("key = [", &format!("{more}key = ["));
    assert_eq!(window(&whole("")), (false, None, 0));
    assert_eq!(window(&whole("looks_back = 27\n")), (false, Some(27), 0));
    assert_eq!(window(&whole("looks_back = { days = 0 }\n")), (false, Some(0), 0));

    let sql = "SELECT day, count(*) AS users FROM days WHERE day >= $from_month GROUP BY day ORDER BY day";
    let whole = toml("\"days\"");
    check_refused(
        &[("metrics/dau/query.toml", &whole), ("metrics/dau/query.sql", sql)],
        &["query.sql", "`$from_month`"],
    );
    let text = by_month("");
    read(&[("metrics/dau/query.toml", &text), ("metrics/dau/query.sql", sql)]).expect("a catalog");

    let job = |back: &str, keys: &str| {
        let frame = by_month(back).replace("\"sql\"", "\"frame\"").replace("\"days\"", "\"activity_calendar\"");
        read(&[
            ("metrics/dau/query.toml", &format!("{frame}\n[job]\n{keys}\n")),
            ("states/activity_calendar/query.toml", &whole),
            ("states/activity_calendar/query.sql", SQL),
        ])
    };
    let trailing = |windows: &str| format!("name = \"trailing_activity\"\nwindows = {windows}");
    job("looks_back = 31\n", &trailing("[7, 28]")).expect("enough");
    job("looks_back = \"all\"\n", &trailing("[365]")).expect("enough");
    for (back, windows, needed) in
        [("looks_back = 30\n", "[28]", 31), ("", "[2]", 31), ("looks_back = 364\n", "[365]", 394)]
    {
        let error = job(back, &trailing(windows)).expect_err("too little").to_string();
        assert!(error.contains(&format!("needs looks_back={needed} or more")), "{error}");
    }
    let error = job("looks_back = { activity_calendar = 31 }\n", &trailing("[7]")).expect_err("a table").to_string();
    assert!(error.contains("line 7") && error.contains("write one number"), "{error}");
    let error = job("looks_back = \"all\"\n", "name = \"stickiness\"").expect_err("the whole history").to_string();
    assert!(error.contains("line 6") && error.contains("needs the whole history"), "{error}");
}

/// A metric `dau` and evidence behind it, with one text of the evidence changed.
fn read_evidence(from: &str, to: &str) -> Result<Catalog> {
    let metric = toml("\"days\"");
    let more = "\n[[argument]]\nname = \"org_id\"\ntype = \"text\"\ndescription = \"It.\"\n\
        \n[[behind]]\nof = \"dau\"\non = [\"day\"]\nrows = \"users\"\n";
    let right = metric.clone() + more;
    assert!(right.contains(from), "{from:?} is not in the definition");
    let evidence = right.replacen(from, to, 1);
    read(&[
        ("metrics/dau/query.toml", &metric),
        ("metrics/dau/query.sql", SQL),
        ("evidence/dau_orgs/query.toml", &evidence),
        ("evidence/dau_orgs/query.sql", "SELECT day FROM days WHERE day = $day OR $org_id IS NULL"),
    ])
}

#[test]
fn evidence_says_what_it_is_behind_of_and_how_it_adds_up() {
    let catalog = read_evidence("rows", "rows").expect("a catalog");
    let (query, behind) = catalog.behind("dau").next().expect("evidence");
    assert_eq!((query.name.as_str(), behind.ties.len(), query.arguments[0].optional), ("dau_orgs", 1, false));
    let check = |from: &str, to: &str, expected: &[&str]| {
        let error = read_evidence(from, to).expect_err("must be refused");
        assert_eq!(error.exit_code(), 4, "{error}");
        assert!(expected.iter().all(|part| error.to_string().contains(part)), "{expected:?} are not in: {error}");
    };
    check("of = \"dau\"", "of = \"days\"", &["dau_orgs/query.toml", "`days`", "no metric and no evidence"]);
    check("of = \"dau\"", "of = \"dau_orgs\"", &["in a circle over `dau_orgs`"]);
    check("on = [\"day\"]", "on = [\"week\"]", &["line 2", "on=`week`"]);
    check("rows = \"users\"", "", &["behind `dau`", "rows, counts, sums, distinct, same or named"]);
    check("rows = \"users\"", "rows = \"user\"", &["ties to `user`", "`dau`"]);
    check("rows = \"users\"", "counts = { users = \"users\" }", &["`users`", "of type boolean"]);
    check("rows = \"users\"", "sums = { day = \"users\" }", &["`day`", "of type integer"]);
    check("rows = \"users\"", "rows = \"users\"\nnumbers = [\"mau\"]", &["`mau` is no column of `dau`"]);
    check("\"org_id\"", "\"user_id\"", &["argument `user_id`", "query.sql does not name it"]);
    check("kind = \"sql\"", "kind = \"sql\"\neach = \"month\"", &["`each` is for what is kept"]);
    check("kind = \"sql\"", "kind = \"sql\"\nlooks_back = 3", &["`looks_back` is for what is kept"]);
    check("kind = \"sql\"", "kind = \"sql\"\nnumber = \"users\"", &["`number` is for metrics"]);
    check("kind = \"sql\"", "kind = \"sql\"\nposition = 1", &["`position` is for sections of the card"]);
}

#[test]
fn only_what_is_asked_reads_views_and_nobody_reads_what_is_asked() {
    check_chain_refused(&[("views/v", &["days"]), ("metrics/a", &["v"])], &["metrics/a", "reads=`v`"]);
    read_chain(&[("views/w", &["days"]), ("views/v", &["w"])]).expect("a view reads a view");
    check_toml_refused("owner", "number = \"day\"\nowner", &["number=`day`", "beside the key"]);
    let section = toml("\"days\"");
    check_refused(&[("org_card/s/query.toml", &section), ("org_card/s/query.sql", SQL)], &["needs `position`"]);
    check_refused(&[("evidence/s/query.toml", &section), ("evidence/s/query.sql", SQL)], &["needs [[behind]]"]);
}

#[test]
fn a_wrong_case_is_refused() {
    let check = |name: &str, text: &str, expected: &[&str]| {
        let files = [
            ("metrics/dau/query.toml", toml("\"days\"")),
            ("metrics/dau/query.sql", SQL.to_owned()),
            ("metrics/dau/cases/one/case.toml", "why = \"x\"".to_owned()),
            (name, text.to_owned()),
        ];
        check_refused(&files.each_ref().map(|(path, text)| (*path, text.as_str())), expected);
    };
    let case = "metrics/dau/cases/one/case.toml";
    check(case, "", &["one/case.toml", "missing field `why`"]);
    check(case, "\nwhy = \"\"", &["case.toml, line 2", "`why` is empty"]);
    check(case, "why = \"x\"\nasof = \"2026-01-01\"", &["line 2", "asof", "`as_of`"]);
    check(case, "why = \"x\"\nas_of = \"1.1.2026\"", &["line 2", "2000-01-31"]);
    check(case, "why = \"x\"\nnow = \"2026-01-01\"", &["line 2", "instant"]);
    check(case, "why = \"x\"\n[settings.dag]\nmin_app = 1", &["case.toml, [settings]", "min_app", "min_apps"]);
    check("metrics/dau/cases/one/event.csv", "", &["one/case.toml", "`event.csv`", "events.csv", "orgs.csv"]);
    check("metrics/dau/cases/one/events.0.csv", "", &["`events.0.csv`"]);
    check("metrics/dau/cases/two/events.csv", "", &["cases/two", "no case.toml"]);
    let twice = [
        ("metrics/dau/query.toml", toml("\"days\"")),
        ("metrics/dau/query.sql", SQL.to_owned()),
        (case, "why = \"x\"".to_owned()),
        ("metrics/dau/cases/one/events.1.csv", String::new()),
        ("metrics/dau/cases/one/events.1.jsonl", String::new()),
    ];
    check_refused(&twice.each_ref().map(|(path, text)| (*path, text.as_str())), &["batch 1"]);
}

/// Files of states and metrics that each read the given tables.
fn chain(queries: &[(&str, &[&str])]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for (path, reads) in queries {
        let quoted: Vec<_> = reads.iter().map(|name| format!("\"{name}\"")).collect();
        files.push((format!("{path}/query.toml"), toml(&quoted.join(", "))));
        files.push((format!("{path}/query.sql"), format!("SELECT * FROM {}", reads.join(" CROSS JOIN "))));
    }
    files
}

fn read_chain(queries: &[(&str, &[&str])]) -> Result<Catalog> {
    let files = chain(queries);
    read(&files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect::<Vec<_>>())
}

fn check_chain_refused(queries: &[(&str, &[&str])], expected: &[&str]) {
    let error = read_chain(queries).expect_err("must be refused");
    assert_eq!(error.exit_code(), 4, "{error}");
    for part in expected {
        assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
    }
}

#[test]
fn names_must_be_one_and_known() {
    check_chain_refused(
        &[("metrics/a", &["nowhere"])],
        &["metrics/a", "reads=`nowhere`", "events", "org_app_day", "days"],
    );
    check_chain_refused(
        &[("metrics/a", &["days"]), ("states/a", &["days"])],
        &["`a` is there twice", "states/", "metrics/"],
    );
    check_chain_refused(&[("metrics/orgs", &["days"])], &["`orgs`", "already"]);
    check_chain_refused(&[("rollups/week", &["events"])], &["rollups/week", "user_day, org_app_day, org_users_day"]);
    check_chain_refused(&[("rollups/user_day", &["s"]), ("states/s", &["days"])], &["rollups/user_day", "reads=`s`"]);
}

#[test]
fn a_circle_is_named() {
    check_chain_refused(&[("metrics/a", &["a"])], &["a reads a"]);
    let circle: &[(&str, &[&str])] =
        &[("metrics/x", &["a"]), ("states/a", &["b"]), ("states/b", &["c", "days"]), ("states/c", &["a"])];
    check_chain_refused(circle, &["a reads b reads c reads a"]);
}

#[test]
fn the_order_has_only_what_is_needed_and_inputs_first() {
    let catalog = read_chain(&[
        ("metrics/a", &["z", "days"]),
        ("metrics/b", &["y", "z", "user_day"]),
        ("metrics/c", &["b"]),
        ("states/y", &["z"]),
        ("states/z", &["events"]),
        ("rollups/user_day", &["events"]),
    ])
    .expect("a catalog");
    let check = |wanted: &[&str], expected: &[&str]| {
        let order = catalog.order(wanted).expect("known names");
        assert_eq!(order.iter().map(|query| query.name.as_str()).collect::<Vec<_>>(), expected, "{wanted:?}");
    };
    check(&[], &[]);
    check(&["a"], &["z", "a"]);
    check(&["c"], &["z", "y", "b", "c"]);
    check(&["c", "a"], &["z", "y", "b", "c", "a"]);
    check(&["user_day"], &["user_day"]);
    let error = catalog.order(&["d"]).expect_err("no such metric");
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("there are: a, b, c"), "{error}");
}

#[test]
fn the_hash_sees_every_byte_of_a_definition_and_no_order() {
    let hash = |sql: &str, wanted: &[&str]| {
        let mut files = chain(&[("metrics/a", &["days"]), ("metrics/b", &["days"])]);
        files[1].1 = sql.to_owned();
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let catalog = read(&files).expect("a catalog");
        catalog.hash(catalog.order(wanted).expect("known names"))
    };
    assert_eq!(hash("SELECT * FROM days", &["a", "b"]), hash("SELECT * FROM days", &["b", "a"]));
    assert_ne!(hash("SELECT * FROM days", &["a"]), hash("SELECT * FROM days ", &["a"]));
    assert_ne!(hash("SELECT * FROM days", &["a"]), hash("SELECT * FROM days", &["b"]));
    assert_eq!(hash("SELECT * FROM days", &["b"]), hash("SELECT * FROM days ", &["b"]));
    assert_eq!(hash("SELECT * FROM days", &["a"]).len(), 64);
}

#[test]
fn the_built_in_queries_are_right_and_a_user_folder_adds_to_them() {
    let built_in = Catalog::read(None).expect("the built-in queries");
    let root = folder(&[("metrics/my_own/query.toml", &toml("\"days\"")), ("metrics/my_own/query.sql", SQL)]);
    let both = Catalog::read(Some(root.path())).expect("both");
    assert_eq!(both.queries().count(), built_in.queries().count() + 1);
    assert!(both.get("my_own").is_some() && built_in.get("my_own").is_none());
    let error = Catalog::read(Some(Path::new("no/such/folder"))).expect_err("no folder");
    assert!(error.to_string().contains("no/such/folder"), "{error}");
}

#[test]
fn a_user_folder_replaces_a_folder_as_a_whole() {
    let (one, two) = (
        folder(&[("metrics/dau/query.toml", "old"), ("metrics/dau/query.sql", "old")]),
        folder(&[("metrics/dau/query.toml", "new")]),
    );
    let mut all = folders::on_disk(one.path()).expect("one");
    all.extend(folders::on_disk(two.path()).expect("two"));
    let folder = &all[&(Group::Metric, "dau".to_owned())];
    assert_eq!(folder.text("query.toml").expect("text").map(|(text, _)| text).as_deref(), Some("new"));
    assert_eq!(folder.text("query.sql").expect("text"), None);
}

#[test]
fn the_dictionary_page_says_all() {
    let text = toml("\"days\"").replace("\"Distinct users.\"", "\"Distinct | users,\\nall of them.\"\noptional = true");
    let text = text.replace("key = [", "from = \"day\"\nkey = [");
    let catalog = read(&[
        ("metrics/dau/query.toml", &text),
        ("metrics/dau/query.sql", SQL),
        ("metrics/dau/cases/one/case.toml", "why = \"Shows one.\""),
        ("states/hidden/query.toml", &toml("\"days\"")),
        ("states/hidden/query.sql", SQL),
    ])
    .expect("a catalog");
    let page = docs(&catalog);
    for line in [
        "| [`dau`](#dau) | Active users | `day` |",
        "## dau",
        "**Active users.** Users active on a day.",
        "- Owner: analytics",
        "- Reads: `days`",
        "- `--from` leaves out rows by: `day`",
        "- Computed by: SQL",
        "| `day` | date |  | The day. |",
        "| `users` | integer, may be empty | users | Distinct \\| users, all of them. |",
        "Examples (1):",
        "- `one`: Shows one.",
    ] {
        assert!(page.lines().any(|found| found == line), "{line:?} is not in:\n{page}");
    }
    assert!(!page.contains("hidden"));
}

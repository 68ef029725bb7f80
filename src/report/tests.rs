//! What a report holds, and that it changes in one step whatever happens on the way.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray};
use tempfile::TempDir;

use super::publish::Step;
use super::*;
use crate::catalog::Catalog;
use crate::period::parse_day;
use crate::settings::Settings;
use crate::store::{Packing, Snapshot, write_files};

const TOML: &str = r#"
title = "t"
description = "d"
owner = "o"
kind = "sql"
reads = []
key = ["day"]
from = "day"
column = [
    { name = "day", type = "date", description = "d", optional = true },
    { name = "org", type = "text", description = "d" },
    { name = "users", type = "integer", description = "d", optional = true },
    { name = "is_complete", type = "boolean", description = "d" },
    { name = "stickiness", type = "rate", description = "d", optional = true },
    { name = "usage_seconds", type = "seconds", description = "d" },
    { name = "cost", type = "amount", description = "d" },
]
"#;

/// A catalog with the metrics `one` and `two`, and a folder for tables and reports.
struct World {
    catalog: Catalog,
    root: TempDir,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        for name in ["one", "two"] {
            let folder = root.path().join("queries/metrics").join(name);
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join("query.toml"), TOML).expect("a file");
            fs::write(folder.join("query.sql"), "SELECT 1").expect("a file");
        }
        let catalog = Catalog::of(&root.path().join("queries")).expect("a catalog");
        Self { catalog, root }
    }

    fn reports(&self) -> PathBuf {
        self.root.path().join("reports")
    }

    fn query(&self, name: &str) -> &Query {
        self.catalog.get(name).expect("the query")
    }

    /// A table of the metrics' shape: a row for each day, with this text.
    fn table(&self, days: &[Option<i32>], org: &str) -> TableFiles {
        let schema = self.query("one").schema();
        let rows = days.len();
        let decimals = |value: i128, scale| -> ArrayRef {
            let array = Decimal128Array::from(vec![value; rows]).with_precision_and_scale(38, scale);
            Arc::new(array.expect("a decimal"))
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Date32Array::from(days.to_vec())),
            Arc::new(StringArray::from(vec![org; rows])),
            Arc::new(Int64Array::from(vec![None; rows])),
            Arc::new(BooleanArray::from(vec![true; rows])),
            decimals(333_333, 6),
            decimals(86_400_001, 3),
            decimals(1250, 2),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).expect("a batch");
        let root = tempfile::tempdir_in(self.root.path()).expect("a folder").keep();
        let file = write_files(&root, None, &schema, &["day"], Packing::Fast, [Ok(batch)]).expect("a file");
        TableFiles {
            name: "one".into(),
            root,
            schema,
            by_day: false,
            sort_key: vec!["day".into()],
            version: None,
            files: file.into_iter().collect(),
        }
    }

    fn head(&self, store: i64) -> Head {
        let snapshot = Snapshot { tables: BTreeMap::new(), last_batch: 0, rollups_from: None, rollups_who: None };
        let hash = self.catalog.hash(self.catalog.queries());
        let range = parse_day("2026-02-01").zip(parse_day("2026-03-01"));
        let mut head = Head::new(&Settings::default(), &snapshot, range, None, hash).expect("a head");
        head.store.insert("events".into(), store);
        head
    }

    fn order(&self, store: i64) -> Order {
        Order {
            head: self.head(store),
            definitions: ["one", "two"].map(|name| (name.to_owned(), format!("hash of {name}"))).into(),
            partial: false,
        }
    }

    /// Publishes tables, each under the name of its metric.
    fn try_publish(&self, day: &str, pages: &[(&str, &TableFiles)], order: &Order) -> Result<Published> {
        let (draft, written) = self.draft(pages, order);
        draft.publish(day, order, written)
    }

    fn draft(&self, pages: &[(&str, &TableFiles)], order: &Order) -> (Draft, Vec<Written>) {
        let draft = Draft::open(&self.reports(), order.head.from).expect("a draft");
        let page = |&(name, table): &(&str, _)| {
            draft.write(Page { query: self.query(name), table, definition: &order.definitions[name] }).expect("a file")
        };
        let written = pages.iter().map(page).collect();
        (draft, written)
    }

    fn publish(&self, day: &str, pages: &[(&str, &TableFiles)], store: i64) -> Published {
        self.try_publish(day, pages, &self.order(store)).expect("a report")
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.reports().join(folder))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.reports().join(path)).expect("a file")
    }
}

const DAY: &str = "2026-03-01";

#[test]
fn a_table_becomes_csv() {
    let world = World::new();
    let bytes = |table: &TableFiles, from: Option<&str>| {
        let mut bytes = Vec::new();
        let rows = table.files.iter().flat_map(|file| csv::rows_of(table.root.join(&file.path)).expect("a file"));
        let rows = write_csv(world.query("one"), rows, from.and_then(parse_day), &mut bytes).expect("CSV");
        (rows, String::from_utf8(bytes).expect("UTF-8"))
    };
    let header = "day,org,users,is_complete,stickiness,usage_seconds,cost\n";
    let line = |day: &str| format!("{day},\"a,组\",,true,0.333333,86400.001,12.50\n");
    let table = world.table(&[None, Some(0), Some(1)], "a,组");
    assert_eq!(bytes(&table, None), (3, [header, &line(""), &line("1970-01-01"), &line("1970-01-02")].concat()));
    assert_eq!(bytes(&table, Some("1970-01-02")), (2, [header, &line(""), &line("1970-01-02")].concat()));
    let empty = world.table(&[], "");
    assert!(empty.files.is_empty());
    assert_eq!(bytes(&empty, None), (0, header.to_owned()));
}

#[test]
fn more_rows_than_fit_in_one_piece_are_all_there() {
    let world = World::new();
    let days: Vec<_> = (0..20_000).map(Some).collect();
    let table = world.table(&days, "an organisation with a name");
    world.publish(DAY, &[("one", &table)], 1);
    let text = world.text("2026-03-01/one.csv");
    let mut lines = text.lines().skip(1);
    for day in days.into_iter().flatten() {
        let line = lines.next().expect("a line");
        assert!(line.starts_with(&format!("{},an org", crate::period::format_day(day))), "{line}");
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn a_report_is_a_folder_with_a_manifest() {
    let world = World::new();
    let table = world.table(&[Some(0), Some(1)], "a");
    let published = world.publish(DAY, &[("one", &table), ("two", &table)], 7);
    assert_eq!(published.folder, world.reports().join(DAY));
    assert_eq!(world.names(DAY), [MANIFEST, "one.csv", "two.csv"]);
    let manifest = Manifest::read(&published.folder.join(MANIFEST)).expect("a manifest");
    assert_eq!(manifest, published.manifest);
    let entry = &manifest.files["one.csv"];
    let bytes = fs::read(published.folder.join("one.csv")).expect("a file");
    assert_eq!((entry.rows, entry.bytes), (2, bytes.len() as u64));
    assert_eq!(entry.sha256, format!("{:x}", Sha256::digest(&bytes)));
    assert_eq!(entry.definition, "hash of one");
    assert_eq!(manifest.head.store, BTreeMap::from([("events".to_owned(), 7)]));
    assert_eq!(manifest.head.as_of, parse_day(DAY));
    let text = world.text("2026-03-01/manifest.json");
    assert!(text.starts_with("{\n  \"format\": 1,\n  \"version\": "), "{text}");
    assert!(text.ends_with("}\n"), "{text}");
}

#[test]
fn a_second_run_gives_the_same_bytes() {
    let world = World::new();
    let table = world.table(&[Some(0), Some(1)], "a");
    let read = || ["manifest.json", "one.csv"].map(|name| world.text(&format!("{DAY}/{name}")));
    world.publish(DAY, &[("one", &table)], 7);
    let first = read();
    world.publish(DAY, &[("one", &table)], 7);
    assert_eq!(read(), first);
}

#[test]
fn a_full_report_replaces_all_files_of_its_day_and_leaves_others() {
    let world = World::new();
    let (old, new) = (world.table(&[Some(0)], "old"), world.table(&[Some(0)], "new"));
    world.publish("2026-02-28", &[("one", &old)], 1);
    world.publish(DAY, &[("one", &old), ("two", &old)], 1);
    world.publish(DAY, &[("one", &new)], 2);
    assert_eq!(world.names(DAY), [MANIFEST, "one.csv"]);
    assert!(world.text("2026-03-01/one.csv").contains("new"));
    assert!(world.text("2026-02-28/one.csv").contains("old"));
    assert_eq!(world.names(".published"), ["2026-02-28.1", "2026-03-01.2", "lock", "texts.json"]);
}

#[test]
fn latest_is_the_newest_day_not_the_last_run() {
    let world = World::new();
    let table = world.table(&[Some(0)], "a");
    let latest = || fs::read_link(world.reports().join("latest")).expect("a link");
    world.publish("no-events", &[("one", &table)], 1);
    assert_eq!(latest(), Path::new("no-events"));
    world.publish(DAY, &[("one", &table)], 1);
    assert_eq!(latest(), Path::new(DAY));
    world.publish("2026-02-28", &[("one", &table)], 1);
    assert_eq!(latest(), Path::new(DAY));
    world.publish("2026-03-02", &[("one", &table)], 1);
    assert_eq!(latest(), Path::new("2026-03-02"));
    assert_eq!(world.text("latest/one.csv"), world.text("2026-03-02/one.csv"));
}

#[test]
fn a_kill_at_any_step_leaves_the_old_report_or_the_new_one() {
    for killed_at in [Step::Drafted, Step::Shelved, Step::Linked, Step::Latest] {
        for first_is_there in [false, true] {
            let world = World::new();
            let (old, new) = (world.table(&[Some(0)], "old"), world.table(&[Some(0)], "new"));
            if first_is_there {
                world.publish(DAY, &[("one", &old), ("two", &old)], 1);
            }
            let order = world.order(2);
            let (draft, written) = world.draft(&[("one", &new), ("two", &new)], &order);
            let mut kill = |step| if step == killed_at { Err(Error::Internal("killed".into())) } else { Ok(()) };
            draft.publish_watched(DAY, &order, written, &mut kill).expect_err("killed");

            let is_new = killed_at >= Step::Linked;
            assert_eq!(world.reports().join(DAY).exists(), first_is_there || is_new, "{killed_at:?}");
            if first_is_there || is_new {
                let (expected, version) = if is_new { ("new", 2) } else { ("old", 1) };
                for name in ["one.csv", "two.csv"] {
                    assert!(world.text(&format!("{DAY}/{name}")).contains(expected), "{killed_at:?} {name}");
                }
                let manifest = Manifest::read(&world.reports().join(DAY).join(MANIFEST)).expect("a manifest");
                assert_eq!(manifest.head.store["events"], version, "{killed_at:?}");
            }

            world.publish(DAY, &[("one", &new)], 3);
            assert_eq!(world.names(DAY), [MANIFEST, "one.csv"]);
            assert_eq!(world.text("latest/one.csv"), world.text("2026-03-01/one.csv"));
            assert_eq!(
                world.names(".published").len(),
                3,
                "{killed_at:?}: one report, its texts and the lock are left"
            );
        }
    }
}

#[test]
fn a_kill_while_files_are_written_changes_nothing() {
    let world = World::new();
    let old = world.table(&[Some(0)], "old");
    world.publish(DAY, &[("one", &old)], 1);
    let half = world.reports().join(".published/draft");
    fs::create_dir(&half).expect("a folder");
    fs::write(half.join("one.csv"), "day,o").expect("a file");
    symlink("nowhere", world.reports().join(".published/link")).expect("a link");
    assert!(world.text("2026-03-01/one.csv").contains("old"));
    world.publish(DAY, &[("one", &world.table(&[Some(0)], "new"))], 2);
    assert!(world.text("2026-03-01/one.csv").contains("new"));
    assert_eq!(world.names(".published"), ["2026-03-01.2", "lock", "texts.json"]);
}

#[test]
fn a_reader_that_holds_the_folder_never_sees_a_mix() {
    let world = World::new();
    let tables = [world.table(&[Some(0)], "old"), world.table(&[Some(0)], "new")];
    world.publish(DAY, &[("one", &tables[0]), ("two", &tables[0])], 1);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0..40 {
                let table = &tables[turn % 2];
                world.publish(DAY, &[("one", table), ("two", table)], 1);
            }
            done.store(true, std::sync::atomic::Ordering::Release);
        });
        let mut seen = 0;
        while !done.load(std::sync::atomic::Ordering::Acquire) {
            // The link is always there; a folder that was replaced meanwhile is gone as a whole.
            let folder = fs::canonicalize(world.reports().join(DAY));
            let Ok(folder) = folder else { continue };
            let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
            if let (Some(one), Some(two)) = (read("one.csv"), read("two.csv")) {
                assert_eq!(one, two);
                seen += 1;
            }
        }
        assert!(seen > 0);
    });
}

#[test]
fn a_foreign_folder_is_not_replaced() {
    let world = World::new();
    let table = world.table(&[Some(0)], "a");
    fs::create_dir_all(world.reports().join(DAY)).expect("a folder");
    let error = world.try_publish(DAY, &[("one", &table)], &world.order(1)).expect_err("must be refused");
    assert_eq!(error.exit_code(), 5);
    assert!(error.to_string().contains("move it away"), "{error}");
}

#[test]
fn a_partial_run_over_the_same_inputs_joins_the_report() {
    let world = World::new();
    let (one, two) = (world.table(&[Some(0)], "one"), world.table(&[Some(0)], "two"));
    world.publish(DAY, &[("one", &one), ("two", &two)], 1);
    let whole = world.text("2026-03-01/manifest.json");
    let again = Order { partial: true, ..world.order(1) };
    world.try_publish(DAY, &[("two", &two)], &again).expect("a report");
    assert_eq!(world.names(DAY), [MANIFEST, "one.csv", "two.csv"]);
    assert_eq!(world.text("2026-03-01/manifest.json"), whole);
}

#[test]
fn a_partial_run_never_mixes_numbers_of_two_states() {
    let world = World::new();
    let table = world.table(&[Some(0)], "a");
    let partial = |store| Order { partial: true, ..world.order(store) };
    let publish = |order: &Order| world.try_publish(DAY, &[("two", &table)], order);
    let check_refused = |order: &Order, expected: &str| {
        let error = publish(order).expect_err("must be refused");
        assert!(error.to_string().contains(expected), "{expected:?} is not in: {error}");
        assert!(error.to_string().contains(DAY) && error.to_string().contains("run all metrics"), "{error}");
        assert_eq!(world.names(DAY), [MANIFEST, "one.csv"]);
    };
    // Without a report of the day, and over one that it replaces as a whole, a partial run stands alone.
    publish(&partial(1)).expect("a report");
    publish(&partial(2)).expect("a report");
    assert_eq!(world.names(DAY), [MANIFEST, "two.csv"]);

    world.publish(DAY, &[("one", &table)], 1);
    check_refused(&partial(2), "state of the store");
    let mut order = partial(1);
    order.head.settings = "other".into();
    check_refused(&order, "settings");
    let mut order = partial(1);
    order.head.from = parse_day(DAY);
    check_refused(&order, "from");
    let mut order = partial(1);
    order.head.dimensions.insert("orgs".into(), "hash".into());
    check_refused(&order, "dimension files");
    let mut order = partial(1);
    order.definitions.insert("one".into(), "other".into());
    check_refused(&order, "definition of `one`");
    order.definitions.remove("one");
    check_refused(&order, "definition of `one`");
    // What differs only in the definition of what is replaced may join.
    let mut order = partial(1);
    order.definitions.insert("two".into(), "other".into());
    order.head.definitions = "other".into();
    publish(&order).expect("a report");
    assert_eq!(world.names(DAY), [MANIFEST, "one.csv", "two.csv"]);

    fs::write(world.reports().join(DAY).join("one.csv"), "tampered").expect("a file");
    let error = publish(&order).expect_err("must be refused");
    assert!(error.to_string().contains("sha256"), "{error}");
}

/// A table whose files can be taken away: what is written without one was copied.
struct Months<'a> {
    world: &'a World,
    table: TableFiles,
}

impl Months<'_> {
    fn path(&self, month: usize) -> PathBuf {
        self.table.root.join(&self.table.files[month].path)
    }

    /// The table with these of its months.
    fn of(&self, months: &[usize]) -> TableFiles {
        let files = months.iter().map(|&month| self.table.files[month].clone()).collect();
        TableFiles { files, ..self.table.clone() }
    }

    /// The report of these months, of which some cannot be read.
    fn publish(&self, day: &str, months: &[usize], gone: &[usize], from: Option<Day>) -> Result<Published> {
        let away = |month: usize| self.path(month).with_extension("away");
        for &month in gone {
            fs::rename(self.path(month), away(month)).expect("taken away");
        }
        let mut order = self.world.order(1);
        order.head.from = from;
        let draft = Draft::open(&self.world.reports(), from).expect("a draft");
        let page = Page { query: self.world.query("one"), table: &self.of(months), definition: "hash of one" };
        let written = draft.write(page);
        for &month in gone {
            fs::rename(away(month), self.path(month)).expect("put back");
        }
        draft.publish(day, &order, vec![written?])
    }

    fn check(&self, day: &str, months: &[usize], gone: &[usize], from: Option<Day>) {
        let published = self.publish(day, months, gone, from).expect("a report");
        let (mut bytes, table) = (Vec::new(), self.of(months));
        let rows = table.files.iter().flat_map(|file| csv::rows_of(table.root.join(&file.path)).expect("a file"));
        let rows = write_csv(self.world.query("one"), rows, from, &mut bytes).expect("CSV");
        assert_eq!(self.world.text(&format!("{day}/one.csv")).as_bytes(), bytes, "{day}");
        let entry = &published.manifest.files["one.csv"];
        assert_eq!((entry.rows, entry.bytes), (rows, bytes.len() as u64), "{day}");
        assert_eq!(entry.sha256, format!("{:x}", Sha256::digest(&bytes)), "{day}");
    }
}

#[test]
fn a_report_begins_with_the_text_of_an_earlier_one() {
    let world = World::new();
    let tables = [0, 31, 59, 90].map(|day| world.table(&[Some(day), Some(day + 1)], "a"));
    let mut table = tables[0].clone();
    for other in &tables[1..] {
        let file = other.files[0].clone();
        fs::rename(other.root.join(&file.path), table.root.join(&file.path)).expect("moved");
        table.files.push(file);
    }
    let months = Months { world: &world, table };
    months.check("2026-03-01", &[0, 1], &[], None);
    months.check("2026-03-02", &[0, 1, 2], &[0, 1], None);
    // The same report again, and one with less.
    months.check("2026-03-02", &[0, 1, 2], &[0, 1, 2], None);
    months.check("2026-03-02", &[0, 1], &[0, 1], None);
    // What follows another beginning is written anew.
    months.check("2026-03-03", &[0, 2, 1], &[0], None);
    months.publish("2026-03-03", &[1, 2], &[1], None).expect_err("it begins in another way");
    months.check("2026-03-03", &[1, 2], &[], None);
    // A report without its first rows neither is a beginning nor has one.
    months.publish("2026-03-04", &[1, 2], &[1], Some(60)).expect_err("it begins in another way");
    months.check("2026-03-04", &[1, 2], &[], Some(60));
    months.publish("2026-03-04", &[1, 2], &[1], None).expect_err("there is no beginning");
    months.check("2026-03-04", &[1, 2], &[], None);
    // Nor is a text that was edited, cut or taken away.
    let text = world.reports().join("2026-03-04/one.csv");
    let whole = fs::read_to_string(&text).expect("a text");
    for edited in [Some(whole.replace("1970-02-01", "1970-02-0x")), Some(whole[..50].to_owned()), None] {
        match edited {
            Some(edited) => fs::write(&text, edited).expect("edited"),
            None => fs::remove_file(&text).expect("taken away"),
        }
        months.publish("2026-03-05", &[1, 2, 3], &[1], None).expect_err("it is another text");
        months.check("2026-03-04", &[1, 2, 3], &[], None);
        months.check("2026-03-04", &[1, 2], &[], None);
    }
    // A partial run moves the report to another folder, and its texts with it.
    months.check("2026-03-04", &[1, 2], &[1, 2], None);
    let partial = Order { partial: true, ..world.order(1) };
    world.try_publish("2026-03-04", &[("two", &months.table)], &partial).expect("a report");
    months.check("2026-03-05", &[1, 2, 3], &[1, 2], None);
    fs::write(world.reports().join(".published/texts.json"), "{").expect("broken");
    months.check("2026-03-05", &[1, 2, 3], &[], None);
    months.check("2026-03-05", &[1, 2, 3], &[1, 2, 3], None);
}

#[test]
fn rows_before_from_are_left_out() {
    let world = World::new();
    let first = parse_day("2026-02-01").expect("a day");
    let table = world.table(&[Some(first - 1), Some(first), Some(first + 1)], "a");
    let rows = |from: &str| {
        let mut order = world.order(1);
        order.head.from = parse_day(from);
        world.try_publish(DAY, &[("one", &table)], &order).expect("a report").manifest.files["one.csv"].rows
    };
    // A week that began before the first observed day is left out by that day, too.
    assert_eq!([rows("2026-01-01"), rows("2026-02-01"), rows("2026-02-02"), rows("2026-02-03")], [3, 2, 1, 0]);
}

#[test]
fn dimension_files_are_part_of_the_head() {
    let world = World::new();
    let snapshot = Snapshot { tables: BTreeMap::new(), last_batch: 0, rollups_from: None, rollups_who: None };
    let mut settings = Settings::default();
    let path = world.root.path().join("orgs.csv");
    fs::write(&path, "abc").expect("a file");
    settings.dimensions.orgs = Some(path);
    let head = Head::new(&settings, &snapshot, None, None, String::new()).expect("a head");
    assert_eq!(head.dimensions["orgs"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(head.as_of, None);
}

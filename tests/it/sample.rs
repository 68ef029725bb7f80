//! The real binary on `sample-data`: each format must give the reports that are kept there.

use std::fs;
use std::path::Path;

use crate::binary::{Desk, files};

fn check_format(format: &str) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data");
    let (settings, logs) = (sample.join("orgpulse.toml"), sample.join("logs").join(format));
    let settings = settings.to_str().expect("a path");
    let desk = Desk::new();
    let places = ["--settings", settings, "--store", "store", "--reports", "reports", "--json"];
    let run = |rest: &[&str]| desk.ok(&[&places[..], rest].concat());

    let report: serde_json::Value =
        serde_json::from_str(&run(&["ingest", logs.to_str().expect("a path")])).expect("JSON");
    let total = ["read", "accepted", "duplicate", "rejected"].map(|count| report["total"][count].as_u64());
    assert_eq!(total, [33_177, 33_029, 65, 83].map(Some), "{format}");

    run(&["run"]);
    let mut found = files(&desk.path("reports/latest"));
    found.remove("manifest.json");
    let expected = files(&sample.join("reports"));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, content) in &expected {
        assert!(found[name] == *content, "{name} from {format} is not the one in sample-data/reports");
    }
}

#[test]
fn jsonl_gives_the_reports_that_are_kept() {
    check_format("jsonl");
}

#[test]
fn csv_gives_the_reports_that_are_kept() {
    check_format("csv");
}

#[test]
fn parquet_gives_the_reports_that_are_kept() {
    check_format("parquet");
}

#[test]
fn the_sample_stays_small() {
    fn bytes(folder: &Path) -> u64 {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        entries.map(|path| if path.is_dir() { bytes(&path) } else { fs::metadata(&path).expect("a file").len() }).sum()
    }
    assert!(bytes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data")) <= 5 << 20);
}

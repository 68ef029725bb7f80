//! What a result must be to get into a report; running queries is tested with an engine, in `tests/it`.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, StringArray, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::*;
use crate::catalog::Catalog;

/// The query `t` with these columns, written as in `query.toml`.
fn query(key: &str, columns: &[&str]) -> Query {
    let columns: Vec<_> = columns.iter().map(|column| format!("[[column]]\n{column}\ndescription = \"d\"\n")).collect();
    let columns = columns.concat();
    let toml = format!(
        "title = \"t\"\ndescription = \"d\"\nowner = \"o\"\nkind = \"sql\"\nreads = []\nkey = [{key}]\n{columns}"
    );
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("metrics/t");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("query.toml"), toml).expect("a file");
    fs::write(folder.join("query.sql"), "SELECT 1").expect("a file");
    Catalog::of(root.path()).expect("a catalog").get("t").expect("the query").clone()
}

const DAY: &str = "name = \"day\"\ntype = \"date\"";
const ORG: &str = "name = \"org_id\"\ntype = \"text\"";
const USERS: &str = "name = \"users\"\ntype = \"integer\"\nchecks = { min = 1, max = 5 }";

fn check_shape(found: &[(&str, DataType)], expected: &[&str]) {
    let query = query("\"day\"", &[DAY, ORG, USERS]);
    let fields: Vec<_> = found.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect();
    match shape::compare(&query, &Schema::new(fields)) {
        Ok(()) => assert!(expected.is_empty(), "nothing is wrong, expected was {expected:?}"),
        Err(error) => {
            assert_eq!(error.exit_code(), 4);
            let message = error.to_string();
            assert!(!expected.is_empty(), "{message}");
            for part in expected {
                assert!(message.contains(part), "{part:?} is not in: {message}");
            }
        }
    }
}

#[test]
fn another_shape_is_told_in_words() {
    use DataType::{Boolean, Date32, Dictionary, Int32, Int64, Utf8, Utf8View};
    let dictionary = Dictionary(Box::new(Int32), Box::new(Utf8));
    check_shape(&[("day", Date32), ("org_id", Utf8), ("users", Int64)], &[]);
    check_shape(&[("day", Date32), ("org_id", Utf8View), ("users", Int64)], &[]);
    check_shape(&[("day", Date32), ("org_id", dictionary), ("users", Int64)], &[]);
    check_shape(&[("day", Date32), ("org_id", Utf8)], &["metrics/t", "column `users` (integer) is missing"]);
    check_shape(
        &[("day", Date32), ("org_id", Utf8), ("users", Int32)],
        &["column `users` is Int32, declared is integer (Int64)"],
    );
    check_shape(
        &[("day", Date32), ("org_id", Int64), ("users", Boolean)],
        &["column `org_id` is Int64, declared is text (Utf8)", "; column `users` is Boolean"],
    );
    check_shape(
        &[("day", Date32), ("org_id", Utf8), ("users", Int64), ("dau", Int64)],
        &["column `dau` is not declared"],
    );
    check_shape(
        &[("day", Date32), ("users", Int64), ("org_id", Utf8)],
        &["the order is day, users, org_id, declared is day, org_id, users"],
    );
    check_shape(&[("day", Date32), ("org_id", Utf8), ("users", Int64), ("day", Date32)], &["column `day` comes twice"]);
}

type Row = (Option<i32>, Option<&'static str>, Option<i64>);

fn batch(rows: &[Row]) -> RecordBatch {
    let days: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Date32Array>());
    let orgs: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<StringViewArray>());
    let users: ArrayRef = Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>());
    RecordBatch::try_from_iter_with_nullable([("day", days, true), ("org_id", orgs, true), ("users", users, true)])
        .expect("a batch")
}

fn check_rows(columns: &[&str], batches: &[&[Row]], expected: &[&str]) {
    let mut checked = Checked::new(&query("\"day\", \"org_id\"", columns)).expect("a start");
    let result: Result<Vec<_>> = batches.iter().map(|rows| checked.check(&batch(rows))).collect();
    match result {
        Ok(_) => assert!(expected.is_empty(), "nothing is wrong, expected was {expected:?}"),
        Err(error) => {
            assert_eq!(error.exit_code(), 3);
            assert!(!expected.is_empty(), "{error}");
            for part in expected {
                assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
            }
        }
    }
}

#[test]
fn rows_must_be_in_the_order_of_the_key_and_unique() {
    let check = |batches: &[&[Row]], expected: &[&str]| check_rows(&[DAY, ORG, USERS], batches, expected);
    let row = |day, org| (Some(day), Some(org), Some(1));
    check(&[], &[]);
    check(&[&[]], &[]);
    check(&[&[row(1, ""), row(1, "a"), row(1, "aa"), row(1, "é"), row(2, "")]], &[]);
    check(&[&[row(-1, "a")], &[], &[row(0, "a")]], &[]);
    check(&[&[row(1, "b"), row(1, "a")]], &["day=`1970-01-02`, org_id=`a`", "out of order", "ORDER BY"]);
    check(&[&[row(1, "a"), row(0, "b")]], &["day=`1970-01-01`, org_id=`b`", "out of order"]);
    check(&[&[row(1, "a"), row(1, "a")]], &["day=`1970-01-02`, org_id=`a`", "comes twice"]);
    check(&[&[row(1, "a")], &[row(1, "a")]], &["comes twice"]);
    check(&[&[row(1, "a")], &[], &[row(0, "a")]], &["out of order"]);
}

#[test]
fn an_empty_key_stands_first() {
    let optional = format!("{DAY}\noptional = true");
    let check = |batches: &[&[Row]], expected: &[&str]| check_rows(&[&optional, ORG, USERS], batches, expected);
    check(&[&[(None, Some("a"), Some(1)), (Some(-9), Some("a"), Some(1))]], &[]);
    check(&[&[(Some(1), Some("a"), Some(1)), (None, Some("a"), Some(1))]], &["day=``, org_id=`a`", "out of order"]);
    check(&[&[(None, Some("a"), Some(1)), (None, Some("a"), Some(1))]], &["comes twice"]);
}

#[test]
fn values_must_be_there_and_in_bounds() {
    let check = |rows: &[Row], expected: &[&str]| check_rows(&[DAY, ORG, USERS], &[rows], expected);
    check(&[(Some(0), Some("a"), Some(1)), (Some(0), Some("b"), Some(5))], &[]);
    check(&[(Some(0), Some("a"), None)], &["column `users` has no value", "day=`1970-01-01`, org_id=`a`"]);
    check(&[(Some(0), None, Some(1))], &["column `org_id` has no value", "org_id=``"]);
    check(&[(Some(0), Some("a"), Some(1)), (Some(0), Some("b"), Some(0))], &["`users` is `0`", "min", "org_id=`b`"]);
    check(&[(Some(0), Some("a"), Some(6))], &["`users` is `6`", "max"]);
    let optional = format!("{USERS}\noptional = true");
    check_rows(&[DAY, ORG, &optional], &[&[(Some(0), Some("a"), None)]], &[]);
    let few = format!("{ORG}\nchecks = {{ one_of = [\"a\", \"b\"] }}");
    check_rows(&[DAY, &few, USERS], &[&[(Some(0), Some("a"), Some(1)), (Some(0), Some("b"), Some(1))]], &[]);
    check_rows(&[DAY, &few, USERS], &[&[(Some(0), Some(""), Some(1))]], &["`org_id` is ``", "none of a, b"]);
}

#[test]
fn decimal_bounds_are_compared_exactly() {
    let rate = "name = \"rate\"\ntype = \"rate\"\nchecks = { min = 0, max = 1 }";
    let query = query("\"day\"", &[DAY, rate]);
    let check = |value: i128| {
        let rates = Decimal128Array::from(vec![value]).with_precision_and_scale(38, 6).expect("a rate");
        let columns: [(&str, ArrayRef); 2] = [("day", Arc::new(Date32Array::from(vec![0]))), ("rate", Arc::new(rates))];
        Checked::new(&query).expect("a start").check(&RecordBatch::try_from_iter(columns).expect("a batch")).is_ok()
    };
    assert!(check(0) && check(1_000_000) && !check(1_000_001) && !check(-1));
}

#[test]
fn what_passes_has_the_declared_types() {
    let mut checked = Checked::new(&query("\"day\"", &[DAY, ORG, USERS])).expect("a start");
    let batch = checked.check(&batch(&[(Some(0), Some("a"), Some(1))])).expect("right rows");
    assert_eq!(*batch.schema(), *query("\"day\"", &[DAY, ORG, USERS]).schema());
    assert!(batch.column(1).as_any().is::<StringArray>());
}

#[test]
fn coded_texts_stay_coded() {
    const KIND: &str = "name = \"kind\"\ntype = \"text\"\nchecks = { one_of = [\"a\", \"b\"] }";
    let coded = |texts: [&str; 3]| {
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        arrow::compute::cast(&texts, &crate::store::coded_type()).expect("codes")
    };
    let query = query("\"org_id\"", &[ORG, KIND]);
    let check = |orgs, kinds| {
        let batch = RecordBatch::try_from_iter([("org_id", coded(orgs)), ("kind", coded(kinds))]).expect("a batch");
        Checked::new(&query).expect("a start").check(&batch)
    };
    let checked = check(["a", "b", "c"], ["b", "a", "b"]).expect("nothing is wrong");
    let types = [crate::store::coded_type(), crate::store::coded_type()];
    assert_eq!(checked.columns().iter().map(|column| column.data_type().clone()).collect::<Vec<_>>(), types);
    let wrong = |orgs, kinds| check(orgs, kinds).expect_err("something is wrong").to_string();
    assert!(wrong(["a", "a", "c"], ["b", "a", "b"]).contains("org_id=`a` comes twice"));
    assert!(wrong(["a", "b", "c"], ["b", "x", "b"]).contains("`x`, which is none of a, b"));
}

#[test]
fn booleans_need_no_bounds() {
    let query = query("\"day\"", &[DAY, "name = \"is_complete\"\ntype = \"boolean\""]);
    let columns: [(&str, ArrayRef); 2] =
        [("day", Arc::new(Date32Array::from(vec![0]))), ("is_complete", Arc::new(BooleanArray::from(vec![true])))];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    assert!(Checked::new(&query).expect("a start").check(&batch).is_ok());
}

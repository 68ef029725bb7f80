//! Which days people work: weekends, and what the calendar file says for everybody and for roles. It knows neither who
//! has a role nor what is counted on work days.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{BooleanArray, Date32Array, RecordBatch};
use chrono_tz::Tz;

use crate::error::Result;
use crate::period::{Day, Weekday};
use crate::settings::WorkSettings;

use super::notes::Notes;
use super::rows::{Place, for_each_row};
use super::{ObservedRange, by_month, table, text};

/// What the calendar says for everybody, or for one role.
#[derive(Default)]
struct Calendar {
    /// Holidays and make-up work days, in file order.
    exceptions: Vec<Exception>,
    /// School terms: where there are any, days outside all of them are off.
    terms: Vec<RangeInclusive<Day>>,
}

struct Exception {
    days: RangeInclusive<Day>,
    is_work_day: bool,
    name: String,
    place: Place,
}

/// The observed days with what they are for everybody and for each role that the calendar names, a batch for each month.
pub(super) fn work_days(
    path: Option<&Path>,
    zone: Tz,
    settings: &WorkSettings,
    range: ObservedRange,
    notes: &mut Notes,
) -> Result<Vec<RecordBatch>> {
    let calendars = read(path, zone, notes)?;
    let nothing = Calendar::default();
    let everybody = calendars.get("").unwrap_or(&nothing);
    let roles = calendars.iter().filter(|(role, _)| !role.is_empty()).map(|(role, own)| (role.as_str(), own));
    let roles: Vec<(&str, &Calendar)> = std::iter::once(("", everybody)).chain(roles).collect();
    let month = |days: RangeInclusive<Day>| {
        let rows: Vec<(Day, &str, bool, &str)> = days
            .flat_map(|day| {
                let is_weekend = settings.weekend.contains(&Weekday::of(day));
                roles.iter().map(move |&(role, own)| {
                    let (is_work_day, name) = decide(day, is_weekend, own, everybody);
                    (day, role, is_work_day, name)
                })
            })
            .collect();
        table(&[
            ("day", Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Date32Array>())),
            ("role", text(rows.iter().map(|row| row.1))),
            ("is_work_day", Arc::new(rows.iter().map(|row| Some(row.2)).collect::<BooleanArray>())),
            ("name", text(rows.iter().map(|row| row.3))),
        ])
    };
    by_month(range, month)
}

// Whether a day is one of work, and the name that the calendar has for it. A role's own rows go before those for
// everybody, and holidays and make-up days before terms: but a make-up day for everybody opens no school.
fn decide<'a>(day: Day, is_weekend: bool, own: &'a Calendar, everybody: &'a Calendar) -> (bool, &'a str) {
    let exception = |calendar: &'a Calendar| calendar.exceptions.iter().rev().find(|row| row.days.contains(&day));
    let is_off = |terms: &[RangeInclusive<Day>]| !terms.is_empty() && !terms.iter().any(|term| term.contains(&day));
    let terms = if own.terms.is_empty() { &everybody.terms } else { &own.terms };
    match (exception(own), exception(everybody)) {
        (None, _) if is_off(&own.terms) => (false, ""),
        (Some(row), _) | (None, Some(row)) => (row.is_work_day, &row.name),
        (None, None) => (!is_weekend && !is_off(terms), ""),
    }
}

fn read(path: Option<&Path>, zone: Tz, notes: &mut Notes) -> Result<BTreeMap<String, Calendar>> {
    let mut calendars: BTreeMap<String, Calendar> = BTreeMap::new();
    let columns = ["first_day", "last_day", "kind", "role", "name"];
    for_each_row(path, &columns, &[0, 2], notes, |row, _| {
        let (Some(first_day), last_day) = row.days(0, 1, zone)? else { return Ok(()) };
        let days = first_day..=last_day.unwrap_or(first_day);
        let is_work_day = match row.get(2) {
            "holiday" => Some(false),
            "work_day" => Some(true),
            "term" => None,
            _ => return Err(row.refuse(2, "write holiday, work_day or term")),
        };
        let calendar = calendars.entry(row.text(3)).or_default();
        match is_work_day {
            None => calendar.terms.push(days),
            Some(is_work_day) => {
                calendar.exceptions.push(Exception { days, is_work_day, name: row.text(4), place: row.place });
            }
        }
        Ok(())
    })?;
    if let Some(path) = path {
        for calendar in calendars.values() {
            note_overlaps(path, &calendar.exceptions, notes);
        }
    }
    Ok(calendars)
}

// By their first days, a row overlaps one before it if and only if it begins before the last of their ends.
fn note_overlaps(path: &Path, rows: &[Exception], notes: &mut Notes) {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&row| (*rows[row].days.start(), row));
    let mut furthest: Option<usize> = None;
    for &row in &order {
        let before = furthest.filter(|&before| rows[before].days.end() >= rows[row].days.start());
        if let Some(before) = before {
            let (earlier, later) = (before.min(row), before.max(row));
            let place = format!("{} over {}", rows[later].place, rows[earlier].place);
            notes.add(path, "days are in two rows for the same people, of which the later holds", &place);
        }
        if furthest.is_none_or(|before| rows[before].days.end() < rows[row].days.end()) {
            furthest = Some(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::period::{format_day, parse_day};
    use arrow::array::AsArray;
    use arrow::datatypes::Date32Type;

    /// The days from `first` on as letters: `w` for a work day, `-` for a day off; and what the user is told.
    fn check(rows: &str, role: &str, first: &str, expected: &str, note: Option<&str>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("calendar.csv");
        std::fs::write(&path, format!("first_day,last_day,kind,role,name\n{rows}")).expect("a file");
        let first = parse_day(first).expect("a day");
        let range = Some((first, first + i32::try_from(expected.len()).expect("few days") - 1));
        let mut notes = Notes::default();
        let months = work_days(Some(&path), Tz::UTC, &WorkSettings::default(), range, &mut notes).expect("work days");
        let mut found = String::new();
        for month in &months {
            let (days, roles) = (month.column(0).as_primitive::<Date32Type>(), month.column(1).as_string::<i32>());
            for row in (0..month.num_rows()).filter(|&row| roles.value(row) == role) {
                assert_eq!(days.value(row), first + i32::try_from(found.len()).expect("few days"));
                found.push(if month.column(2).as_boolean().value(row) { 'w' } else { '-' });
            }
        }
        assert_eq!(found, expected, "{rows} for `{role}` from {}", format_day(first));
        match (note, notes.sentences().as_slice()) {
            (None, []) => {}
            (Some(note), [sentence]) if sentence.contains(note) => {}
            (note, found) => panic!("expected {note:?}, found {found:?}"),
        }
    }

    #[test]
    fn weekends_and_the_file_decide() {
        // 2026-03-02 is a Monday.
        check("", "", "2026-03-02", "wwwww--wwwww--", Some("it has no rows"));
        check("2026-03-03,2026-03-04,holiday,,x\n2026-03-07,,work_day,,y\n", "", "2026-03-02", "w--www-", None);
        check("2026-03-03,,holiday,x,\n", "", "2026-03-02", "wwwww--", None);
        check("2026-03-03,,holiday,x,\n", "x", "2026-03-02", "w-www--", None);
        check("2026-02-27,,holiday,,\n", "", "2026-02-26", "w---wwwww--", None);
    }

    #[test]
    fn a_roles_own_rows_go_first() {
        let rows = "2026-03-03,,work_day,nurse,\n2026-03-03,2026-03-04,holiday,,\n";
        check(rows, "nurse", "2026-03-02", "ww-ww--", None);
        check(rows, "", "2026-03-02", "w--ww--", None);
    }

    #[test]
    fn outside_its_terms_a_role_is_off() {
        let terms = "2026-03-03,2026-03-04,term,pupil,\n2026-03-09,2026-03-20,term,pupil,\n";
        check(terms, "pupil", "2026-03-02", "-ww----wwwww--", None);
        check(terms, "", "2026-03-02", "wwwww--", None);
        // A holiday within a term is one; a make-up day for everybody is none for pupils, one of their own is.
        let days = "2026-03-04,,holiday,,\n2026-03-07,,work_day,,\n2026-03-08,,work_day,pupil,\n";
        check(&format!("{terms}{days}"), "pupil", "2026-03-02", "-w----wwwwww--", None);
        // The terms of a role take the place of those for everybody.
        let all = "2026-03-02,2026-03-03,term,,\n2026-03-02,2026-03-05,term,pupil,\n2026-03-05,,holiday,nurse,\n";
        check(all, "", "2026-03-02", "ww-----", None);
        check(all, "pupil", "2026-03-02", "wwww---", None);
        check(all, "nurse", "2026-03-02", "ww-----", None);
    }

    #[test]
    fn of_two_rows_the_later_holds_and_is_reported() {
        let rows = "2026-03-03,2026-03-05,holiday,,\n2026-03-04,,work_day,,\n";
        check(rows, "", "2026-03-02", "w-w-w--", Some("the later holds (line 3 over line 2)"));
        let rows = "2026-03-04,,work_day,,\n2026-03-03,2026-03-05,holiday,,\n";
        check(rows, "", "2026-03-02", "w---w--", Some("(line 3 over line 2)"));
        // Those that only touch, and a role's over everybody's, are as they should be.
        check(
            "2026-03-04,,holiday,,\n2026-03-03,,holiday,,\n2026-03-03,,holiday,x,\n",
            "",
            "2026-03-02",
            "w--ww--",
            None,
        );
    }

    #[test]
    fn a_wrong_row_is_named() {
        let refused = |rows: &str, expected: &[&str]| {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("calendar.csv");
            std::fs::write(&path, rows).expect("a file");
            let message = read(Some(&path), Tz::UTC, &mut Notes::default()).err().expect("refused").to_string();
            for part in expected {
                assert!(message.contains(part), "{part:?} is not in: {message}");
            }
        };
        refused("first_day\n2026-03-02\n", &["no column `kind`"]);
        refused("first_day,kind\n2026-02-30,holiday\n", &["line 2", "first_day=`2026-02-30`"]);
        refused("first_day,kind\n2026-03-02,feast\n", &["line 2", "kind=`feast`", "holiday, work_day or term"]);
        let text = "first_day,last_day,kind\n2026-03-02,,term\n2026-03-02,2026-03-01,term\n";
        refused(text, &["line 3", "last_day=`2026-03-01`", "first_day=`2026-03-02`"]);
    }
}

//! The users file: read once, for who counts and for the table that queries join.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Date32Builder, RecordBatch, StringArray, StringBuilder, UInt32Array,
};
use arrow::compute::take_record_batch;
use chrono_tz::Tz;

use crate::error::{Error, Result};
use crate::settings::DimensionSettings;

use super::notes::Notes;
use super::rows::{Place, for_each_row};
use super::table;

/// The users by id, each once.
#[derive(Debug)]
pub struct Users {
    pub(super) table: RecordBatch,
    pub(super) notes: Notes,
}

/// Reads the users file; without one there are no users.
pub fn read_users(settings: &DimensionSettings, zone: Tz) -> Result<Users> {
    let path = settings.users.as_deref();
    let mut notes = Notes::default();
    let (rows, places) = rows(path, zone, &mut notes)?;
    let ids = rows.column(0).as_string::<i32>();
    let last = last_of_each(ids, |earlier, later| {
        if let Some(path) = path {
            let place = format!("`{}`: {} over {}", ids.value(later), places[later], places[earlier]);
            notes.add(path, "of rows with the same user_id the last holds", &place);
        }
    })?;
    let table = take_record_batch(&rows, &last).map_err(|e| Error::Internal(format!("cannot sort the users: {e}")))?;
    Ok(Users { table, notes })
}

impl Users {
    /// The ids of those whom the file calls internal.
    #[must_use]
    pub fn internal(&self) -> HashSet<String> {
        let column = |name: &str| self.table.column_by_name(name);
        let (Some(ids), Some(flags)) = (column("user_id"), column("is_internal")) else { return HashSet::new() };
        let users = ids.as_string::<i32>().iter().zip(flags.as_boolean());
        users
            .filter(|(_, is_internal)| *is_internal == Some(true))
            .filter_map(|(id, _)| id.map(str::to_owned))
            .collect()
    }
}

// All rows in file order, with their places.
fn rows(path: Option<&Path>, zone: Tz, notes: &mut Notes) -> Result<(RecordBatch, Vec<Place>)> {
    let columns = ["user_id", "registered_at", "role", "campaign", "invited_by", "is_internal"];
    let mut texts: [StringBuilder; 4] = Default::default();
    let (mut registered, mut internal) = (Date32Builder::new(), BooleanBuilder::new());
    let mut places = Vec::new();
    for_each_row(path, &columns, &[0], notes, |row, notes| {
        for (text, column) in texts.iter_mut().zip([0, 2, 3, 4]) {
            text.append_value(row.get(column));
        }
        registered.append_option(row.day(1, zone)?);
        let flag = row.get(5);
        let is_internal = flag == "1" || flag.eq_ignore_ascii_case("true");
        if !is_internal && !flag.is_empty() && flag != "0" && !flag.eq_ignore_ascii_case("false") {
            let place = format!("`{flag}` in {}", row.place);
            notes.add(row.path, "an is_internal that is none of true, 1, false, 0 counts as false", &place);
        }
        internal.append_value(is_internal);
        places.push(row.place);
        Ok(())
    })?;
    let [ids, roles, campaigns, inviters] = texts.map(|mut text| Arc::new(text.finish()) as ArrayRef);
    let table = table(&[
        ("user_id", ids),
        ("registered_on", Arc::new(registered.finish())),
        ("role", roles),
        ("campaign", campaigns),
        ("invited_by", inviters),
        ("is_internal", Arc::new(internal.finish())),
    ])?;
    Ok((table, places))
}

// The rows in the order of their ids, and of several of one id the last. `replaced` is told of each row that gives way to
// a later one.
fn last_of_each(ids: &StringArray, mut replaced: impl FnMut(usize, usize)) -> Result<UInt32Array> {
    // The sort is stable, and quick where ids come in order.
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by(|&a, &b| ids.value(a).cmp(ids.value(b)));
    let mut last = Vec::with_capacity(order.len());
    for (place, &row) in order.iter().enumerate() {
        match order.get(place + 1) {
            Some(&next) if ids.value(next) == ids.value(row) => replaced(row, next),
            _ => last.push(u32::try_from(row).map_err(|_| Error::Data("more than 4,294,967,295 users".into()))?),
        }
    }
    Ok(last.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Users {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("users.csv");
        std::fs::write(&path, text).expect("a file");
        read_users(&DimensionSettings { users: Some(path), ..DimensionSettings::default() }, Tz::UTC).expect("users")
    }

    #[test]
    fn the_last_row_of_a_user_wins_and_is_named() {
        let users = read("user_id,is_internal,role\nw,1,x\nv,TRUE,\nw,0,y\nw,,z\n");
        let texts = |name: &str| {
            let column = users.table.column_by_name(name).expect("a column");
            column.as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(texts("user_id"), ["v", "w"]);
        assert_eq!(texts("role"), ["", "z"]);
        assert_eq!(users.internal(), HashSet::from(["v".to_owned()]));
        let [note] = &users.notes.sentences()[..] else { panic!("one note is right") };
        assert!(note.ends_with("the last holds (`w`: line 4 over line 2, `w`: line 5 over line 4)"), "{note}");
    }

    #[test]
    fn a_flag_that_is_none_is_named() {
        let users = read("user_id,is_internal\na,yes\nb,False\nc,0\nd,\ne,true\nf,no\n");
        assert_eq!(users.internal(), HashSet::from(["e".to_owned()]));
        let [note] = &users.notes.sentences()[..] else { panic!("one note is right") };
        assert!(note.ends_with("counts as false (`yes` in line 2, `no` in line 7)"), "{note}");
    }
}

//! Accepted events of each day, and ids that the dimension files lack. See `queries/states/quality_day/query.sql`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use hashbrown::HashSet;

use super::days::{days, read, side_by_side};
use super::{Frame, Input, Inputs, Rows, batch, files_of};
use crate::columns::{Chunk, Wanted};
use crate::error::Result;
use crate::period::Day;

const USE: Wanted = Wanted { table: "org_app_day", texts: &["org_id", "app_id"], others: &["events"] };
const USERS_OF_DAY: Wanted = Wanted { table: "user_day", texts: &["user_id"], others: &[] };
const ORGS: Wanted = Wanted { table: "orgs", texts: &["org_id"], others: &[] };
const USERS: Wanted = Wanted { table: "users", texts: &["user_id"], others: &[] };
const APPS: Wanted = Wanted { table: "apps", texts: &["app_id"], others: &[] };

/// The ids in the dimension files; none of a kind whose file is not given.
struct Known {
    orgs: Option<HashSet<String>>,
    users: Option<HashSet<String>>,
    apps: Option<HashSet<String>>,
}

/// The days with an accepted event.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef) -> Result<Option<Rows>> {
    let ids = |wanted: Wanted, column: &str, is_given: bool| {
        let chunks = if is_given { read(wanted, files_of(inputs, wanted.table)?)? } else { Vec::new() };
        let mut ids = HashSet::new();
        for chunk in &chunks {
            ids.extend(chunk.texts(column)?.used().map(str::to_owned));
        }
        Ok(is_given.then_some(ids))
    };
    let known = Known {
        orgs: ids(ORGS, "org_id", frame.given.orgs)?,
        users: ids(USERS, "user_id", frame.given.users)?,
        apps: ids(APPS, "app_id", frame.given.apps)?,
    };
    let mut users_of = days(files_of(inputs, USERS_OF_DAY.table)?)?.into_iter().peekable();
    let mut work = Vec::new();
    for (day, files) in days(files_of(inputs, USE.table)?)? {
        while users_of.next_if(|(other, _)| *other < day).is_some() {}
        let users = users_of.next_if(|(other, _)| *other == day).map(|(_, files)| files);
        work.push((day, files, users.unwrap_or_default()));
    }
    let schema = Arc::clone(schema);
    Ok(Some(Box::new(side_by_side(work, move |(day, files, users)| known.of_day(*day, files, users, &schema)))))
}

impl Known {
    fn of_day(&self, day: Day, files: &[Input], users: &[Input], schema: &SchemaRef) -> Result<RecordBatch> {
        let used = read(USE, files)?;
        let mut events = 0;
        for chunk in &used {
            events += chunk.numbers("events")?.iter().sum::<i64>();
        }
        let of_users = if self.users.is_some() { read(USERS_OF_DAY, users)? } else { Vec::new() };
        let counts = [
            events,
            unknown(&used, "org_id", self.orgs.as_ref())?,
            unknown(&of_users, "user_id", self.users.as_ref())?,
            unknown(&used, "app_id", self.apps.as_ref())?,
        ];
        let counts = counts.map(|count| Arc::new(Int64Array::from_value(count, 1)) as ArrayRef);
        batch(schema, std::iter::once(Arc::new(Date32Array::from_value(day, 1)) as ArrayRef).chain(counts).collect())
    }
}

// How many ids are not known. Personal use is no organisation that could be.
fn unknown(chunks: &[Chunk], column: &str, known: Option<&HashSet<String>>) -> Result<i64> {
    let Some(known) = known else { return Ok(0) };
    let mut unknown = HashSet::new();
    for chunk in chunks {
        let ids = chunk.texts(column)?.used();
        unknown.extend(ids.filter(|id| !known.contains(*id) && (column != "org_id" || !id.is_empty())));
    }
    Ok(i64::try_from(unknown.len()).unwrap_or(i64::MAX))
}

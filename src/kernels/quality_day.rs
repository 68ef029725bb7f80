//! Accepted events of each day, and ids that the dimension files lack. See `queries/states/quality_day/query.sql`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array};
use arrow::datatypes::SchemaRef;
use hashbrown::HashSet;

use super::days::read;
use super::pairs::{FileOfPairs, PERSONAL};
use super::{Frame, Inputs, Rows, Shared, batch, files_of};
use crate::columns::Wanted;
use crate::error::Result;
use crate::names::Names;
use crate::period::Day;

const ORGS: Wanted = Wanted { table: "orgs", texts: &["org_id"], others: &[] };
const USERS: Wanted = Wanted { table: "users", texts: &["user_id"], others: &[] };
const APPS: Wanted = Wanted { table: "apps", texts: &["app_id"], others: &[] };

/// The ids of one kind, by their numbers.
struct Ids {
    // Those in the dimension file; if it is not given, none is missed.
    known: Option<HashSet<String>>,
    are_known: Vec<bool>,
    // The last day on which an unknown one was counted.
    last_days: Vec<Option<Day>>,
}

/// A row of the result.
struct Quality {
    day: Day,
    events: i64,
    // Organisations, users and apps.
    unknown: [i64; 3],
}

/// The days with an accepted event.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef, shared: &Shared) -> Result<Option<Rows>> {
    let mut orgs = Ids::read(ORGS, inputs, frame.given.orgs)?;
    let mut users = Ids::read(USERS, inputs, frame.given.users)?;
    let mut apps = Ids::read(APPS, inputs, frame.given.apps)?;
    let mut qualities: Vec<Quality> = Vec::new();
    let mut ids = Vec::new();
    for day in shared.apps.days(inputs)? {
        let (day, files) = day?;
        shared.apps.learn(&mut ids);
        orgs.learn(&shared.apps.known().orgs);
        apps.learn(&shared.apps.known().others);
        let of_day = files.iter().flat_map(|file| file.orgs()).map(|(org, _)| org);
        let unknown_orgs = orgs.unknown(day, of_day.filter(|org| *org != PERSONAL));
        let unknown_apps = apps.unknown(day, pairs(&files).map(|pair| ids[pair].1));
        let events = files.iter().map(|file| file.events).sum();
        qualities.push(Quality { day, events, unknown: [unknown_orgs, 0, unknown_apps] });
        if !shared.apps.fit(frame, 0) {
            return Ok(None);
        }
    }
    if frame.given.users {
        ids.clear();
        for day in shared.users.days(inputs)? {
            let (day, files) = day?;
            shared.users.learn(&mut ids);
            users.learn(&shared.users.known().others);
            let unknown = users.unknown(day, pairs(&files).map(|pair| ids[pair].1));
            if let Ok(place) = qualities.binary_search_by_key(&day, |quality| quality.day) {
                qualities[place].unknown[1] = unknown;
            }
            if !shared.users.fit(frame, 0) {
                return Ok(None);
            }
        }
    }
    let number = |value: &dyn Fn(&Quality) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(qualities.iter().map(value)))
    };
    let rows = batch(
        schema,
        vec![
            Arc::new(Date32Array::from_iter_values(qualities.iter().map(|quality| quality.day))),
            number(&|quality| quality.events),
            number(&|quality| quality.unknown[0]),
            number(&|quality| quality.unknown[1]),
            number(&|quality| quality.unknown[2]),
        ],
    );
    let is_empty = qualities.is_empty();
    Ok(Some(Box::new((!is_empty).then_some(rows).into_iter())))
}

fn pairs(files: &[Arc<FileOfPairs>]) -> impl Iterator<Item = usize> {
    files.iter().flat_map(|file| &file.rows).map(|row| row.pair())
}

impl Ids {
    fn read(wanted: Wanted, inputs: &Inputs, is_given: bool) -> Result<Self> {
        let mut known = is_given.then(HashSet::new);
        if let Some(known) = &mut known {
            for chunk in read(wanted, files_of(inputs, wanted.table)?)? {
                known.extend(chunk.texts(wanted.texts[0])?.used().map(str::to_owned));
            }
        }
        Ok(Self { known, are_known: Vec::new(), last_days: Vec::new() })
    }

    /// Looks up ids that were numbered since.
    fn learn(&mut self, names: &Names) {
        let is_known = |id: &str| self.known.as_ref().is_none_or(|known| known.contains(id));
        self.are_known.extend(names.texts_after(self.are_known.len()).map(is_known));
        self.last_days.resize(names.len(), None);
    }

    /// How many ids of a day are not known, each counted once.
    fn unknown(&mut self, day: Day, ids: impl Iterator<Item = u32>) -> i64 {
        let Self { are_known, last_days, .. } = self;
        let is_new = |id: &u32| {
            let id = *id as usize;
            !are_known[id] && last_days[id].replace(day) != Some(day)
        };
        i64::try_from({ ids }.filter(is_new).count()).unwrap_or(i64::MAX)
    }
}

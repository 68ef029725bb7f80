//! Accepted events of each day, and ids that the dimension files lack. See `queries/states/quality_day/query.sql`.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array};
use arrow::datatypes::SchemaRef;
use hashbrown::HashSet;

use super::pairs::{self, FileOfPairs, PERSONAL, Pairs};
use super::parts::Halted;
use super::{Frame, Inputs, Rows, Shared, batch, files_of};
use crate::columns::{Wanted, wrong};
use crate::error::Result;
use crate::names::Names;
use crate::period::Day;

const ORGS: Wanted = Wanted { table: "orgs", texts: &["org_id"], others: &[] };
const USERS: Wanted = Wanted { table: "users", texts: &["user_id"], others: &[] };
const APPS: Wanted = Wanted { table: "apps", texts: &["app_id"], others: &[] };

/// The ids of one kind, by their numbers.
struct Ids {
    // Those in the dimension file, in order; if it is not given, none is missed.
    known: Option<Names>,
    are_known: Vec<bool>,
    // The last day on which an unknown one was counted.
    last_days: Vec<Option<Day>>,
}

/// What is counted of a day.
#[derive(Default)]
struct Quality {
    events: i64,
    unknown_orgs: i64,
    unknown_users: i64,
    // By numbers of our own: organisations of several parts may have used the same.
    unknown_apps: HashSet<u32>,
}

/// Something of each day.
type ByDay<T> = Vec<(Day, T)>;

/// The days with an accepted event.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef, shared: &Shared) -> Result<Rows> {
    let mut days: BTreeMap<Day, Quality> = BTreeMap::new();
    let mut unknown_apps = Names::default();
    let files = files_of(inputs, pairs::APPS.table)?;
    for part in shared.apps.in_parts(pairs::APPS.divided_by(), files, |pairs| of_orgs(inputs, frame, pairs)) {
        for (day, part) in part? {
            let quality = days.entry(day).or_default();
            quality.events += part.events;
            quality.unknown_orgs += part.unknown_orgs;
            quality.unknown_apps.extend(part.unknown_apps.iter().map(|app| unknown_apps.number(0, app)));
        }
    }
    if frame.given.users {
        let files = files_of(inputs, pairs::USERS.table)?;
        for part in shared.users.in_parts(pairs::USERS.divided_by(), files, |pairs| of_users(inputs, pairs)) {
            for (day, unknown) in part? {
                if let Some(quality) = days.get_mut(&day) {
                    quality.unknown_users += unknown;
                }
            }
        }
    }
    if days.is_empty() {
        return Ok(Box::new(std::iter::empty()));
    }
    let number =
        |value: fn(&Quality) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(days.values().map(value))) };
    let rows = batch(
        schema,
        vec![
            Arc::new(Date32Array::from_iter_values(days.keys().copied())),
            number(|quality| quality.events),
            number(|quality| quality.unknown_orgs),
            number(|quality| quality.unknown_users),
            number(|quality| count(quality.unknown_apps.len())),
        ],
    );
    Ok(Box::new(std::iter::once(rows)))
}

/// What is counted of some organisations.
struct OfOrgs {
    events: i64,
    unknown_orgs: i64,
    unknown_apps: Vec<Box<str>>,
}

fn of_orgs(inputs: &Inputs, frame: Frame, pairs: &Arc<Pairs>) -> Halted<ByDay<OfOrgs>> {
    let mut orgs = Ids::read(ORGS, inputs, frame.given.orgs, pairs, |org| pairs.part().has(org))?;
    let mut apps = Ids::read(APPS, inputs, frame.given.apps, pairs, |_| true)?;
    let mut by_day = Vec::new();
    let mut ids = Vec::new();
    for day in pairs.days(inputs)? {
        let (day, files) = day?;
        pairs.learn(&mut ids);
        let known = pairs.known();
        orgs.learn(&known.orgs);
        apps.learn(&known.others);
        let of_day = files.iter().flat_map(|file| file.orgs()).map(|(org, _)| org);
        let unknown_orgs = count(orgs.unknown(day, of_day.filter(|org| *org != PERSONAL)).count());
        let unknown_apps = apps.unknown(day, places(&files).map(|pair| ids[pair].1));
        let unknown_apps = unknown_apps.map(|app| known.others.text(app).into()).collect();
        drop(known);
        by_day.push((day, OfOrgs { events: files.iter().map(|file| file.events).sum(), unknown_orgs, unknown_apps }));
        pairs.fit(orgs.bytes() + apps.bytes() + size_of_val(ids.as_slice()))?;
    }
    Ok(by_day)
}

fn of_users(inputs: &Inputs, pairs: &Arc<Pairs>) -> Halted<ByDay<i64>> {
    let mut users = Ids::read(USERS, inputs, true, pairs, |user| pairs.part().has(user))?;
    let mut by_day = Vec::new();
    let mut ids = Vec::new();
    for day in pairs.days(inputs)? {
        let (day, files) = day?;
        pairs.learn(&mut ids);
        users.learn(&pairs.known().others);
        by_day.push((day, count(users.unknown(day, places(&files).map(|pair| ids[pair].1)).count())));
        pairs.fit(users.bytes() + size_of_val(ids.as_slice()))?;
    }
    Ok(by_day)
}

fn places(files: &[Arc<FileOfPairs>]) -> impl Iterator<Item = usize> {
    files.iter().flat_map(|file| &file.rows).map(|row| row.pair())
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Ids {
    fn read(
        wanted: Wanted,
        inputs: &Inputs,
        is_given: bool,
        pairs: &Pairs,
        has: impl Fn(&str) -> bool,
    ) -> Halted<Self> {
        let mut known = is_given.then(Names::default);
        if let Some(known) = &mut known {
            for file in files_of(inputs, wanted.table)? {
                for chunk in wanted.read(&file.path)? {
                    for id in chunk?.texts(wanted.texts[0])?.used().filter(|id| has(id)) {
                        match known.last().map(|last| last.cmp(id)) {
                            None | Some(Ordering::Less) => known.push(id),
                            Some(Ordering::Equal) => continue,
                            Some(Ordering::Greater) => return Err(wrong(wanted.table, "ids out of order").into()),
                        };
                    }
                    pairs.fit(known.bytes())?;
                }
            }
        }
        Ok(Self { known, are_known: Vec::new(), last_days: Vec::new() })
    }

    /// Looks up ids that were numbered since.
    fn learn(&mut self, names: &Names) {
        let count = self.are_known.len();
        self.are_known.resize(names.len(), self.known.is_none());
        self.last_days.resize(names.len(), None);
        if let Some(known) = &self.known {
            // In order, they are found one behind the other.
            let mut near = 0;
            for number in names.in_order_after(count) {
                let found = known.search(names.text(number), near);
                near = found.unwrap_or_else(|place| place);
                self.are_known[number as usize] = found.is_ok();
            }
        }
    }

    /// The ids of a day that are not known, each once.
    fn unknown(&mut self, day: Day, ids: impl Iterator<Item = u32>) -> impl Iterator<Item = u32> {
        let Self { are_known, last_days, .. } = self;
        ids.filter(move |id| {
            let id = *id as usize;
            !are_known[id] && last_days[id].replace(day) != Some(day)
        })
    }

    fn bytes(&self) -> usize {
        self.known.as_ref().map_or(0, Names::bytes) + self.last_days.len() * size_of::<(bool, Option<Day>)>()
    }
}

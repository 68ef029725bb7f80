//! How many organisations used how many apps in the trailing 28 days. See `queries/metrics/app_breadth/query.sql`.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{BooleanArray, Date32Array, Int64Array};
use arrow::datatypes::SchemaRef;

use super::known::Known;
use super::pairs::{APPS, FileOfPairs, PERSONAL, Pairs};
use super::parts::Halted;
use super::{Frame, Inputs, Rows, Shared, batch, files_of};
use crate::error::Result;
use crate::period::Day;

const WINDOW: Day = 28;

/// The window that ends on the day that was read last.
#[derive(Default)]
struct Window {
    // By pair of an organisation and an app: the last day on which the app was used, if that lies in the window.
    last_days: Vec<Option<Day>>,
    // What was used on each day of the window.
    used: VecDeque<(Day, Vec<Arc<FileOfPairs>>)>,
    // By organisation: its apps in the window.
    apps_of_org: Vec<u32>,
    // By number of apps: the organisations that have so many.
    orgs_with: Vec<i64>,
}

/// The numbers of organisations on all days.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef, shared: &Shared) -> Result<Rows> {
    let files = files_of(inputs, APPS.table)?;
    let Some(first) = files.iter().find_map(|input| input.day) else {
        return Ok(Box::new(std::iter::empty()));
    };
    let days = first..=frame.wanted.1.min(frame.as_of);
    // By day and number of apps.
    let mut orgs_with: BTreeMap<(Day, i64), i64> = BTreeMap::new();
    for part in
        shared.apps.in_parts(APPS.divided_by(), files, |pairs| count(inputs, pairs, days.clone(), frame.wanted.0))
    {
        for (day, apps, orgs) in part? {
            *orgs_with.entry((day, apps)).or_default() += orgs;
        }
    }
    let is_complete = |day: Day| day >= frame.first_day + WINDOW - 1;
    let rows = batch(
        schema,
        vec![
            Arc::new(Date32Array::from_iter_values(orgs_with.keys().map(|(day, _)| *day))),
            Arc::new(Int64Array::from_iter_values(orgs_with.keys().map(|(_, apps)| *apps))),
            Arc::new(Int64Array::from_iter_values(orgs_with.values().copied())),
            Arc::new(orgs_with.keys().map(|(day, _)| Some(is_complete(*day))).collect::<BooleanArray>()),
        ],
    );
    Ok(Box::new(std::iter::once(rows)))
}

// How many organisations used how many apps on each of some days, from a day on.
fn count(inputs: &Inputs, pairs: &Arc<Pairs>, days: RangeInclusive<Day>, from: Day) -> Halted<Vec<(Day, i64, i64)>> {
    let mut read = pairs.days(inputs)?;
    let mut next = read.next().transpose()?;
    let mut window = Window::default();
    let mut counts = Vec::new();
    for day in days {
        window.leave(day - WINDOW);
        if let Some((_, files)) = next.take_if(|(known, _)| *known == day) {
            window.make_room(&pairs.known());
            window.enter(day, files);
            next = read.next().transpose()?;
        }
        pairs.fit(window.bytes())?;
        if day >= from {
            let some = (0..).zip(&window.orgs_with).skip(1).filter(|(_, orgs)| **orgs > 0);
            counts.extend(some.map(|(apps, &orgs)| (day, apps, orgs)));
        }
    }
    Ok(counts)
}

impl Window {
    fn make_room(&mut self, known: &Known) {
        self.last_days.resize(known.ids.len(), None);
        self.apps_of_org.resize(known.orgs.len(), 0);
    }

    /// Takes in what was used on a day.
    fn enter(&mut self, day: Day, files: Vec<Arc<FileOfPairs>>) {
        for (org, rows) in files.iter().flat_map(|file| file.by_org()).filter(|(org, _)| *org != PERSONAL) {
            for row in rows.iter().filter(|row| row.is_human()) {
                if self.last_days[row.pair()].replace(day).is_none() {
                    self.step(org, 1);
                }
            }
        }
        self.used.push_back((day, files));
    }

    /// Leaves out what was last used on a day.
    fn leave(&mut self, day: Day) {
        while let Some((_, files)) = self.used.pop_front_if(|(known, _)| *known <= day) {
            for (org, rows) in files.iter().flat_map(|file| file.by_org()) {
                for row in rows {
                    // What was used again has a later day.
                    if self.last_days[row.pair()].take_if(|last| *last <= day).is_some() {
                        self.step(org, -1);
                    }
                }
            }
        }
    }

    // An organisation has one app more, or less.
    fn step(&mut self, org: u32, step: i32) {
        let apps = &mut self.apps_of_org[org as usize];
        let before = *apps as usize;
        *apps = apps.saturating_add_signed(step);
        let after = *apps as usize;
        let most = self.orgs_with.len().max(before.max(after) + 1);
        self.orgs_with.resize(most, 0);
        self.orgs_with[before] -= 1;
        self.orgs_with[after] += 1;
    }

    fn bytes(&self) -> usize {
        let used = self.used.iter().flat_map(|(_, files)| files).map(|file| file.bytes()).sum::<usize>();
        used + size_of_val(self.last_days.as_slice())
    }
}

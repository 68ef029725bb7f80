//! How many organisations used how many apps in the trailing 28 days. See `queries/metrics/app_breadth/query.sql`.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{BooleanArray, Date32Array, Int64Array};
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::days::read_days;
use super::{Frame, Inputs, Rows, batch, files_of};
use crate::columns::{Chunk, Wanted};
use crate::error::Result;
use crate::names::Names;
use crate::period::Day;

const USE: Wanted = Wanted { table: "org_app_day", texts: &["org_id", "app_id"], others: &["human_events"] };
const WINDOW: Day = 28;

/// The window that ends on the day that was read last.
#[derive(Default)]
struct Window {
    orgs: Names,
    apps: Names,
    // By organisation and app: the place in `last_days`.
    numbers: HashMap<(u32, u32), u32>,
    ids: Vec<u32>,
    // The last day on which the app was used, if that lies in the window.
    last_days: Vec<Option<Day>>,
    // What was used on each day of the window.
    used: VecDeque<(Day, Vec<u32>)>,
    // By organisation: its apps in the window.
    apps_of_org: Vec<u32>,
    // By number of apps: the organisations that have so many.
    orgs_with: Vec<i64>,
}

/// The numbers of organisations on all days.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef) -> Result<Option<Rows>> {
    let inputs = files_of(inputs, USE.table)?;
    let Some(first) = inputs.iter().find_map(|input| input.day) else {
        return Ok(Some(Box::new(std::iter::empty())));
    };
    let mut read = read_days(USE, inputs)?;
    let mut next = read.next().transpose()?;
    let mut window = Window::default();
    let (mut on, mut apps, mut orgs) = (Vec::new(), Vec::new(), Vec::new());
    for day in first..=frame.wanted.1.min(frame.as_of) {
        window.leave(day - WINDOW);
        if let Some((_, chunks)) = next.take_if(|(known, _)| *known == day) {
            window.enter(day, &chunks)?;
            next = read.next().transpose()?;
        }
        if window.bytes() > frame.memory {
            return Ok(None);
        }
        if day >= frame.wanted.0 {
            for (number, &count) in (0..).zip(&window.orgs_with).skip(1).filter(|(_, count)| **count > 0) {
                on.push(day);
                apps.push(number);
                orgs.push(count);
            }
        }
    }
    let is_complete = on.iter().map(|&day| Some(day >= frame.first_day + WINDOW - 1)).collect::<BooleanArray>();
    let rows = batch(
        schema,
        vec![
            Arc::new(Date32Array::from(on)),
            Arc::new(Int64Array::from(apps)),
            Arc::new(Int64Array::from(orgs)),
            Arc::new(is_complete),
        ],
    );
    Ok(Some(Box::new(std::iter::once(rows))))
}

impl Window {
    /// Takes in what was used on a day.
    fn enter(&mut self, day: Day, chunks: &[Chunk]) -> Result<()> {
        let personal = self.orgs.number(0, "");
        let mut used = Vec::new();
        for chunk in chunks {
            let orgs = chunk.texts("org_id")?.numbered(&mut self.orgs);
            let apps = chunk.texts("app_id")?.numbered(&mut self.apps);
            self.apps_of_org.resize(self.orgs.len(), 0);
            for (row, _) in chunk.numbers("human_events")?.iter().enumerate().filter(|(_, events)| **events > 0) {
                let org = orgs.of(row);
                if org == personal {
                    continue;
                }
                let place = self.number(org, apps.of(row));
                if self.last_days[place as usize].replace(day).is_none() {
                    self.step(org, 1);
                }
                used.push(place);
            }
        }
        self.used.push_back((day, used));
        Ok(())
    }

    /// Leaves out what was last used on a day.
    fn leave(&mut self, day: Day) {
        while let Some((_, used)) = self.used.pop_front_if(|(known, _)| *known <= day) {
            for place in used {
                // What was used again has a later day.
                if self.last_days[place as usize].take_if(|last| *last <= day).is_some() {
                    self.step(self.ids[place as usize], -1);
                }
            }
        }
    }

    fn number(&mut self, org: u32, app: u32) -> u32 {
        let next = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        let place = *self.numbers.entry((org, app)).or_insert(next);
        if place == next {
            self.ids.push(org);
            self.last_days.push(None);
        }
        place
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

    fn bytes(&self) -> u64 {
        let used = self.used.iter().map(|(_, used)| used.len()).sum::<usize>();
        let pairs = self.ids.len() * (size_of::<u32>() + size_of::<Option<Day>>() + 2 * size_of::<((u32, u32), u32)>());
        (self.orgs.bytes() + self.apps.bytes() + pairs + used * size_of::<u32>()) as u64
    }
}

//! How much each app was used in each week, and by how many. See `queries/states/app_week/query.sql`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use rayon::slice::ParallelSliceMut;

use super::days::read_days;
use super::{Frame, Inputs, Rows, batch, coded, files_of, keys, texts};
use crate::columns::Wanted;
use crate::error::Result;
use crate::names::Names;
use crate::period::{Day, Grain};

const BY_USER: Wanted =
    Wanted { table: "app_user_day", texts: &["app_id", "user_id"], others: &["human_events", "usage_ms"] };
const BY_ORG: Wanted = Wanted { table: "org_app_day", texts: &["org_id", "app_id"], others: &["human_events"] };

/// A row of the result; of apps by their number.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    users: i64,
    orgs: i64,
    events: i64,
    usage_ms: i64,
    users_of_all: i64,
}

/// The apps of each week, and what is counted of them, in the order of weeks.
#[derive(Default)]
struct Weeks {
    apps: Names,
    weeks: Vec<(Day, Vec<Use>)>,
}

/// The apps of all weeks.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef) -> Result<Option<Rows>> {
    let mut weeks = Weeks::default();
    let fits = weeks.count_users(inputs, frame)? && weeks.count_orgs(inputs, frame)?;
    Ok(fits.then(|| Box::new(weeks.batches(schema).into_iter()) as Rows))
}

impl Weeks {
    // Whether the memory was enough.
    fn count_users(&mut self, inputs: &Inputs, frame: Frame) -> Result<bool> {
        let (mut users, mut pairs) = (Names::default(), Pairs::new(frame));
        for day in read_days(BY_USER, files_of(inputs, BY_USER.table)?)? {
            let (day, chunks) = day?;
            if let Some(ended) = pairs.begin(day) {
                self.end_users(ended, &mut pairs, users.len());
            }
            for chunk in &chunks {
                let apps = chunk.texts("app_id")?.numbered(&mut self.apps);
                let ids = chunk.texts("user_id")?.numbered(&mut users);
                let uses = self.week(pairs.week.unwrap_or_default());
                let columns = chunk.numbers("human_events")?.iter().zip(chunk.numbers("usage_ms")?);
                for (row, (&events, &usage_ms)) in columns.enumerate() {
                    let app = apps.of(row);
                    let used = &mut uses[app as usize];
                    used.events += events;
                    used.usage_ms += usage_ms;
                    pairs.add(app, ids.of(row));
                }
            }
            if !pairs.fit_beside(users.bytes()) {
                return Ok(false);
            }
        }
        if let Some(ended) = pairs.week.take() {
            self.end_users(ended, &mut pairs, users.len());
        }
        Ok(true)
    }

    fn end_users(&mut self, week: Day, pairs: &mut Pairs, users: usize) {
        let mut was_seen = vec![false; users];
        let mut of_all = 0;
        let uses = self.week(week);
        for (app, user) in pairs.distinct() {
            uses[app as usize].users += 1;
            if !std::mem::replace(&mut was_seen[user as usize], true) {
                of_all += 1;
            }
        }
        for used in uses {
            used.users_of_all = of_all;
        }
        pairs.seen.clear();
    }

    fn count_orgs(&mut self, inputs: &Inputs, frame: Frame) -> Result<bool> {
        let (mut orgs, mut pairs) = (Names::default(), Pairs::new(frame));
        let personal = orgs.number(0, "");
        for day in read_days(BY_ORG, files_of(inputs, BY_ORG.table)?)? {
            let (day, chunks) = day?;
            if let Some(ended) = pairs.begin(day) {
                self.end_orgs(ended, &mut pairs);
            }
            for chunk in &chunks {
                let ids = chunk.texts("org_id")?.numbered(&mut orgs);
                let apps = chunk.texts("app_id")?.numbered(&mut self.apps);
                for (row, _) in chunk.numbers("human_events")?.iter().enumerate().filter(|(_, events)| **events > 0) {
                    let org = ids.of(row);
                    if org != personal {
                        pairs.add(apps.of(row), org);
                    }
                }
            }
            if !pairs.fit_beside(orgs.bytes()) {
                return Ok(false);
            }
        }
        if let Some(ended) = pairs.week.take() {
            self.end_orgs(ended, &mut pairs);
        }
        Ok(true)
    }

    fn end_orgs(&mut self, week: Day, pairs: &mut Pairs) {
        let uses = self.week(week);
        for (app, _) in pairs.distinct() {
            uses[app as usize].orgs += 1;
        }
        pairs.seen.clear();
    }

    /// The counts of a week, with a place for every app that is known by now.
    fn week(&mut self, week: Day) -> &mut Vec<Use> {
        let place = match self.weeks.binary_search_by_key(&week, |(known, _)| *known) {
            Ok(place) => place,
            Err(place) => {
                self.weeks.insert(place, (week, Vec::new()));
                place
            }
        };
        let uses = &mut self.weeks[place].1;
        uses.resize(self.apps.len(), Use::default());
        uses
    }

    fn batches(self, schema: &SchemaRef) -> Vec<Result<RecordBatch>> {
        let names = texts(&self.apps);
        let order = self.apps.ranks().numbers;
        let batch = |(week, uses): &(Day, Vec<Use>)| {
            let used = |app: &&u32| uses.get(**app as usize).is_some_and(|used| used.users > 0);
            let apps: Vec<u32> = order.iter().filter(used).copied().collect();
            let number = |value: fn(&Use) -> i64| -> ArrayRef {
                Arc::new(Int64Array::from_iter_values(apps.iter().map(|&app| value(&uses[app as usize]))))
            };
            batch(
                schema,
                vec![
                    Arc::new(Date32Array::from_value(*week, apps.len())),
                    Arc::new(coded(&names, keys(apps.iter().copied()))?),
                    number(|used| used.users),
                    number(|used| used.orgs),
                    number(|used| used.events),
                    number(|used| used.usage_ms),
                    number(|used| used.users_of_all),
                ],
            )
        };
        self.weeks.iter().map(batch).collect()
    }
}

/// Who used which app in the week that is being read: the number of an app in the upper half, that of who used it in the
/// lower one, since one number is sorted faster than two.
struct Pairs {
    grain: Grain,
    memory: u64,
    // The first day of the week.
    week: Option<Day>,
    seen: Vec<u64>,
}

impl Pairs {
    fn new(frame: Frame) -> Self {
        Self { grain: Grain::Week(frame.week_start), memory: frame.memory, week: None, seen: Vec::new() }
    }

    /// Goes on to the week of a day; gives the week that has ended with it.
    fn begin(&mut self, day: Day) -> Option<Day> {
        let week = self.grain.first_day(self.grain.index(day));
        self.week.replace(week).filter(|before| *before != week)
    }

    fn add(&mut self, app: u32, user: u32) {
        self.seen.push(u64::from(app) << 32 | u64::from(user));
    }

    /// Each pair once.
    #[expect(clippy::cast_possible_truncation, reason = "a pair is two numbers of 32 bits")]
    fn distinct(&mut self) -> impl Iterator<Item = (u32, u32)> {
        self.seen.par_sort_unstable();
        self.seen.dedup();
        self.seen.iter().map(|&pair| ((pair >> 32) as u32, pair as u32))
    }

    fn fit_beside(&self, names: usize) -> bool {
        (names + self.seen.len() * size_of::<u64>()) as u64 <= self.memory
    }
}

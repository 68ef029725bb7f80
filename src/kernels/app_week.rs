//! How much each app was used in each week, and by how many. See `queries/states/app_week/query.sql`.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;

use super::days::read_days;
use super::pairs::PERSONAL;
use super::{Frame, Inputs, Rows, Shared, batch, coded, files_of, keys, texts};
use crate::columns::{Chunk, Wanted};
use crate::error::Result;
use crate::names::Names;
use crate::period::{Day, Grain};

const BY_USER: Wanted =
    Wanted { table: "app_user_day", texts: &["app_id", "user_id"], others: &["human_events", "usage_ms"] };

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
struct Weeks {
    grain: Grain,
    apps: Names,
    all: Vec<(Day, Vec<Use>)>,
}

/// Who used which app in the week that is being read.
#[derive(Default)]
struct Users {
    names: Names,
    // The first day of the week.
    week: Option<Day>,
    // The users of an app on a day are neighbours.
    used: Vec<u32>,
    // An app, and where its users of a day are.
    runs: Vec<(u32, Range<usize>)>,
}

/// The apps of all weeks.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef, shared: &Shared) -> Result<Option<Rows>> {
    let mut weeks = Weeks { grain: Grain::Week(frame.week_start), apps: Names::default(), all: Vec::new() };
    let fits = weeks.count_users(inputs, frame)? && weeks.count_orgs(inputs, frame, shared)?;
    Ok(fits.then(|| Box::new(weeks.batches(schema).into_iter()) as Rows))
}

impl Weeks {
    // Whether the memory was enough.
    fn count_users(&mut self, inputs: &Inputs, frame: Frame) -> Result<bool> {
        let mut users = Users::default();
        for day in read_days(BY_USER, files_of(inputs, BY_USER.table)?)? {
            let (day, chunks) = day?;
            let week = self.grain.first_day(self.grain.index(day));
            if let Some(ended) = users.week.replace(week).filter(|before| *before != week) {
                users.end(self.week(ended));
            }
            for chunk in &chunks {
                self.add(week, chunk, &mut users)?;
            }
            if users.bytes() as u64 > frame.memory {
                return Ok(false);
            }
        }
        if let Some(ended) = users.week.take() {
            users.end(self.week(ended));
        }
        Ok(true)
    }

    fn add(&mut self, week: Day, chunk: &Chunk, users: &mut Users) -> Result<()> {
        let texts = chunk.texts("app_id")?;
        let apps = texts.numbered(&mut self.apps);
        let ids = chunk.texts("user_id")?.numbered(&mut users.names);
        let (events, usage_ms) = (chunk.numbers("human_events")?, chunk.numbers("usage_ms")?);
        let uses = self.week(week);
        let mut start = 0;
        for same in texts.keys().chunk_by(|one, next| one == next) {
            let rows = start..start + same.len();
            let app = apps.of(start);
            start = rows.end;
            let used = &mut uses[app as usize];
            used.events += events[rows.clone()].iter().sum::<i64>();
            used.usage_ms += usage_ms[rows.clone()].iter().sum::<i64>();
            let first = users.used.len();
            users.used.extend(rows.map(|row| ids.of(row)));
            users.runs.push((app, first..users.used.len()));
        }
        Ok(())
    }

    fn count_orgs(&mut self, inputs: &Inputs, frame: Frame, shared: &Shared) -> Result<bool> {
        // By the number of an app among the shared ones: its number here.
        let mut numbers: Vec<u32> = Vec::new();
        // By pair of an organisation and an app: the last week that it was counted in.
        let mut last_weeks: Vec<Option<Day>> = Vec::new();
        for day in shared.apps.days(inputs)? {
            let (day, files) = day?;
            let week = self.grain.first_day(self.grain.index(day));
            let known = shared.apps.known();
            numbers.extend(known.others.texts_after(numbers.len()).map(|app| self.apps.number(0, app)));
            last_weeks.resize(known.ids.len(), None);
            let uses = self.week(week);
            for row in files.iter().flat_map(|file| &file.rows).filter(|row| row.is_human()) {
                let (org, app) = known.ids[row.pair()];
                if org != PERSONAL && last_weeks[row.pair()].replace(week) != Some(week) {
                    uses[numbers[app as usize] as usize].orgs += 1;
                }
            }
            drop(known);
            if !shared.apps.fit(frame, size_of_val(last_weeks.as_slice())) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The counts of a week, with a place for every app that is known by now.
    fn week(&mut self, week: Day) -> &mut Vec<Use> {
        let place = match self.all.binary_search_by_key(&week, |(known, _)| *known) {
            Ok(place) => place,
            Err(place) => {
                self.all.insert(place, (week, Vec::new()));
                place
            }
        };
        let uses = &mut self.all[place].1;
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
        self.all.iter().map(batch).collect()
    }
}

impl Users {
    /// Counts the users of each app in the week, and begins another one.
    fn end(&mut self, uses: &mut [Use]) {
        // By user: the number of the app that was counted last, and one more.
        let mut counted_in = vec![0; self.names.len()];
        let mut of_all = 0;
        self.runs.sort_unstable_by_key(|(app, _)| *app);
        for (app, range) in self.runs.drain(..) {
            for &user in &self.used[range] {
                let before = std::mem::replace(&mut counted_in[user as usize], app + 1);
                of_all += i64::from(before == 0);
                uses[app as usize].users += i64::from(before != app + 1);
            }
        }
        for used in uses {
            used.users_of_all = of_all;
        }
        self.used.clear();
    }

    fn bytes(&self) -> usize {
        let runs = size_of_val(self.runs.as_slice());
        // And a number for each name, at the end of the week.
        runs + self.names.bytes() + (self.used.len() + self.names.len()) * size_of::<u32>()
    }
}

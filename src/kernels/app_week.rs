//! How much each app was used in each week, and by how many. See `queries/states/app_week/query.sql`.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;

use super::days::{days, side_by_side};
use super::pairs::PERSONAL;
use super::{Frame, Input, Inputs, Rows, Shared, batch, coded, files_of, texts};
use crate::columns::Wanted;
use crate::error::Result;
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

/// What is counted of the apps of each week, by their shared numbers, in the order of weeks.
struct Weeks {
    grain: Grain,
    all: Vec<(Day, Vec<Use>)>,
}

/// Who used which app on a day, or in the week that is being read.
#[derive(Default)]
struct Users {
    // The users of an app on a day are neighbours.
    used: Vec<u32>,
    runs: Vec<Run>,
}

/// An app, where its users of a day are, and what they did.
struct Run {
    app: u32,
    users: Range<usize>,
    events: i64,
    usage_ms: i64,
}

/// The apps of all weeks.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef, shared: &Shared) -> Result<Option<Rows>> {
    let mut weeks = Weeks { grain: Grain::Week(frame.week_start), all: Vec::new() };
    let fits = weeks.count_users(inputs, frame, shared)? && weeks.count_orgs(inputs, frame, shared)?;
    Ok(fits.then(|| Box::new(weeks.batches(schema, shared).into_iter()) as Rows))
}

impl Weeks {
    // Whether the memory was enough.
    fn count_users(&mut self, inputs: &Inputs, frame: Frame, shared: &Shared) -> Result<bool> {
        let mut of_week: Option<(Day, Users)> = None;
        let by_day = days(files_of(inputs, BY_USER.table)?)?;
        let numbers = shared.clone();
        for day in side_by_side(by_day, move |(day, files)| Ok((*day, Users::read(files, &numbers)?))) {
            let (day, users) = day?;
            let week = self.grain.first_day(self.grain.index(day));
            let known = shared.users.count_of_others();
            if let Some((ended, users)) = of_week.take_if(|(before, _)| *before != week) {
                users.count(self.week(ended, shared), known);
            }
            let (_, all) = of_week.get_or_insert_with(|| (week, Users::default()));
            all.add(users);
            if !shared.users.fit(frame, all.bytes() + known * size_of::<u32>()) {
                return Ok(false);
            }
        }
        if let Some((ended, users)) = of_week {
            users.count(self.week(ended, shared), shared.users.count_of_others());
        }
        Ok(true)
    }

    fn count_orgs(&mut self, inputs: &Inputs, frame: Frame, shared: &Shared) -> Result<bool> {
        // By pair of an organisation and an app: the last week that it was counted in.
        let mut last_weeks: Vec<Option<Day>> = Vec::new();
        let mut ids = Vec::new();
        for day in shared.apps.days(inputs)? {
            let (day, files) = day?;
            let week = self.grain.first_day(self.grain.index(day));
            shared.apps.learn(&mut ids);
            last_weeks.resize(ids.len(), None);
            let uses = self.week(week, shared);
            for (_, rows) in files.iter().flat_map(|file| file.by_org()).filter(|(org, _)| *org != PERSONAL) {
                for pair in rows.iter().filter(|row| row.is_human()).map(|row| row.pair()) {
                    if last_weeks[pair].replace(week) != Some(week) {
                        uses[ids[pair].1 as usize].orgs += 1;
                    }
                }
            }
            if !shared.apps.fit(frame, size_of_val(last_weeks.as_slice()) + size_of_val(ids.as_slice())) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The counts of a week, with a place for every app that is known by now.
    fn week(&mut self, week: Day, shared: &Shared) -> &mut Vec<Use> {
        let place = match self.all.binary_search_by_key(&week, |(known, _)| *known) {
            Ok(place) => place,
            Err(place) => {
                self.all.insert(place, (week, Vec::new()));
                place
            }
        };
        let uses = &mut self.all[place].1;
        uses.resize(shared.apps.count_of_others(), Use::default());
        uses
    }

    fn batches(self, schema: &SchemaRef, shared: &Shared) -> Vec<Result<RecordBatch>> {
        let known = shared.apps.known();
        let (names, order) = (texts(&known.others), known.others.ranks().numbers);
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
                    Arc::new(coded(&names, apps.iter().copied())?),
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
    fn read(files: &[Input], shared: &Shared) -> Result<Self> {
        let mut users = Self::default();
        for file in files {
            for chunk in BY_USER.read(&file.path)? {
                let chunk = chunk?;
                let texts = chunk.texts("app_id")?;
                let (apps, ids) = (shared.apps.others(texts), shared.users.others(chunk.texts("user_id")?));
                let (events, usage_ms) = (chunk.numbers("human_events")?, chunk.numbers("usage_ms")?);
                let mut start = 0;
                for same in texts.keys().chunk_by(|one, next| one == next) {
                    let rows = start..start + same.len();
                    let app = apps.of(start);
                    start = rows.end;
                    let first = users.used.len();
                    users.used.extend(rows.clone().map(|row| ids.of(row)));
                    users.runs.push(Run {
                        app,
                        users: first..users.used.len(),
                        events: events[rows.clone()].iter().sum(),
                        usage_ms: usage_ms[rows].iter().sum(),
                    });
                }
            }
        }
        Ok(users)
    }

    fn add(&mut self, day: Self) {
        let first = self.used.len();
        self.used.extend(day.used);
        self.runs.extend(day.runs.into_iter().map(|run| {
            let users = first + run.users.start..first + run.users.end;
            Run { users, ..run }
        }));
    }

    /// Counts the uses of each app in the week, and its users, of whom so many are known.
    fn count(mut self, uses: &mut [Use], known: usize) {
        // By user: the number of the app that was counted last, and one more.
        let mut counted_in = vec![0; known];
        let mut of_all = 0;
        self.runs.sort_unstable_by_key(|run| run.app);
        for run in self.runs {
            let used = &mut uses[run.app as usize];
            used.events += run.events;
            used.usage_ms += run.usage_ms;
            for &user in &self.used[run.users] {
                let before = std::mem::replace(&mut counted_in[user as usize], run.app + 1);
                of_all += i64::from(before == 0);
                used.users += i64::from(before != run.app + 1);
            }
        }
        for used in uses {
            used.users_of_all = of_all;
        }
    }

    fn bytes(&self) -> usize {
        size_of_val(self.runs.as_slice()) + size_of_val(self.used.as_slice())
    }
}

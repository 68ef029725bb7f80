//! How much each app was used in each week, and by how many. See `queries/states/app_week/query.sql`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;

use super::days::{FilesOfDay, days, side_by_side};
use super::pairs::{APPS, OUTSIDE, PERSONAL, Pairs};
use super::parts::Halted;
use super::{Frame, Input, Inputs, Rows, Shared, batch, coded, files_of, texts};
use crate::columns::{Chunk, Wanted};
use crate::error::Result;
use crate::names::Names;
use crate::period::{Day, Grain};

const BY_USER: Wanted =
    Wanted { table: "app_user_day", texts: &["app_id", "user_id"], others: &["human_events", "usage_ms"] };

const USER: Wanted = Wanted { table: BY_USER.table, texts: &["user_id"], others: &[] };

/// A row of the result; of apps by their number.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    users: i64,
    orgs: i64,
    events: i64,
    usage_ms: i64,
}

/// What is counted in a week.
#[derive(Default)]
struct Week {
    // Of all apps.
    users: i64,
    // By the number of an app.
    uses: Vec<Use>,
}

/// What is counted in each week.
#[derive(Default)]
struct Weeks(BTreeMap<Day, Week>);

/// The numbers of apps. Several threads read them.
type Apps = Arc<Mutex<Names>>;

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
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef, shared: &Shared) -> Result<Rows> {
    let grain = Grain::Week(frame.week_start);
    let (apps, mut weeks) = (Apps::default(), Weeks::default());
    let by_user = files_of(inputs, BY_USER.table)?;
    for part in shared.users.in_parts(USER, by_user, |users| count_users(by_user, grain, &apps, users)) {
        weeks.add(part?);
    }
    let by_org = files_of(inputs, APPS.table)?;
    for part in shared.apps.in_parts(APPS.divided_by(), by_org, |pairs| count_orgs(inputs, grain, &apps, pairs)) {
        weeks.add(part?);
    }
    let batches = weeks.batches(schema, &numbers(&apps));
    Ok(Box::new(batches.into_iter()))
}

fn numbers(apps: &Apps) -> MutexGuard<'_, Names> {
    apps.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count_users(files: &[Input], grain: Grain, apps: &Apps, pairs: &Arc<Pairs>) -> Halted<Weeks> {
    let mut weeks = Weeks::default();
    let mut of_week: Option<(Day, Users)> = None;
    let (apps_of_days, users_of_days) = (Arc::clone(apps), Arc::clone(pairs));
    let read = move |(day, files): &FilesOfDay| Ok((*day, Users::read(files, &apps_of_days, &users_of_days)?));
    for day in side_by_side(days(files)?, read) {
        let (day, users) = day?;
        let week = grain.first_day(grain.index(day));
        let known = pairs.count_of_others();
        if let Some((ended, users)) = of_week.take_if(|(before, _)| *before != week) {
            users.count(weeks.of(ended, apps), known);
        }
        let (_, all) = of_week.get_or_insert_with(|| (week, Users::default()));
        all.add(users);
        pairs.fit(all.bytes() + known * size_of::<u32>())?;
    }
    if let Some((ended, users)) = of_week {
        users.count(weeks.of(ended, apps), pairs.count_of_others());
    }
    Ok(weeks)
}

fn count_orgs(inputs: &Inputs, grain: Grain, apps: &Apps, pairs: &Arc<Pairs>) -> Halted<Weeks> {
    let mut weeks = Weeks::default();
    // By pair of an organisation and an app: the last week that it was counted in.
    let mut last_weeks: Vec<Option<Day>> = Vec::new();
    let mut ids = Vec::new();
    // By their numbers in the pairs.
    let mut own: Vec<u32> = Vec::new();
    for day in pairs.days(inputs)? {
        let (day, files) = day?;
        let week = grain.first_day(grain.index(day));
        pairs.learn(&mut ids);
        last_weeks.resize(ids.len(), None);
        {
            let (known, mut apps) = (pairs.known(), numbers(apps));
            own.extend(known.others.texts_after(own.len()).map(|app| apps.number(0, app)));
        }
        let uses = &mut weeks.of(week, apps).uses;
        for (_, rows) in files.iter().flat_map(|file| file.by_org()).filter(|(org, _)| *org != PERSONAL) {
            for pair in rows.iter().filter(|row| row.is_human()).map(|row| row.pair()) {
                if last_weeks[pair].replace(week) != Some(week) {
                    uses[own[ids[pair].1 as usize] as usize].orgs += 1;
                }
            }
        }
        pairs.fit(size_of_val(last_weeks.as_slice()) + size_of_val(ids.as_slice()))?;
    }
    Ok(weeks)
}

impl Weeks {
    /// The counts of a week, with a place for every app that is known by now.
    fn of(&mut self, week: Day, apps: &Apps) -> &mut Week {
        let week = self.0.entry(week).or_default();
        week.uses.resize(numbers(apps).len().max(week.uses.len()), Use::default());
        week
    }

    /// Adds what was counted of other users or organisations.
    fn add(&mut self, others: Self) {
        for (week, others) in others.0 {
            let week = self.0.entry(week).or_default();
            week.users += others.users;
            week.uses.resize(week.uses.len().max(others.uses.len()), Use::default());
            for (used, other) in week.uses.iter_mut().zip(others.uses) {
                used.users += other.users;
                used.orgs += other.orgs;
                used.events += other.events;
                used.usage_ms += other.usage_ms;
            }
        }
    }

    fn batches(&self, schema: &SchemaRef, apps: &Names) -> Vec<Result<RecordBatch>> {
        let (names, order) = (texts(apps), apps.ranks().numbers);
        let batch = |(day, week): (&Day, &Week)| {
            let used = |app: &&u32| week.uses.get(**app as usize).is_some_and(|used| used.users > 0);
            let apps: Vec<u32> = order.iter().filter(used).copied().collect();
            let number = |value: fn(&Use) -> i64| -> ArrayRef {
                Arc::new(Int64Array::from_iter_values(apps.iter().map(|&app| value(&week.uses[app as usize]))))
            };
            batch(
                schema,
                vec![
                    Arc::new(Date32Array::from_value(*day, apps.len())),
                    Arc::new(coded(&names, apps.iter().copied())?),
                    number(|used| used.users),
                    number(|used| used.orgs),
                    number(|used| used.events),
                    number(|used| used.usage_ms),
                    Arc::new(Int64Array::from_value(week.users, apps.len())),
                ],
            )
        };
        self.0.iter().map(batch).collect()
    }
}

impl Users {
    fn read(files: &[Input], apps: &Apps, pairs: &Pairs) -> Halted<Self> {
        let mut users = Self::default();
        for file in files {
            let wanted = |least: &[u8], most: &[u8]| pairs.part().may_have(least, most);
            for chunk in BY_USER.read_where(&file.path, USER.texts[0], &wanted)? {
                users.add_chunk(&chunk?, apps, pairs)?;
                pairs.fit(users.bytes())?;
            }
        }
        Ok(users)
    }

    fn add_chunk(&mut self, chunk: &Chunk, apps: &Apps, pairs: &Pairs) -> Result<()> {
        let texts = chunk.texts("app_id")?;
        // Other threads number apps meanwhile, and not behind all of these users.
        let apps = texts.numbered(&mut numbers(apps));
        let ids = pairs.others(chunk.texts("user_id")?);
        let (events, usage_ms) = (chunk.numbers("human_events")?, chunk.numbers("usage_ms")?);
        let mut start = 0;
        for same in texts.keys().chunk_by(|one, next| one == next) {
            let rows = start..start + same.len();
            start = rows.end;
            let first = self.used.len();
            let mut run = Run { app: apps.of(rows.start), users: first..first, events: 0, usage_ms: 0 };
            for row in rows.filter(|row| ids.of(*row) != OUTSIDE) {
                self.used.push(ids.of(row));
                run.events += events[row];
                run.usage_ms += usage_ms[row];
            }
            run.users.end = self.used.len();
            if !run.users.is_empty() {
                self.runs.push(run);
            }
        }
        Ok(())
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
    fn count(mut self, week: &mut Week, known: usize) {
        // By user: the number of the app that was counted last, and one more.
        let mut counted_in = vec![0; known];
        self.runs.sort_unstable_by_key(|run| run.app);
        for run in self.runs {
            let used = &mut week.uses[run.app as usize];
            used.events += run.events;
            used.usage_ms += run.usage_ms;
            for &user in &self.used[run.users] {
                let before = std::mem::replace(&mut counted_in[user as usize], run.app + 1);
                week.users += i64::from(before == 0);
                used.users += i64::from(before != run.app + 1);
            }
        }
    }

    fn bytes(&self) -> usize {
        size_of_val(self.runs.as_slice()) + size_of_val(self.used.as_slice())
    }
}

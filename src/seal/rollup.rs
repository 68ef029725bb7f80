//! Rolling up: sorted events in, rows of `user_day` and `org_app_day` out, in one pass and integer sums only.
//! The SQL in `queries/rollups/` is the definition of record; this computes the same rows. It writes no files.

use std::cmp::Ordering;

use arrow::array::{ArrayRef, AsArray, Int64Array, Int64Builder, RecordBatch, StringArray, StringBuilder};
use arrow::datatypes::Int64Type;
use hashbrown::HashMap;
use std::sync::Arc;

use super::rows::Texts;
use super::who::Who;
use crate::error::{Error, Result};
use crate::event::Table;

/// The columns of `events` that a rollup reads.
pub(super) const ROLLUP_COLUMNS: [&str; 5] = ["user_id", "org_id", "app_id", "action", "duration_ms"];

const BATCH_ROWS: usize = 1 << 16;
// Apps are few; a log with an app of its own in each event must still not fill the memory.
const MOST_KNOWN_APPS: usize = 1 << 16;

/// The state of a pass over events that are sorted by organisation, user and app.
pub(super) struct Rollup<'a> {
    who: &'a Who,
    excluded_actions: Vec<&'a [u8]>,
    org: Option<String>,
    user: String,
    user_is_internal: bool,
    user_sums: Sums,
    apps: HashMap<String, usize>,
    // By the number in `apps`: its sums in the present organisation.
    app_sums: Vec<App>,
    // The apps of the present organisation.
    touched: Vec<usize>,
    users: Output<2, 3>,
    org_apps: Output<2, 4>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    events: i64,
    human_events: i64,
    machine_events: i64,
    usage_ms: i64,
}

struct App {
    name: String,
    is_excluded: bool,
    sums: Sums,
}

// A run of events of one user and app, before it is known who counts.
struct Run<'b> {
    org: &'b str,
    user: &'b str,
    app: &'b str,
    events: i64,
    // Without events whose action is excluded.
    counted: i64,
    counted_ms: i64,
}

impl<'a> Rollup<'a> {
    pub(super) fn new(who: &'a Who) -> Self {
        let mut excluded_actions = who.exclude_actions.iter().map(String::as_bytes).collect::<Vec<_>>();
        excluded_actions.sort_unstable();
        Self {
            who,
            excluded_actions,
            org: None,
            user: String::new(),
            user_is_internal: false,
            user_sums: Sums::default(),
            apps: HashMap::new(),
            app_sums: Vec::new(),
            touched: Vec::new(),
            users: Output::new(Table::UserDay),
            org_apps: Output::new(Table::OrgAppDay),
        }
    }

    /// Adds the next events. Events out of order are an internal error, since their rows would come twice.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let [user_id, org_id, app_id, action, duration_ms] = ROLLUP_COLUMNS.map(|name| batch.column_by_name(name));
        let text = |column: Option<&ArrayRef>| column.and_then(|column| column.as_string_opt::<i32>()).cloned();
        let (Some(user_id), Some(org_id), Some(app_id), Some(action)) =
            (text(user_id), text(org_id), text(app_id), text(action))
        else {
            return Err(Error::Internal("cannot roll up events: an id or the action is no text".into()));
        };
        let Some(duration_ms) = duration_ms.and_then(|column| column.as_primitive_opt::<Int64Type>()) else {
            return Err(Error::Internal("cannot roll up events: duration_ms is no integer".into()));
        };
        self.add_columns(&org_id, &user_id, &app_id, &action, duration_ms)
    }

    fn add_columns(
        &mut self,
        org_id: &StringArray,
        user_id: &StringArray,
        app_id: &StringArray,
        action: &StringArray,
        duration_ms: &Int64Array,
    ) -> Result<()> {
        let [orgs, users, apps, actions] = [org_id, user_id, app_id, action].map(Texts::new);
        let durations: &[i64] = duration_ms.values();
        let is_next = |row: usize| {
            row + 1 < orgs.len()
                && apps.at(row) == apps.at(row + 1)
                && users.at(row) == users.at(row + 1)
                && orgs.at(row) == orgs.at(row + 1)
        };
        let mut row = 0;
        while row < orgs.len() {
            let (org, user, app) = (org_id.value(row), user_id.value(row), app_id.value(row));
            let mut run = Run { org, user, app, events: 0, counted: 0, counted_ms: 0 };
            loop {
                run.events += 1;
                if !self.is_excluded_action(actions.at(row)) {
                    run.counted += 1;
                    run.counted_ms = run.counted_ms.saturating_add(durations[row]);
                }
                row += 1;
                if !is_next(row - 1) {
                    break;
                }
            }
            self.add_run(&run)?;
        }
        Ok(())
    }

    fn is_excluded_action(&self, action: &[u8]) -> bool {
        match self.excluded_actions.as_slice() {
            few if few.len() <= 4 => few.contains(&action),
            many => many.binary_search(&action).is_ok(),
        }
    }

    fn add_run(&mut self, run: &Run<'_>) -> Result<()> {
        self.turn_to(run.org, run.user)?;
        let number = match self.apps.get(run.app) {
            Some(&number) => number,
            None => self.learn_app(run.app),
        };
        let app = &mut self.app_sums[number];
        if app.sums.events == 0 {
            self.touched.push(number);
        }
        let is_machine = run.user.is_empty();
        let is_human = !is_machine && !self.user_is_internal && !app.is_excluded;
        for sums in [&mut app.sums, &mut self.user_sums] {
            sums.events += run.events;
            if is_human {
                sums.human_events += run.counted;
                sums.usage_ms = sums.usage_ms.saturating_add(run.counted_ms);
            }
            if is_machine && !app.is_excluded {
                sums.machine_events += run.counted;
            }
        }
        Ok(())
    }

    // Closes what ends when this user of this organisation begins.
    fn turn_to(&mut self, org: &str, user: &str) -> Result<()> {
        let order = self.org.as_deref().map_or(Ordering::Less, |present| present.cmp(org));
        match order.then_with(|| self.user.as_str().cmp(user)) {
            Ordering::Equal => return Ok(()),
            Ordering::Greater => {
                let message = format!("cannot roll up events: organisation `{org}`, user `{user}` is out of order");
                return Err(Error::Internal(message));
            }
            Ordering::Less => {}
        }
        self.close_user()?;
        if order.is_lt() {
            self.close_org()?;
            self.org = Some(org.to_owned());
        }
        user.clone_into(&mut self.user);
        self.user_is_internal = self.who.internal_users.contains(user);
        Ok(())
    }

    fn learn_app(&mut self, name: &str) -> usize {
        let number = self.app_sums.len();
        self.apps.insert(name.to_owned(), number);
        let is_excluded = self.who.exclude_apps.contains(name);
        self.app_sums.push(App { name: name.to_owned(), is_excluded, sums: Sums::default() });
        number
    }

    fn close_user(&mut self) -> Result<()> {
        let sums = std::mem::take(&mut self.user_sums);
        match &self.org {
            Some(org) if !self.user.is_empty() => {
                self.users.push([org, &self.user], [sums.events, sums.human_events, sums.usage_ms])
            }
            _ => Ok(()),
        }
    }

    fn close_org(&mut self) -> Result<()> {
        let Some(org) = &self.org else { return Ok(()) };
        let apps = &mut self.app_sums;
        self.touched.sort_unstable_by(|&one, &other| apps[one].name.cmp(&apps[other].name));
        for number in self.touched.drain(..) {
            let app = &mut apps[number];
            let sums = std::mem::take(&mut app.sums);
            let numbers = [sums.events, sums.human_events, sums.machine_events, sums.usage_ms];
            self.org_apps.push([org, &app.name], numbers)?;
        }
        if self.apps.len() > MOST_KNOWN_APPS {
            self.apps.clear();
            self.app_sums.clear();
        }
        Ok(())
    }

    /// Ends the pass; what is left can then be taken.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.close_user()?;
        self.close_org()?;
        self.org = None;
        self.user.clear();
        self.users.flush()?;
        self.org_apps.flush()
    }

    /// The complete batches of `user_day` so far, sorted.
    pub(super) fn user_day(&mut self) -> &mut Vec<RecordBatch> {
        &mut self.users.full
    }

    /// The complete batches of `org_app_day` so far, sorted.
    pub(super) fn org_app_day(&mut self) -> &mut Vec<RecordBatch> {
        &mut self.org_apps.full
    }
}

// Rows of a table with so many text columns, then so many numbers.
struct Output<const TEXTS: usize, const NUMBERS: usize> {
    table: Table,
    texts: [StringBuilder; TEXTS],
    numbers: [Int64Builder; NUMBERS],
    rows: usize,
    full: Vec<RecordBatch>,
}

impl<const TEXTS: usize, const NUMBERS: usize> Output<TEXTS, NUMBERS> {
    fn new(table: Table) -> Self {
        let texts = std::array::from_fn(|_| StringBuilder::new());
        let numbers = std::array::from_fn(|_| Int64Builder::new());
        Self { table, texts, numbers, rows: 0, full: Vec::new() }
    }

    fn push(&mut self, texts: [&str; TEXTS], numbers: [i64; NUMBERS]) -> Result<()> {
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.append_value(text);
        }
        for (column, number) in self.numbers.iter_mut().zip(numbers) {
            column.append_value(number);
        }
        self.rows += 1;
        if self.rows == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        self.rows = 0;
        let texts = self.texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        let columns =
            texts.chain(self.numbers.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef)).collect();
        let batch = RecordBatch::try_new(self.table.file_schema(), columns)
            .map_err(|cause| Error::Internal(format!("rows of {} do not fit: {cause}", self.table.name())))?;
        self.full.push(batch);
        Ok(())
    }
}

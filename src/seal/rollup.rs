//! Rolling up: sorted events in, rows of the tables of organisations out, in one pass and integer sums only; what
//! crosses organisations is collected on the way.
//! The SQL in `queries/rollups/` is the definition of record; this computes the same rows. It writes no files.

use std::cmp::Ordering;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use super::output::Output;
use super::rows::Texts;
use super::uses::Uses;
use super::who::Who;
use crate::error::{Error, Result};
use crate::event::{CHECK_IN, Table};

/// The columns of `events` that a rollup reads.
pub(super) const ROLLUP_COLUMNS: [&str; 7] =
    ["ts", "user_id", "org_id", "app_id", "action", "duration_ms", "concurrent_id"];

/// The state of a pass over events that are sorted by organisation, user, app and instant.
pub(super) struct Rollup<'a> {
    who: &'a Who,
    excluded_actions: Vec<&'a [u8]>,
    org: Option<String>,
    user: String,
    // Counts the users of organisations, so that a room can tell whether it has seen the present one.
    user_turn: u64,
    user_is_internal: bool,
    // The number of the user in `uses`, once there is a human event.
    user_number: Option<u32>,
    user_sums: Sums,
    active_users: i64,
    uses: Uses,
    // By the number in `uses`: sums in the present organisation.
    apps: Vec<App>,
    rooms: Vec<Room>,
    // The apps and rooms of the present organisation.
    touched_apps: Vec<u32>,
    touched_rooms: Vec<u32>,
    user_day: Output<2, 4>,
    org_app_day: Output<2, 4>,
    org_users_day: Output<1, 1>,
    room_day: Output<3, 3>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    events: i64,
    human_events: i64,
    machine_events: i64,
    usage_ms: i64,
    check_ins: i64,
}

#[derive(Default)]
struct App {
    is_excluded: bool,
    sums: Sums,
}

#[derive(Default)]
struct Room {
    users: i64,
    human_events: i64,
    usage_ms: i64,
    // The turn of the user that was seen last.
    last_turn: u64,
}

// The columns of a batch.
struct Columns<'b> {
    orgs: Texts<'b>,
    users: Texts<'b>,
    apps: Texts<'b>,
    actions: Texts<'b>,
    rooms: &'b StringArray,
    instants: &'b [i64],
    durations: &'b [i64],
}

impl Columns<'_> {
    // Whether the next row is of the same organisation, user and app.
    fn goes_on(&self, row: usize) -> bool {
        row + 1 < self.orgs.len()
            && self.apps.at(row) == self.apps.at(row + 1)
            && self.users.at(row) == self.users.at(row + 1)
            && self.orgs.at(row) == self.orgs.at(row + 1)
    }
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
            user_turn: 0,
            user_is_internal: false,
            user_number: None,
            user_sums: Sums::default(),
            active_users: 0,
            uses: Uses::default(),
            apps: Vec::new(),
            rooms: Vec::new(),
            touched_apps: Vec::new(),
            touched_rooms: Vec::new(),
            user_day: Output::new(Table::UserDay),
            org_app_day: Output::new(Table::OrgAppDay),
            org_users_day: Output::new(Table::OrgUsersDay),
            room_day: Output::new(Table::RoomDay),
        }
    }

    /// Adds the next events. Events out of order are an internal error, since their rows would come twice.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let column = |name: &str| batch.column_by_name(name);
        let text = |name: &str| column(name).and_then(|column: &ArrayRef| column.as_string_opt::<i32>());
        let (Some(user_id), Some(org_id), Some(app_id), Some(action), Some(rooms)) =
            (text("user_id"), text("org_id"), text("app_id"), text("action"), text("concurrent_id"))
        else {
            return Err(Error::Internal("cannot roll up events: an id or the action is no text".into()));
        };
        let ts: Option<&TimestampMicrosecondArray> =
            column("ts").and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let duration_ms: Option<&Int64Array> =
            column("duration_ms").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let (Some(ts), Some(duration_ms)) = (ts, duration_ms) else {
            return Err(Error::Internal("cannot roll up events: ts or duration_ms is no integer".into()));
        };
        let [orgs, users, apps, actions] = [org_id, user_id, app_id, action].map(Texts::new);
        let (instants, durations) = (ts.values(), duration_ms.values());
        let columns = Columns { orgs, users, apps, actions, rooms, instants, durations };
        let mut row = 0;
        while row < batch.num_rows() {
            self.turn_to(org_id.value(row), user_id.value(row))?;
            row = self.add_run(&columns, row, app_id.value(row));
        }
        Ok(())
    }

    // Adds the events of the present user with one app, from a row on; gives the row behind them.
    fn add_run(&mut self, columns: &Columns<'_>, first: usize, app_id: &str) -> usize {
        let number = self.app(app_id);
        let app_is_excluded = self.apps[number as usize].is_excluded;
        let is_machine = self.user.is_empty();
        let is_human = !is_machine && !self.user_is_internal && !app_is_excluded;
        let mut run = Sums::default();
        let mut row = first;
        loop {
            run.events += 1;
            if !self.is_excluded_action(columns.actions.at(row)) {
                if is_human {
                    if run.human_events == 0 {
                        let user = self.user_number();
                        self.uses.begin(number, user);
                    }
                    self.add_human(columns, row, number, &mut run);
                } else if is_machine && !app_is_excluded {
                    run.machine_events += 1;
                }
            }
            row += 1;
            if !columns.goes_on(row - 1) {
                break;
            }
        }
        let app = &mut self.apps[number as usize].sums;
        if app.events == 0 {
            self.touched_apps.push(number);
        }
        app.add(&run);
        self.user_sums.add(&run);
        row
    }

    fn add_human(&mut self, columns: &Columns<'_>, row: usize, app: u32, run: &mut Sums) {
        let duration_ms = columns.durations[row];
        run.human_events += 1;
        run.usage_ms = run.usage_ms.saturating_add(duration_ms);
        run.check_ins += i64::from(columns.actions.at(row) == CHECK_IN.as_bytes());
        let room_id = columns.rooms.value(row);
        let room = (!room_id.is_empty()).then(|| self.add_to_room(app, room_id, duration_ms));
        self.uses.add(columns.instants[row], duration_ms, room);
    }

    fn add_to_room(&mut self, app: u32, room_id: &str, duration_ms: i64) -> u32 {
        let number = self.uses.rooms.number(app, room_id);
        if number as usize == self.rooms.len() {
            self.rooms.push(Room::default());
        }
        let room = &mut self.rooms[number as usize];
        if room.human_events == 0 {
            self.touched_rooms.push(number);
        }
        if room.last_turn != self.user_turn {
            room.last_turn = self.user_turn;
            room.users += 1;
        }
        room.human_events += 1;
        room.usage_ms = room.usage_ms.saturating_add(duration_ms);
        number
    }

    fn is_excluded_action(&self, action: &[u8]) -> bool {
        match self.excluded_actions.as_slice() {
            few if few.len() <= 4 => few.contains(&action),
            many => many.binary_search(&action).is_ok(),
        }
    }

    // The number of an app.
    fn app(&mut self, app_id: &str) -> u32 {
        let number = self.uses.apps.number(0, app_id);
        if number as usize == self.apps.len() {
            self.apps.push(App { is_excluded: self.who.exclude_apps.contains(app_id), sums: Sums::default() });
        }
        number
    }

    // The number of the present user. Most users have one organisation, so that this is asked about once for each.
    fn user_number(&mut self) -> u32 {
        *self.user_number.get_or_insert_with(|| self.uses.users.number(0, &self.user))
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
        self.user_turn += 1;
        self.user_number = None;
        self.user_is_internal = self.who.internal_users.contains(user);
        Ok(())
    }

    fn close_user(&mut self) -> Result<()> {
        let sums = std::mem::take(&mut self.user_sums);
        self.active_users += i64::from(sums.human_events > 0);
        match &self.org {
            Some(org) if !self.user.is_empty() => {
                let numbers = [sums.events, sums.human_events, sums.usage_ms, sums.check_ins];
                self.user_day.push([org, &self.user], numbers)
            }
            _ => Ok(()),
        }
    }

    fn close_org(&mut self) -> Result<()> {
        let active_users = std::mem::take(&mut self.active_users);
        let Some(org) = &self.org else { return Ok(()) };
        if !org.is_empty() && active_users > 0 {
            self.org_users_day.push([org], [active_users])?;
        }
        let Uses { apps: app_names, rooms: room_names, .. } = &self.uses;
        self.touched_apps.sort_unstable_by(|&one, &other| app_names.text(one).cmp(app_names.text(other)));
        for number in self.touched_apps.drain(..) {
            let sums = std::mem::take(&mut self.apps[number as usize].sums);
            let numbers = [sums.events, sums.human_events, sums.machine_events, sums.usage_ms];
            self.org_app_day.push([org, app_names.text(number)], numbers)?;
        }
        let key = |room: u32| (app_names.text(room_names.within(room)), room_names.text(room));
        self.touched_rooms.sort_unstable_by(|&one, &other| key(one).cmp(&key(other)));
        for number in self.touched_rooms.drain(..) {
            let room = std::mem::take(&mut self.rooms[number as usize]);
            let (app, room_id) = key(number);
            self.room_day.push([org, app, room_id], [room.users, room.human_events, room.usage_ms])?;
        }
        Ok(())
    }

    /// Ends the pass; what is left can then be taken.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.close_user()?;
        self.close_org()?;
        self.org = None;
        self.user.clear();
        self.user_day.flush()?;
        self.org_app_day.flush()?;
        self.org_users_day.flush()?;
        self.room_day.flush()
    }

    /// What was found so far that crosses organisations.
    pub(super) fn uses(&self) -> &Uses {
        &self.uses
    }

    /// Takes away what was found so far that crosses organisations. Of names only those stay known that the present
    /// organisation has sums for.
    pub(super) fn take_uses(&mut self) -> Uses {
        let taken = std::mem::take(&mut self.uses);
        self.user_number = None;
        let (mut apps, mut rooms) = (Vec::new(), Vec::new());
        for number in &mut self.touched_apps {
            apps.push(std::mem::take(&mut self.apps[*number as usize]));
            *number = self.uses.apps.number(0, taken.apps.text(*number));
        }
        for number in &mut self.touched_rooms {
            rooms.push(std::mem::take(&mut self.rooms[*number as usize]));
            let app = self.uses.apps.number(0, taken.apps.text(taken.rooms.within(*number)));
            *number = self.uses.rooms.number(app, taken.rooms.text(*number));
        }
        (self.apps, self.rooms) = (apps, rooms);
        taken
    }

    /// The complete batches so far of each table, sorted.
    pub(super) fn full(&mut self) -> [(Table, &mut Vec<RecordBatch>); 4] {
        [self.user_day.full(), self.org_app_day.full(), self.org_users_day.full(), self.room_day.full()]
    }
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.human_events += other.human_events;
        self.machine_events += other.machine_events;
        self.usage_ms = self.usage_ms.saturating_add(other.usage_ms);
        self.check_ins += other.check_ins;
    }
}

//! Rolling up: sorted events in, rows of the tables of organisations out, in one pass and integer sums only; what
//! crosses organisations is collected on the way.
//! The SQL in `queries/rollups/` is the definition of record; this computes the same rows. It writes no files.

use std::cmp::Ordering;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use super::output::{Output, Text};
use super::rows::Coded;
use super::uses::Uses;
use super::who::Who;
use crate::error::{Error, Result};
use crate::event::{CHECK_IN, Table};
use crate::names::{Names, ranks};
use crate::store::{code, is_same_list};

/// The columns of `events` that a rollup reads.
pub(super) const ROLLUP_COLUMNS: [&str; 7] =
    ["ts", "user_id", "org_id", "app_id", "action", "duration_ms", "concurrent_id"];

/// The state of a pass over events that are sorted by organisation, user, app and instant.
pub(super) struct Rollup<'a> {
    who: &'a Who,
    lists: Lists,
    org: Option<String>,
    // Counts organisations.
    org_turn: u32,
    user: String,
    // Counts the users of organisations, so that a room can tell whether it has seen the present one.
    user_turn: u64,
    user_is_internal: bool,
    // The number of the user in `uses`, as long as it is known.
    user_number: Option<u32>,
    user_sums: Sums,
    active_users: i64,
    uses: Uses,
    app_codes: Codes,
    user_codes: Codes,
    room_codes: Codes,
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

/// Whose texts the lists of coded columns hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lists {
    /// Those of the events that are rolled up; the first one gives all its texts numbers in their order.
    OfTheDay,
    /// Also those of many other events, of which copies would be in the way.
    OfMore,
}

// The numbers of the texts in a batch's list, as far as they are known.
#[derive(Default)]
struct Codes {
    list: Option<StringArray>,
    numbers: Vec<u32>,
}

const UNKNOWN: u32 = u32::MAX;

impl Codes {
    // Begins with another list, if it is one. The first list names all that it has.
    fn turn_to(&mut self, list: &StringArray, names: Option<&mut Names>) {
        if self.list.as_ref().is_some_and(|known| is_same_list(known, list)) {
            return;
        }
        self.list = Some(list.clone());
        self.numbers.clear();
        match names {
            Some(names) if names.len() == 0 => *names = self.sort(list),
            _ => self.numbers.resize(list.len(), UNKNOWN),
        }
    }

    // Numbers the texts of a list in their order, those that stand in it twice once.
    fn sort(&mut self, list: &StringArray) -> Names {
        let texts = (0..list.len()).map(|code| list.value(code)).collect::<Vec<_>>();
        if texts.is_sorted_by(|one, next| one < next) {
            self.numbers.extend((0..).take(texts.len()));
            return Names::sorted(texts);
        }
        let ranks = ranks(&texts.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
        let mut sorted = vec![0; texts.len()];
        for (code, &rank) in ranks.iter().enumerate() {
            sorted[rank as usize] = code;
        }
        self.numbers.resize(texts.len(), UNKNOWN);
        for (number, of_text) in (0..).zip(sorted.chunk_by(|&one, &next| texts[one] == texts[next])) {
            for &code in of_text {
                self.numbers[code] = number;
            }
        }
        sorted.dedup_by_key(|code| texts[*code]);
        Names::sorted(sorted.into_iter().map(|code| texts[code]))
    }

    fn number(&mut self, code: u32, give: impl FnOnce(&str) -> u32) -> u32 {
        let Self { list: Some(list), numbers } = self else { return UNKNOWN };
        let number = &mut numbers[code as usize];
        if *number == UNKNOWN {
            *number = give(list.value(code as usize));
        }
        *number
    }

    // The number of each row's text.
    fn number_all(&mut self, column: &Coded, names: &mut Names) -> Vec<u32> {
        column.codes.values().iter().map(|&code| self.number(code, |text| names.number(0, text))).collect()
    }
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
    orgs: &'b Coded,
    // The numbers of users and apps.
    users: Vec<u32>,
    apps: Vec<u32>,
    // By the code of an action.
    actions: Vec<Action>,
    action_codes: &'b [u32],
    rooms: &'b Coded,
    instants: &'b [i64],
    durations: &'b [i64],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Excluded,
    CheckIn,
    Other,
}

impl Columns<'_> {
    // Whether the next row is of the same organisation and user.
    fn is_same_user(&self, row: usize) -> bool {
        self.users[row] == self.users[row + 1] && self.orgs.is_same(row, row + 1)
    }

    // Whether there is a next row, of the same organisation, user and app.
    fn goes_on(&self, row: usize) -> bool {
        row + 1 < self.action_codes.len() && self.apps[row] == self.apps[row + 1] && self.is_same_user(row)
    }

    fn action(&self, row: usize) -> Action {
        self.actions[self.action_codes[row] as usize]
    }
}

impl<'a> Rollup<'a> {
    pub(super) fn new(who: &'a Who, lists: Lists) -> Self {
        Self {
            who,
            lists,
            org: None,
            org_turn: 0,
            user: String::new(),
            user_turn: 0,
            user_is_internal: false,
            user_number: None,
            user_sums: Sums::default(),
            active_users: 0,
            uses: Uses::default(),
            app_codes: Codes::default(),
            user_codes: Codes::default(),
            room_codes: Codes::default(),
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
        let batch = code(batch).map_err(|cause| Error::Internal(format!("cannot roll up events: {cause}")))?;
        let column = |name: &str| batch.column_by_name(name);
        let coded = |name: &str| column(name).and_then(Coded::new);
        let (Some(users), Some(orgs), Some(apps), Some(actions), Some(rooms)) =
            (coded("user_id"), coded("org_id"), coded("app_id"), coded("action"), coded("concurrent_id"))
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
        let names_all = self.lists == Lists::OfTheDay;
        self.app_codes.turn_to(&apps.texts, names_all.then_some(&mut self.uses.apps));
        self.user_codes.turn_to(&users.texts, names_all.then_some(&mut self.uses.users));
        self.room_codes.turn_to(&rooms.texts, None);
        let columns = Columns {
            orgs: &orgs,
            users: self.user_codes.number_all(&users, &mut self.uses.users),
            apps: self.app_codes.number_all(&apps, &mut self.uses.apps),
            actions: actions.texts.iter().map(|text| self.action(text.unwrap_or_default())).collect(),
            action_codes: actions.codes.values(),
            rooms: &rooms,
            instants: ts.values(),
            durations: duration_ms.values(),
        };
        self.meet_apps();
        self.uses.reserve(batch.num_rows());
        let mut row = 0;
        while row < batch.num_rows() {
            if row == 0 || !columns.is_same_user(row - 1) {
                self.turn_to(orgs.str(row), users.str(row), columns.users[row])?;
            }
            row = self.add_run(&columns, row);
        }
        Ok(())
    }

    // Adds the events of the present user with one app, from a row on; gives the row behind them.
    fn add_run(&mut self, columns: &Columns<'_>, first: usize) -> usize {
        let number = columns.apps[first];
        let app_is_excluded = self.apps[number as usize].is_excluded;
        let is_machine = self.user.is_empty();
        let is_human = !is_machine && !self.user_is_internal && !app_is_excluded;
        let mut run = Sums::default();
        let mut row = first;
        loop {
            run.events += 1;
            let action = columns.action(row);
            if action != Action::Excluded {
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
        run.check_ins += i64::from(columns.action(row) == Action::CheckIn);
        let room_id = columns.rooms.str(row);
        let room = columns.rooms.codes.value(row);
        let room = (!room_id.is_empty()).then(|| self.add_to_room(app, room, room_id, duration_ms));
        self.uses.add(columns.instants[row], duration_ms, room);
    }

    fn add_to_room(&mut self, app: u32, code: u32, room_id: &str, duration_ms: i64) -> u32 {
        let rooms = &mut self.uses.rooms;
        let mut number = self.room_codes.number(code, |room_id| rooms.number(app, room_id));
        if rooms.within(number) != app {
            // The same word names a room of another app.
            number = rooms.number(app, room_id);
        }
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

    fn action(&self, action: &str) -> Action {
        match action {
            excluded if self.who.exclude_actions.contains(excluded) => Action::Excluded,
            CHECK_IN => Action::CheckIn,
            _ => Action::Other,
        }
    }

    // Looks at the apps that have just got their numbers.
    fn meet_apps(&mut self) {
        let Uses { apps: names, .. } = &self.uses;
        let is_excluded = |app_id| self.who.exclude_apps.contains(app_id);
        let met = names.texts_after(self.apps.len());
        self.apps.extend(met.map(|app_id| App { is_excluded: is_excluded(app_id), sums: Sums::default() }));
    }

    // The number of the present user.
    fn user_number(&mut self) -> u32 {
        *self.user_number.get_or_insert_with(|| self.uses.users.number(0, &self.user))
    }

    // Closes what ends when this user of this organisation begins.
    fn turn_to(&mut self, org: &str, user: &str, user_number: u32) -> Result<()> {
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
            self.org_turn += 1;
        }
        user.clone_into(&mut self.user);
        self.user_turn += 1;
        self.user_number = Some(user_number);
        self.user_is_internal = self.who.internal_users.contains(user);
        Ok(())
    }

    fn close_user(&mut self) -> Result<()> {
        let sums = std::mem::take(&mut self.user_sums);
        self.active_users += i64::from(sums.human_events > 0);
        if self.org.is_none() || self.user.is_empty() {
            return Ok(());
        }
        let user = self.user_number();
        let org = Text::Numbered(self.org_turn, self.org.as_deref().unwrap_or_default());
        let numbers = [sums.events, sums.human_events, sums.usage_ms, sums.check_ins];
        self.user_day.push([org, Text::Numbered(user, &self.user)], numbers)
    }

    fn close_org(&mut self) -> Result<()> {
        let active_users = std::mem::take(&mut self.active_users);
        let Some(org_id) = &self.org else { return Ok(()) };
        let org = Text::Numbered(self.org_turn, org_id);
        if !org_id.is_empty() && active_users > 0 {
            self.org_users_day.push([org], [active_users])?;
        }
        let Uses { apps: app_names, rooms: room_names, .. } = &self.uses;
        if app_names.is_sorted() {
            self.touched_apps.sort_unstable();
        } else {
            self.touched_apps.sort_unstable_by(|&one, &other| app_names.text(one).cmp(app_names.text(other)));
        }
        for number in self.touched_apps.drain(..) {
            let sums = std::mem::take(&mut self.apps[number as usize].sums);
            let numbers = [sums.events, sums.human_events, sums.machine_events, sums.usage_ms];
            self.org_app_day.push([org, Text::name(app_names, number)], numbers)?;
        }
        let key = |room: u32| (app_names.text(room_names.within(room)), room_names.text(room));
        self.touched_rooms.sort_unstable_by(|&one, &other| key(one).cmp(&key(other)));
        for number in self.touched_rooms.drain(..) {
            let room = std::mem::take(&mut self.rooms[number as usize]);
            let app = Text::name(app_names, room_names.within(number));
            // Rooms of two apps may have the same name, and yet two numbers.
            self.room_day.push(
                [org, app, Text::Plain(room_names.text(number))],
                [room.users, room.human_events, room.usage_ms],
            )?;
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
        self.user_day.forget();
        self.org_app_day.forget();
        self.room_day.forget();
        (self.app_codes, self.user_codes, self.room_codes) = (Codes::default(), Codes::default(), Codes::default());
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

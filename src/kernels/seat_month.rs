//! The seats of each month: for each user and organisation the days of the month on which the user was active for it, and
//! those whose trailing 28 days hold such a day. See `queries/states/seat_month/query.sql`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::days::read_days;
use super::{Frame, Inputs, Rows, batch, coded, files_of, keys, texts};
use crate::columns::{Chunk, Wanted};
use crate::error::Result;
use crate::names::Names;
use crate::period::{Day, Grain};

const COLUMNS: Wanted =
    Wanted { table: "user_day", texts: &["org_id", "user_id"], others: &["human_events", "check_ins"] };
const WINDOW: Day = 28;
// As many bits as the longest month has days.
const MONTH: u32 = 0x7fff_ffff;
const BATCH_ROWS: usize = 64 * 1024;

/// A row of the result, but for `has_others`.
#[derive(Debug, Clone, Copy)]
struct Seat {
    user: u32,
    org: u32,
    active: u32,
    check_ins: u32,
    seen: u32,
}

/// All seats ever met, by their number, with the days of a month and of the month after it.
#[derive(Default)]
struct Seats {
    users: Names,
    orgs: Names,
    numbers: HashMap<(u32, u32), u32>,
    ids: Vec<(u32, u32)>,
    active: Vec<u32>,
    check_ins: Vec<u32>,
    seen: Vec<u32>,
    seen_next: Vec<u32>,
}

/// The seats of all months, those of a month in the order of users and organisations.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef) -> Result<Option<Rows>> {
    let inputs = files_of(inputs, COLUMNS.table)?;
    let Some(first) = inputs.iter().find_map(|input| input.day) else {
        return Ok(Some(Box::new(std::iter::empty())));
    };
    let mut seats = Seats::default();
    let mut months: Vec<(Day, Vec<Seat>)> = Vec::new();
    let mut month = Grain::Month.index(first);
    let mut held = 0;
    for day in read_days(COLUMNS, inputs)? {
        let (day, chunks) = day?;
        while month < Grain::Month.index(day) {
            held += seats.end_month(month, frame, &mut months);
            month += 1;
        }
        for chunk in &chunks {
            seats.add(day, chunk)?;
        }
        if seats.bytes() + held * size_of::<Seat>() as u64 > frame.memory {
            return Ok(None);
        }
    }
    // The last month with activity, and the one that still sees it.
    for month in [month, month + 1] {
        seats.end_month(month, frame, &mut months);
    }
    let names = (texts(&seats.users), texts(&seats.orgs));
    let ranks = (seats.users.ranks().ranks, seats.orgs.ranks().ranks);
    drop(seats);
    let schema = Arc::clone(schema);
    let rows = months.into_iter().flat_map(move |(month, mut seats)| {
        let rank = |seat: &Seat| u64::from(ranks.0[seat.user as usize]) << 32 | u64::from(ranks.1[seat.org as usize]);
        seats.sort_unstable_by_key(rank);
        batches(month, &seats, &names, &schema)
    });
    Ok(Some(Box::new(rows)))
}

impl Seats {
    fn add(&mut self, day: Day, chunk: &Chunk) -> Result<()> {
        let place = day - Grain::Month.first_day(Grain::Month.index(day));
        let next = Grain::Month.last_day(Grain::Month.index(day)) + 1;
        let active = 1_u32 << place;
        let seen = (0x0fff_ffff << place) & MONTH;
        // Days of the next month whose window still holds this one.
        let seen_next = u32::try_from(day + WINDOW - next).map_or(0, |days| (1_u32 << days) - 1);
        let orgs = chunk.texts("org_id")?.numbered(&mut self.orgs);
        let users = chunk.texts("user_id")?.numbered(&mut self.users);
        let counts = chunk.numbers("human_events")?.iter().zip(chunk.numbers("check_ins")?);
        for (row, (&events, &check_ins)) in counts.enumerate() {
            if events == 0 {
                continue;
            }
            let seat = self.number(users.of(row), orgs.of(row));
            self.active[seat] |= active;
            if check_ins > 0 {
                self.check_ins[seat] |= active;
            }
            self.seen[seat] |= seen;
            self.seen_next[seat] |= seen_next;
        }
        Ok(())
    }

    fn number(&mut self, user: u32, org: u32) -> usize {
        let next = self.ids.len();
        let number = *self.numbers.entry((user, org)).or_insert(u32::try_from(next).unwrap_or(u32::MAX)) as usize;
        if number == next {
            self.ids.push((user, org));
            self.active.push(0);
            self.check_ins.push(0);
            self.seen.push(0);
            self.seen_next.push(0);
        }
        number
    }

    /// Puts the seats of a month down, if they are wanted and the month is one that may be seen, and goes on to the next.
    fn end_month(&mut self, month: i32, frame: Frame, months: &mut Vec<(Day, Vec<Seat>)>) -> u64 {
        let first = Grain::Month.first_day(month);
        let mut held = 0;
        if first >= frame.wanted.0 && first <= frame.wanted.1.min(frame.as_of) {
            let seat = |(number, &(user, org)): (usize, &(u32, u32))| {
                let (active, check_ins, seen) = (self.active[number], self.check_ins[number], self.seen[number]);
                (seen != 0).then_some(Seat { user, org, active, check_ins, seen })
            };
            let seats: Vec<Seat> = self.ids.iter().enumerate().filter_map(seat).collect();
            held = seats.len() as u64;
            months.push((first, seats));
        }
        self.active.fill(0);
        self.check_ins.fill(0);
        std::mem::swap(&mut self.seen, &mut self.seen_next);
        self.seen_next.fill(0);
        held
    }

    fn bytes(&self) -> u64 {
        // A seat's four words and its id, twice, one of them in a table that is up to half empty.
        (self.users.bytes() + self.orgs.bytes() + self.ids.len() * (4 * 4 + 8 + 2 * 12)) as u64
    }
}

/// Sorted seats of a month as batches.
fn batches(
    month: Day,
    seats: &[Seat],
    names: &(StringArray, StringArray),
    schema: &SchemaRef,
) -> Vec<Result<RecordBatch>> {
    let is_personal = |seat: &Seat| names.1.value(seat.org as usize).is_empty();
    let has_others = |place: usize| {
        let seat = &seats[place];
        let before = place.checked_sub(1).and_then(|before| seats.get(before)).filter(|other| other.user == seat.user);
        let after = seats.get(place + 1).filter(|other| other.user == seat.user);
        !is_personal(seat) && (before.is_some_and(|other| !is_personal(other)) || after.is_some())
    };
    let batch = |start: usize| {
        let some = &seats[start..seats.len().min(start + BATCH_ROWS)];
        let number = |value: fn(&Seat) -> u32| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(some.iter().map(|seat| i64::from(value(seat)))))
        };
        let others: BooleanArray = (start..start + some.len()).map(|place| Some(has_others(place))).collect();
        batch(
            schema,
            vec![
                Arc::new(Date32Array::from_value(month, some.len())),
                Arc::new(coded(&names.0, keys(some.iter().map(|seat| seat.user)))?),
                Arc::new(coded(&names.1, keys(some.iter().map(|seat| seat.org)))?),
                Arc::new(others),
                number(|seat| seat.active),
                number(|seat| seat.check_ins),
                number(|seat| seat.seen),
            ],
        )
    };
    (0..seats.len()).step_by(BATCH_ROWS).map(batch).collect()
}

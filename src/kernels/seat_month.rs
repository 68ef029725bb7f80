//! The seats of each month: for each user and organisation the days of the month on which the user was active for it, and
//! those whose trailing 28 days hold such a day. See `queries/states/seat_month/query.sql`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;

use super::divided::{Divided, Making};
use super::pairs::{FileOfPairs, Pairs, USERS};
use super::parts::{Halt, Halted};
use super::{Frame, Inputs, batch, coded, files_of, texts};
use crate::error::Result;
use crate::period::{Day, Grain};

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

/// The days of a seat in a month, and those of the month after it that still see them.
#[derive(Debug, Clone, Copy, Default)]
struct Bits {
    active: u32,
    check_ins: u32,
    seen: u32,
    seen_next: u32,
}

/// The seats of all months, or of one after the other.
pub(super) const DIVIDED: Divided =
    Divided { rows: run, pairs: |shared| &shared.users, grain: |_| Grain::Month, looks_back: WINDOW - 1 };

/// The seats of all months, those of a month in the order of users and organisations.
fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef, users: &Arc<Pairs>) -> Halted<Making> {
    let Some(first) = files_of(inputs, USERS.table)?.iter().find_map(|input| input.day) else {
        return Ok(Box::new(std::iter::empty()));
    };
    // By pair of an organisation and a user.
    let mut seats: Vec<Bits> = Vec::new();
    let mut months: Vec<(Day, Vec<Seat>)> = Vec::new();
    let mut month = Grain::Month.index(first);
    let mut held = 0;
    let end_month = |month: i32, seats: &mut Vec<Bits>| end_month(month, seats, &users.known().ids, frame);
    for day in users.days(inputs)? {
        let (day, files) = day?;
        while month < Grain::Month.index(day) {
            let ended = end_month(month, &mut seats);
            held += ended.as_ref().map_or(0, |(_, seats)| size_of_val(seats.as_slice()));
            months.extend(ended);
            month += 1;
        }
        seats.resize(users.known().ids.len(), Bits::default());
        add(&mut seats, day, &files);
        users.fit(size_of_val(seats.as_slice()) + held)?;
    }
    // The last month with activity, and the one that still sees it.
    months.extend(end_month(month, &mut seats));
    months.extend(end_month(month + 1, &mut seats));
    drop(seats);
    let known = users.known();
    let names = (texts(&known.others), texts(&known.orgs));
    let ranks = (known.others.ranks().ranks, known.orgs.ranks().ranks);
    let schema = Arc::clone(schema);
    let rows = months.into_iter().flat_map(move |(month, mut seats)| {
        let rank = |seat: &Seat| u64::from(ranks.0[seat.user as usize]) << 32 | u64::from(ranks.1[seat.org as usize]);
        seats.sort_unstable_by_key(rank);
        batches(month, &seats, &names, &schema).into_iter().map(|batch| batch.map_err(Halt::Failed))
    });
    Ok(Box::new(rows))
}

fn add(seats: &mut [Bits], day: Day, files: &[Arc<FileOfPairs>]) {
    let place = day - Grain::Month.first_day(Grain::Month.index(day));
    let next = Grain::Month.last_day(Grain::Month.index(day)) + 1;
    let active = 1_u32 << place;
    let seen = (0x0fff_ffff << place) & MONTH;
    // Days of the next month whose window still holds this one.
    let seen_next = u32::try_from(day + WINDOW - next).map_or(0, |days| (1_u32 << days) - 1);
    for row in files.iter().flat_map(|file| &file.rows).filter(|row| row.is_human()) {
        let seat = &mut seats[row.pair()];
        seat.active |= active;
        if row.is_marked() {
            seat.check_ins |= active;
        }
        seat.seen |= seen;
        seat.seen_next |= seen_next;
    }
}

/// The seats of a month, if they are wanted and the month is one that may be seen; then it is the turn of the next month.
fn end_month(month: i32, seats: &mut [Bits], ids: &[(u32, u32)], frame: Frame) -> Option<(Day, Vec<Seat>)> {
    let first = Grain::Month.first_day(month);
    let is_wanted = first >= frame.wanted.0 && first <= frame.wanted.1.min(frame.as_of);
    let seen = seats.iter().zip(ids).filter(|(seat, _)| is_wanted && seat.seen != 0);
    let seat = |(&Bits { active, check_ins, seen, .. }, &(org, user)): (&Bits, &(u32, u32))| Seat {
        user,
        org,
        active,
        check_ins,
        seen,
    };
    let ended = seen.map(seat).collect();
    for seat in seats {
        *seat = Bits { seen: seat.seen_next, ..Bits::default() };
    }
    is_wanted.then_some((first, ended))
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
                Arc::new(coded(&names.0, some.iter().map(|seat| seat.user))?),
                Arc::new(coded(&names.1, some.iter().map(|seat| seat.org))?),
                Arc::new(others),
                number(|seat| seat.active),
                number(|seat| seat.check_ins),
                number(|seat| seat.seen),
            ],
        )
    };
    (0..seats.len()).step_by(BATCH_ROWS).map(batch).collect()
}

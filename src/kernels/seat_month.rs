//! The seats of each month: for each user and organisation the days of the month on which the user was active for it, and
//! those whose trailing 28 days hold such a day. See `queries/states/seat_month/query.sql`.

use std::iter;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;

use super::divided::{Divided, Making};
use super::known::Known;
use super::pairs::{FileOfPairs, PERSONAL, Pairs, USERS};
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
    days: Days,
    seen: u32,
}

/// The days of a month, as bits, on which a user was active for an organisation, and on which he checked in.
#[derive(Debug, Clone, Copy, Default)]
struct Days {
    active: u32,
    check_ins: u32,
}

/// The month that is being read. What there is of each pair of an organisation and a user, by its number.
struct Month {
    index: i32,
    days: Vec<Days>,
    // How many days of the month still see the month before it.
    seen_before: Vec<u8>,
    order: Order,
}

/// Pairs in the order of their users and organisations, and what these are called, while a month is given.
#[derive(Default)]
struct Order {
    pairs: Vec<u32>,
    names: Option<(StringArray, StringArray)>,
}

/// How far the seats of a month were given.
#[derive(Default)]
struct Given {
    place: usize,
    // The last one that was given, and one that is to be given next.
    last: Option<Seat>,
    next: Option<Seat>,
}

/// The seats of all months, or of one after the other.
pub(super) const DIVIDED: Divided =
    Divided { rows: run, pairs: |shared| &shared.users, grain: |_| Grain::Month, looks_back: WINDOW - 1 };

/// The seats of all months, those of a month in the order of users and organisations. A month is given as soon as a day of
/// a later one was read, so that one is held at a time.
fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef, users: &Arc<Pairs>) -> Halted<Making> {
    let Some(first) = files_of(inputs, USERS.table)?.iter().find_map(|input| input.day) else {
        return Ok(Box::new(iter::empty()));
    };
    let mut month = Month::new(Grain::Month.index(first));
    let mut days = users.days(inputs)?;
    let (users, schema) = (Arc::clone(users), Arc::clone(schema));
    // A day of a later month.
    let mut later: Option<(Day, Vec<Arc<FileOfPairs>>)> = None;
    let mut given: Option<Given> = None;
    // The last month with activity, and the one that still sees it.
    let mut last_months = 2;
    Ok(Box::new(iter::from_fn(move || {
        loop {
            if let Some(so_far) = &mut given {
                if let Some(batch) = month.batch(so_far, &users, &schema) {
                    return Some(batch.map_err(Halt::Failed));
                }
                given = None;
                month.turn();
            }
            match later.take().map(Ok).or_else(|| days.next()) {
                Some(Ok((day, files))) if Grain::Month.index(day) == month.index => {
                    if let Err(halt) = month.add(day, &files, &users) {
                        return Some(Err(halt));
                    }
                }
                Some(Ok(day)) => {
                    later = Some(day);
                    given = Some(month.end(frame, &users));
                }
                Some(Err(halt)) => return Some(Err(halt)),
                None if last_months > 0 => {
                    last_months -= 1;
                    given = Some(month.end(frame, &users));
                }
                None => return None,
            }
        }
    })))
}

impl Month {
    fn new(index: i32) -> Self {
        Self { index, days: Vec::new(), seen_before: Vec::new(), order: Order::default() }
    }

    fn add(&mut self, day: Day, files: &[Arc<FileOfPairs>], users: &Pairs) -> Halted<()> {
        let pairs = users.known().ids.len();
        self.days.resize(pairs, Days::default());
        self.seen_before.resize(pairs, 0);
        let active = 1_u32 << (day - Grain::Month.first_day(self.index));
        for row in files.iter().flat_map(|file| &file.rows).filter(|row| row.is_human()) {
            let days = &mut self.days[row.pair()];
            days.active |= active;
            if row.is_marked() {
                days.check_ins |= active;
            }
        }
        users.fit(pairs * size_of::<(Days, u8, u32)>())
    }

    /// Nothing is to be given of a month that is not wanted, or may not be seen.
    fn end(&mut self, frame: Frame, users: &Pairs) -> Given {
        let first = Grain::Month.first_day(self.index);
        if first < frame.wanted.0 || first > frame.wanted.1.min(frame.as_of) {
            return Given { place: usize::MAX, ..Given::default() };
        }
        self.order.learn(&users.known(), self.days.len());
        Given::default()
    }

    /// The next rows.
    fn batch(&self, given: &mut Given, users: &Pairs, schema: &SchemaRef) -> Option<Result<RecordBatch>> {
        let names = self.order.names.as_ref()?;
        let mut seats: Vec<Seat> = given.next.take().into_iter().collect();
        {
            let known = users.known();
            while seats.len() <= BATCH_ROWS
                && let Some(&pair) = self.order.pairs.get(given.place)
            {
                given.place += 1;
                seats.extend(self.seat(pair as usize, &known));
            }
        }
        given.next = if seats.len() > BATCH_ROWS { seats.pop() } else { None };
        let last = given.last.replace(*seats.last()?);
        let others = has_others(last, &seats, given.next);
        Some(rows(Grain::Month.first_day(self.index), &seats, others, names, schema))
    }

    fn seat(&self, pair: usize, known: &Known) -> Option<Seat> {
        let days = self.days[pair];
        let seen = days.seen() | ((1 << self.seen_before[pair]) - 1);
        let (org, user) = known.ids[pair];
        (seen != 0).then_some(Seat { user, org, days, seen })
    }

    /// From here on it is the next month.
    fn turn(&mut self) {
        let days_after = Grain::Month.first_day(self.index + 1) - Grain::Month.first_day(self.index);
        for (days, seen_before) in self.days.iter_mut().zip(&mut self.seen_before) {
            *seen_before = days.last().map_or(0, |last| u8::try_from(last + WINDOW - days_after).unwrap_or(0));
            *days = Days::default();
        }
        self.index += 1;
        self.order.names = None;
    }
}

impl Days {
    // The days of the month whose window holds an active one.
    fn seen(self) -> u32 {
        // Each day and so many after it: 1, 3, 7, 15, and 27.
        [1, 2, 4, 8, 12].iter().fold(self.active, |seen, days| seen | seen << days) & MONTH
    }

    // The place of the last active day in the month.
    fn last(self) -> Option<Day> {
        self.active.checked_ilog2().and_then(|place| Day::try_from(place).ok())
    }
}

impl Order {
    /// Puts so many pairs in order, if there are more than before.
    fn learn(&mut self, known: &Known, pairs: usize) {
        self.names = Some((texts(&known.others), texts(&known.orgs)));
        if self.pairs.len() == pairs {
            return;
        }
        let (ids, users, orgs) = (&known.ids[..pairs], known.others.ranks().ranks, known.orgs.ranks().ranks);
        // By the rank of a user: where its pairs begin, and then, as they are put there, where the next one goes.
        let mut places = vec![0_u32; users.len() + 1];
        for (_, user) in ids {
            places[users[*user as usize] as usize + 1] += 1;
        }
        for rank in 1..places.len() {
            places[rank] += places[rank - 1];
        }
        self.pairs.resize(pairs, 0);
        for (pair, (_, user)) in (0..).zip(ids) {
            let place = &mut places[users[*user as usize] as usize];
            self.pairs[*place as usize] = pair;
            *place += 1;
        }
        for of_user in self.pairs.chunk_by_mut(|one, next| ids[*one as usize].1 == ids[*next as usize].1) {
            of_user.sort_unstable_by_key(|pair| orgs[ids[*pair as usize].0 as usize]);
        }
    }
}

// Whether the user of each seat has another one in the month: one of an organisation before it, or any behind it. For
// personal use it is no question.
fn has_others(last: Option<Seat>, seats: &[Seat], next: Option<Seat>) -> BooleanArray {
    let others = seats.iter().enumerate().map(|(place, seat)| {
        let of_user = |other: Option<Seat>| other.filter(|other| other.user == seat.user);
        let before = of_user(place.checked_sub(1).map_or(last, |before| seats.get(before).copied()));
        let after = of_user(seats.get(place + 1).copied().or(next));
        seat.org != PERSONAL && (before.is_some_and(|other| other.org != PERSONAL) || after.is_some())
    });
    others.map(Some).collect()
}

fn rows(
    month: Day,
    seats: &[Seat],
    others: BooleanArray,
    names: &(StringArray, StringArray),
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let number = |value: fn(&Seat) -> u32| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(seats.iter().map(|seat| i64::from(value(seat)))))
    };
    batch(
        schema,
        vec![
            Arc::new(Date32Array::from_value(month, seats.len())),
            Arc::new(coded(&names.0, seats.iter().map(|seat| seat.user))?),
            Arc::new(coded(&names.1, seats.iter().map(|seat| seat.org))?),
            Arc::new(others),
            number(|seat| seat.days.active),
            number(|seat| seat.days.check_ins),
            number(|seat| seat.seen),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_seen_for_as_long_as_a_window_holds_it() {
        for place in 0..31 {
            let days = Days { active: 1 << place, check_ins: 0 };
            let seen = (0..31).filter(|day| (place..place + WINDOW).contains(day)).fold(0, |seen, day| seen | 1 << day);
            assert_eq!((days.seen(), days.last()), (seen, Some(place)));
        }
        let two = Days { active: 1 | 1 << 30, check_ins: 0 };
        assert_eq!((two.seen(), two.last()), (0x4fff_ffff, Some(30)));
        assert_eq!((Days::default().seen(), Days::default().last()), (0, None));
    }

    #[test]
    fn where_a_batch_ends_changes_nothing_of_who_has_others() {
        let seat = |(user, org)| Seat { user, org, days: Days::default(), seen: 1 };
        let seats = [(0, 0), (1, 0), (1, 4), (2, 3), (3, 0), (3, 1), (3, 2), (4, 1), (4, 2)].map(seat);
        let all = has_others(None, &seats, None).values().iter().collect::<Vec<_>>();
        assert_eq!(all, [false, false, false, false, false, true, true, true, true]);
        for end in 1..seats.len() {
            let (first, rest) = seats.split_at(end);
            let parts = [has_others(None, first, rest.first().copied()), has_others(first.last().copied(), rest, None)];
            assert_eq!(parts.iter().flat_map(|part| part.values().iter()).collect::<Vec<_>>(), all, "{end}");
        }
    }
}

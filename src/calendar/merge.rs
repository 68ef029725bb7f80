//! Runs of several months into one calendar per id: all runs are read side by side, and the least id of their heads
//! takes its bits from every run that has it. Nothing is looked up, and no id is kept.

use arrow::array::{Array, Int64Array, StringArray};

use super::runs::{Rows, Run, wrong_table};
use super::value::low_word;
use super::{Calendars, Range};
use crate::error::Result;
use crate::period::{Day, Grain, format_day};

/// The calendars of all ids of the runs, of each list of runs apart.
pub(super) fn merge<const N: usize>(runs: &[Vec<&Run>; N], range: Range) -> Result<[Calendars; N]> {
    let mut heads = Vec::new();
    for (runs, list) in runs.iter().zip(0..) {
        for run in runs.iter().filter(|run| run.month <= range.last()) {
            heads.extend(Head::open(run, range, list)?);
        }
    }
    let mut calendars = std::array::from_fn(|_| Calendars::new(range));
    let mut days: [Days; N] =
        std::array::from_fn(|_| Days { words: vec![0; range.words() + 1], first: usize::MAX, last: 0 });
    // Months are few, so the least head is found by looking at all of them. Mostly two numbers are compared, which lie side
    // by side, and that is cheaper than keeping a heap in order.
    let mut keys: Vec<Key> = heads.iter().map(|head| head.key).collect();
    let mut rest: Vec<u8> = Vec::new();
    while let Some(&least) = keys.iter().min() {
        rest.clear();
        if is_cut(least) {
            let same = keys.iter().zip(&heads).filter(|(key, _)| **key == least);
            rest.extend_from_slice(same.map(|(_, head)| head.rest()).min().unwrap_or_default());
        }
        let mut index = 0;
        while let (Some(key), Some(head)) = (keys.get_mut(index), heads.get_mut(index)) {
            if *key == least && (!is_cut(least) || head.rest() == rest) {
                if let Some(days) = days.get_mut(head.list) {
                    days.add(head.offset, head.bits()?);
                }
                if !head.advance()? {
                    keys.swap_remove(index);
                    heads.swap_remove(index);
                    continue;
                }
                *key = head.key;
            }
            index += 1;
        }
        if days.iter().any(|days| !days.is_empty()) {
            days.iter_mut().zip(&mut calendars).for_each(|(days, calendars)| days.take(calendars));
        }
    }
    Ok(calendars)
}

/// A run at the row that comes next.
struct Head {
    rows: Rows,
    /// The list that the run stands in.
    list: usize,
    month: Day,
    /// The place of the month's first day in the range.
    offset: i64,
    ids: StringArray,
    bits: Int64Array,
    row: usize,
    /// Orders like the id, and mostly without a look at it.
    key: Key,
    // Days of the month, as bits: all, those before the range, and those that do not lie after it.
    all: u64,
    before: u64,
    until: u64,
}

/// The first bytes of an id as a number, filled with zeros, and how many they are; one more than fit if more follow.
type Key = (u128, usize);

/// The bytes of a key.
const KEY_BYTES: usize = 16;

fn key(id: &[u8]) -> Key {
    let mut bytes = [0; KEY_BYTES];
    let length = id.len().min(KEY_BYTES);
    bytes[..length].copy_from_slice(&id[..length]);
    (u128::from_be_bytes(bytes), id.len().min(KEY_BYTES + 1))
}

/// Whether the id of a key goes on behind it.
fn is_cut(key: Key) -> bool {
    key.1 > KEY_BYTES
}

impl Head {
    fn open(run: &Run, range: Range, list: usize) -> Result<Option<Self>> {
        let (ids, bits) = (StringArray::new_null(0), Int64Array::new_null(0));
        let offset = i64::from(run.month) - i64::from(range.first());
        let until = |day: Day| i64::from(day) - i64::from(run.month) + 1;
        let days = |count: i64| (1 << count.clamp(0, 31)) - 1;
        let mut head = Self {
            rows: run.read()?,
            list,
            month: run.month,
            offset,
            ids,
            bits,
            row: 0,
            key: (0, 0),
            all: days(until(Grain::Month.last_day(Grain::Month.index(run.month)))),
            before: days(-offset),
            until: days(until(range.last())),
        };
        Ok(head.load()?.then_some(head))
    }

    fn id(&self) -> &[u8] {
        self.ids.value(self.row).as_bytes()
    }

    /// What of the id is not in its key.
    fn rest(&self) -> &[u8] {
        self.id().get(KEY_BYTES..).unwrap_or_default()
    }

    /// The days of the row that lie in the range, bit 0 the first of the month.
    fn bits(&self) -> Result<u64> {
        let days = self.bits.value(self.row);
        let known = u64::try_from(days).ok().filter(|&days| days != 0 && days & !self.all == 0);
        let bits = known.ok_or_else(|| {
            wrong_table(&format!("days={days} in month {}; it must be bits of its days", format_day(self.month)))
        })?;
        if bits & self.before != 0 {
            let first_day = i64::from(self.month) - self.offset;
            let first_day = Day::try_from(first_day).map_or_else(|_| String::new(), format_day);
            let day = format_day(self.month + bits.trailing_zeros().cast_signed());
            return Err(wrong_table(&format!("day={day} before the first observed day {first_day}")));
        }
        Ok(bits & self.until)
    }

    /// Goes to the next row; false at the end.
    fn advance(&mut self) -> Result<bool> {
        self.row += 1;
        if self.row == self.ids.len() {
            let before = self.ids.slice(self.row - 1, 1);
            return Ok(self.load()? && self.check_order(before.value(0).as_bytes())?);
        }
        let before = self.key.0;
        self.key = key(self.id());
        if before < self.key.0 {
            return Ok(true);
        }
        self.check_order(self.ids.value(self.row - 1).as_bytes())
    }

    fn check_order(&self, before: &[u8]) -> Result<bool> {
        if before < self.id() {
            return Ok(true);
        }
        let (id, month) = (String::from_utf8_lossy(self.id()), format_day(self.month));
        Err(wrong_table(&format!("rows of month {month} that are not sorted by `id` and unique, at id=`{id}`")))
    }

    fn load(&mut self) -> Result<bool> {
        loop {
            let Some((ids, bits)) = self.rows.next()? else { return Ok(false) };
            if !ids.is_empty() {
                (self.ids, self.bits, self.row) = (ids, bits, 0);
                self.key = key(self.id());
                return Ok(true);
            }
        }
    }
}

/// The days of the id that is being put together, as words of the whole range and one word more.
struct Days {
    words: Vec<u64>,
    first: usize,
    last: usize,
}

impl Days {
    fn add(&mut self, offset: i64, bits: u64) {
        // Bits before the range were refused, so shifting them out loses nothing.
        let (start, bits) = match usize::try_from(offset) {
            Ok(start) => (start, bits),
            Err(_) => (0, bits >> offset.unsigned_abs().min(63)),
        };
        let wide = u128::from(bits) << (start % 64);
        for (index, part) in [(start / 64, low_word(wide)), (start / 64 + 1, low_word(wide >> 64))] {
            if part != 0
                && let Some(word) = self.words.get_mut(index)
            {
                *word |= part;
                self.first = self.first.min(index);
                self.last = self.last.max(index);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.first > self.last
    }

    fn take(&mut self, calendars: &mut Calendars) {
        match self.words.get_mut(self.first..=self.last) {
            Some(words) => {
                calendars.push(words, self.first);
                words.fill(0);
            }
            None => calendars.push(&[], 0),
        }
        (self.first, self.last) = (usize::MAX, 0);
    }
}

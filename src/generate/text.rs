//! Ids, numbers and instants as bytes: what every format writes in the same words.

use crate::period::{Day, format_day};

use super::activity::Event;
use super::apps::{App, CALLS, CATALOGUE, OWN};
use super::landscape::NONE;

/// Appends a number in decimal digits, filled with zeros to a width.
pub(super) fn push_number(out: &mut Vec<u8>, number: u64, width: usize) {
    push_digits(out, number, width, 10);
}

/// Appends a number in the digits 0-9 and a-z.
pub(super) fn push_base36(out: &mut Vec<u8>, number: u64) {
    push_digits(out, number, 1, 36);
}

fn push_digits(out: &mut Vec<u8>, mut number: u64, width: usize, base: u64) {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let begin = out.len();
    while number > 0 || out.len() - begin < width {
        out.push(DIGITS[usize::try_from(number % base).unwrap_or(0)]);
        number /= base;
    }
    out[begin..].reverse();
}

/// Appends a user's id, such as `u0001234`.
pub(super) fn push_user(out: &mut Vec<u8>, user: u32) {
    out.push(b'u');
    push_number(out, u64::from(user), 7);
}

/// Appends an organisation's id, such as `o00042`.
pub(super) fn push_org(out: &mut Vec<u8>, org: u32) {
    out.push(b'o');
    push_number(out, u64::from(org), 5);
}

/// Appends an app's id; low-code apps are called after the organisation that made them: `lc-o00042-1`.
pub(super) fn push_app(out: &mut Vec<u8>, app: App, home: u32) {
    if let Some(entry) = CATALOGUE.get(usize::from(app)) {
        out.extend_from_slice(entry.id.as_bytes());
    } else {
        out.extend_from_slice(b"lc-");
        push_org(out, home);
        out.push(b'-');
        push_number(out, u64::from(app.saturating_sub(OWN)) + 1, 1);
    }
}

/// Appends an event's id: day, who, and number within the day; unique, because each user-day is made once.
pub(super) fn push_event_id(out: &mut Vec<u8>, event: &Event) {
    let (kind, who) = if event.user == NONE { (b'r', event.home) } else { (b'h', event.user) };
    out.push(kind);
    push_base36(out, u64::from(event.day.cast_unsigned()));
    out.push(b'-');
    push_base36(out, u64::from(who));
    out.push(b'-');
    push_base36(out, u64::from(event.number));
}

/// Whether an event's room is written as a number.
pub(super) fn has_numeric_room(event: &Event) -> bool {
    event.app == CALLS
}

/// Appends the id of an event's room.
pub(super) fn push_room(out: &mut Vec<u8>, event: &Event) {
    if has_numeric_room(event) {
        push_number(out, event.room, 1);
    } else {
        out.push(b'm');
        push_base36(out, event.room);
    }
}

/// Writes instants; remembers the date that it wrote last.
#[derive(Debug, Default)]
pub(super) struct Instants {
    last: Option<(Day, String)>,
}

impl Instants {
    /// Appends an instant as RFC 3339 with milliseconds and its offset.
    pub(super) fn push(&mut self, out: &mut Vec<u8>, ts_us: i64, offset: i16) {
        let local_ms = ts_us.div_euclid(1000) + i64::from(offset) * 60_000;
        let day = Day::try_from(local_ms.div_euclid(86_400_000)).unwrap_or(Day::MAX);
        let of_day = local_ms.rem_euclid(86_400_000).cast_unsigned();
        match &self.last {
            Some((known, text)) if *known == day => out.extend_from_slice(text.as_bytes()),
            _ => {
                let text = format_day(day);
                out.extend_from_slice(text.as_bytes());
                self.last = Some((day, text));
            }
        }
        out.push(b'T');
        push_number(out, of_day / 3_600_000, 2);
        out.push(b':');
        push_number(out, of_day / 60_000 % 60, 2);
        out.push(b':');
        push_number(out, of_day / 1000 % 60, 2);
        out.push(b'.');
        push_number(out, of_day % 1000, 3);
        if offset == 0 {
            out.push(b'Z');
        } else {
            out.push(if offset < 0 { b'-' } else { b'+' });
            push_number(out, u64::from(offset.unsigned_abs()) / 60, 2);
            out.push(b':');
            push_number(out, u64::from(offset.unsigned_abs()) % 60, 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn ids_are_compact() {
        assert_eq!(written(|out| push_user(out, 1234)), "u0001234");
        assert_eq!(written(|out| push_user(out, 123_456_789)), "u123456789");
        assert_eq!(written(|out| push_org(out, 42)), "o00042");
        assert_eq!(written(|out| push_app(out, 0, 42)), "chat");
        assert_eq!(written(|out| push_app(out, OWN + 1, 42)), "lc-o00042-2");
        assert_eq!(written(|out| push_base36(out, 36 * 36 + 35)), "10z");
        assert_eq!(written(|out| push_base36(out, 0)), "0");
    }

    #[test]
    fn instants_carry_their_offset() {
        let at = |us, offset| written(|out| Instants::default().push(out, us, offset));
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(86_399_999_000, 120), "1970-01-02T01:59:59.999+02:00");
        assert_eq!(at(0, -210), "1969-12-31T20:30:00.000-03:30");
    }
}

//! The rules for one record: values as a format found them become an event, or the first reason why they are none.
//! It knows no format and keeps no text; METRICS 1.1 and 1.4 are the source of the rules.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::event::{DEFAULT_ACTION, MAX_ID_BYTES, Reason};
use crate::period::{Day, DayClock};
use crate::settings::TimestampForm;

use super::duration::{milliseconds, parse_milliseconds, parse_seconds};
use super::timestamp::{epoch_us, parse_rfc3339, parse_whole};

/// The longest part of a rejected record that is kept, in bytes.
pub(super) const MAX_RAW_BYTES: usize = 4096;
const DAY_US: i64 = 86_400_000_000;

/// The fields that the rules look at, in the order of [`FIELDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    EventId,
    Ts,
    UserId,
    OrgId,
    AppId,
    Action,
    DurationMs,
    DurationSeconds,
    ConcurrentId,
}

/// The names of the fields in a log.
pub(super) const FIELDS: [(&str, Field); 9] = [
    ("event_id", Field::EventId),
    ("ts", Field::Ts),
    ("user_id", Field::UserId),
    ("org_id", Field::OrgId),
    ("app_id", Field::AppId),
    ("action", Field::Action),
    ("duration_ms", Field::DurationMs),
    ("duration_s", Field::DurationSeconds),
    ("concurrent_id", Field::ConcurrentId),
];

impl Field {
    /// The field with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "event_id" => Some(Self::EventId),
            "ts" => Some(Self::Ts),
            "user_id" => Some(Self::UserId),
            "org_id" => Some(Self::OrgId),
            "app_id" => Some(Self::AppId),
            "action" => Some(Self::Action),
            "duration_ms" => Some(Self::DurationMs),
            "duration_s" => Some(Self::DurationSeconds),
            "concurrent_id" => Some(Self::ConcurrentId),
            _ => None,
        }
    }
}

/// A value as its format gives it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Value<'a> {
    /// Not there, or null.
    #[default]
    Missing,
    /// Text.
    Text(&'a str),
    /// A whole number, its digits as written.
    Integer(&'a str),
    /// Another number, as decimal text.
    Decimal(&'a str),
    /// A whole number that the format holds in binary.
    Binary(i64),
    /// An instant that the format knows to be one, in microseconds; `None` beyond 64 bits.
    Instant(Option<i64>),
    /// A value of another type.
    Other,
}

/// The values of one record, by [`Field`].
pub(super) type Values<'a> = [Value<'a>; FIELDS.len()];

/// An accepted record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the names of the dictionary")]
pub(super) struct Event<'a> {
    pub(super) event_id: &'a str,
    pub(super) ts_us: i64,
    pub(super) day: Day,
    pub(super) user_id: &'a str,
    pub(super) org_id: &'a str,
    pub(super) app_id: &'a str,
    pub(super) action: &'a str,
    pub(super) duration_ms: i64,
    pub(super) concurrent_id: &'a str,
}

/// What the rules depend on, for one file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) zone: Tz,
    pub(super) now: DateTime<Utc>,
    pub(super) earliest_day: Day,
    pub(super) ts: TimestampForm,
    pub(super) max_record_bytes: usize,
}

/// Applies the rules; one for each thread, because it remembers the offset of the zone.
#[derive(Debug)]
pub(super) struct Judge {
    clock: DayClock,
    latest_us: i64,
    earliest_day: Day,
    form: TimestampForm,
}

impl Judge {
    /// A judge for one file.
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            clock: DayClock::new(rules.zone),
            latest_us: rules.now.timestamp_micros().saturating_add(DAY_US),
            earliest_day: rules.earliest_day,
            form: rules.ts,
        }
    }

    /// The event, or the first reason against it (from `bad_record` on; what comes before is the format's matter).
    #[inline]
    pub(super) fn event<'a>(&self, values: &Values<'a>) -> Result<Event<'a>, Reason> {
        let event_id = text(values[Field::EventId as usize])?;
        let user_id = text(values[Field::UserId as usize])?;
        let org_id = text(values[Field::OrgId as usize])?;
        let app_id = text(values[Field::AppId as usize])?;
        let action = text(values[Field::Action as usize])?;
        let concurrent_id = text(values[Field::ConcurrentId as usize])?;
        let ts_us = self.instant(values[Field::Ts as usize])?;
        let day = self.clock.day(ts_us).ok_or(Reason::BadTs)?;
        if app_id.is_empty() {
            return Err(Reason::MissingApp);
        }
        let duration_ms = duration(values[Field::DurationMs as usize], values[Field::DurationSeconds as usize])
            .ok_or(Reason::BadDuration)?;
        if ts_us > self.latest_us {
            return Err(Reason::FutureTs);
        }
        if day < self.earliest_day {
            return Err(Reason::TooOld);
        }
        if ![event_id, user_id, org_id, app_id, concurrent_id].into_iter().all(is_id) {
            return Err(Reason::BadId);
        }
        let action = if action.is_empty() { DEFAULT_ACTION } else { action };
        Ok(Event { event_id, ts_us, day, user_id, org_id, app_id, action, duration_ms, concurrent_id })
    }

    /// The day of an instant that an event may have, after all rules for `ts`.
    #[inline]
    pub(super) fn day_of(&self, ts_us: i64) -> Option<Day> {
        self.clock.day(ts_us).filter(|day| ts_us <= self.latest_us && *day >= self.earliest_day)
    }

    /// The form of numbers in `ts`.
    pub(super) fn form(&self) -> TimestampForm {
        self.form
    }

    fn instant(&self, value: Value) -> Result<i64, Reason> {
        let read = match (value, self.form) {
            (Value::Missing | Value::Text(""), _) => return Err(Reason::MissingTs),
            (Value::Instant(us), _) => us,
            (Value::Text(text), TimestampForm::Rfc3339) => parse_rfc3339(text),
            (Value::Text(text) | Value::Integer(text), form) => parse_whole(text).and_then(|n| epoch_us(n, form)),
            (Value::Binary(number), form) => epoch_us(number, form),
            (Value::Decimal(_) | Value::Other, _) => None,
        };
        read.ok_or(Reason::BadTs)
    }
}

/// Cuts text at 4 KiB, between characters.
pub(super) fn cut_raw(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_RAW_BYTES)]
}

fn text(value: Value<'_>) -> Result<&str, Reason> {
    match value {
        Value::Missing => Ok(""),
        Value::Text(text) | Value::Integer(text) => Ok(text),
        Value::Decimal(_) | Value::Binary(_) | Value::Instant(_) | Value::Other => Err(Reason::BadRecord),
    }
}

fn duration(ms: Value, seconds: Value) -> Option<i64> {
    match ms {
        Value::Missing | Value::Text("") => {}
        Value::Text(text) | Value::Integer(text) => return parse_milliseconds(text),
        Value::Binary(number) => return milliseconds(number),
        Value::Decimal(_) | Value::Instant(_) | Value::Other => return None,
    }
    match seconds {
        Value::Missing | Value::Text("") => Some(0),
        Value::Text(text) | Value::Integer(text) | Value::Decimal(text) => parse_seconds(text),
        Value::Binary(number) => number.checked_mul(1_000).and_then(milliseconds),
        Value::Instant(_) | Value::Other => None,
    }
}

/// Whether a text is an id, or empty.
pub(super) fn is_id(id: &str) -> bool {
    id.len() <= MAX_ID_BYTES && (!is_suspect(id.as_bytes()) || !id.chars().any(char::is_control))
}

// Whether a byte can begin a control character, which decides almost every id without decoding it: those of C1 begin
// with 0xC2. Short ids are looked at as one or two numbers; a borrow in the subtraction can only mark bytes above one
// that is marked rightly.
#[inline]
fn is_suspect(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    let is_marked = |word: u64| {
        let below = |word: u64, least: u64| word.wrapping_sub(ONES * least) & !word;
        (below(word, 0x20) | below(word ^ (ONES * 0x7f), 1) | below(word ^ (ONES * 0xc2), 1)) & (ONES << 7) != 0
    };
    if let (Some(head), Some(tail)) = (bytes.first_chunk::<8>(), bytes.last_chunk())
        && bytes.len() <= 16
    {
        return is_marked(u64::from_le_bytes(*head)) | is_marked(u64::from_le_bytes(*tail));
    }
    if let (Some(head), Some(tail)) = (bytes.first_chunk::<4>(), bytes.last_chunk())
        && bytes.len() <= 8
    {
        return is_marked(u64::from(u32::from_le_bytes(*head)) << 32 | u64::from(u32::from_le_bytes(*tail)));
    }
    bytes.iter().any(|byte| matches!(byte, 0..0x20 | 0x7f | 0xc2))
}

#[cfg(test)]
mod tests {
    use crate::period::{format_day, parse_day};

    use super::*;

    const NOW: &str = "2026-03-01T12:00:00Z";

    fn rules(ts: TimestampForm, zone: &str) -> Rules {
        Rules {
            zone: zone.parse().expect("a zone of the test"),
            now: DateTime::parse_from_rfc3339(NOW).expect("an instant").to_utc(),
            earliest_day: parse_day("2000-01-01").expect("a day"),
            ts,
            max_record_bytes: 1 << 20,
        }
    }

    fn good<'a>() -> Values<'a> {
        let mut values = Values::default();
        values[Field::Ts as usize] = Value::Text("2026-03-01T00:00:00Z");
        values[Field::AppId as usize] = Value::Text("chat");
        values
    }

    fn judge_with<'a>(changes: &[(Field, Value<'a>)]) -> Result<Event<'a>, Reason> {
        let mut values = good();
        for (field, value) in changes {
            values[*field as usize] = *value;
        }
        Judge::new(&rules(TimestampForm::Rfc3339, "UTC")).event(&values)
    }

    fn check(changes: &[(Field, Value)], expected: Option<Reason>) {
        assert_eq!(judge_with(changes).err(), expected, "{changes:?}");
    }

    fn check_ts(form: TimestampForm, value: Value, expected: Result<i64, Reason>) {
        let mut values = good();
        values[Field::Ts as usize] = value;
        let found = Judge::new(&rules(form, "UTC")).event(&values).map(|event| event.ts_us);
        assert_eq!(found, expected, "{form:?} {value:?}");
    }

    #[test]
    fn an_event_without_the_optional_fields_has_their_defaults() {
        let event = judge_with(&[]).expect("an event");
        assert_eq!((event.event_id, event.user_id, event.org_id, event.concurrent_id), ("", "", "", ""));
        assert_eq!((event.app_id, event.action, event.duration_ms), ("chat", "use", 0));
        assert_eq!(format_day(event.day), "2026-03-01");
    }

    #[test]
    fn text_fields_take_text_and_integers() {
        for field in [Field::EventId, Field::UserId, Field::OrgId, Field::AppId, Field::Action, Field::ConcurrentId] {
            check(&[(field, Value::Integer("99999999999999999999999"))], None);
            check(&[(field, Value::Text(" untrimmed "))], None);
            for wrong in [Value::Decimal("1.0"), Value::Other, Value::Binary(1), Value::Instant(Some(1))] {
                check(&[(field, wrong)], Some(Reason::BadRecord));
            }
        }
    }

    #[test]
    fn timestamps_have_the_form_of_their_source() {
        use TimestampForm::{Ms, Rfc3339, S, Us};
        let instant = 1_700_000_000_000_000;
        check_ts(Rfc3339, Value::Text("2023-11-14T22:13:20Z"), Ok(instant));
        check_ts(S, Value::Integer("1700000000"), Ok(instant));
        check_ts(S, Value::Text("1700000000"), Ok(instant));
        check_ts(Ms, Value::Text("1700000000000"), Ok(instant));
        check_ts(Us, Value::Binary(instant), Ok(instant));
        check_ts(Us, Value::Instant(Some(instant)), Ok(instant));
        check_ts(Rfc3339, Value::Instant(Some(instant)), Ok(instant));
        for (form, wrong) in [
            (Rfc3339, Value::Integer("1700000000")),
            (Rfc3339, Value::Binary(1_700_000_000)),
            (Rfc3339, Value::Text("1700000000")),
            (Rfc3339, Value::Other),
            (S, Value::Text("2023-11-14T22:13:20Z")),
            (S, Value::Text(" 1700000000")),
            (S, Value::Decimal("1700000000.5")),
            (S, Value::Other),
            (S, Value::Integer("99999999999999")),
            (Us, Value::Integer("9223372036854775807")),
            (Us, Value::Integer("-9223372036854775808")),
            (S, Value::Integer("99999999999999999999999999")),
            (Us, Value::Instant(None)),
        ] {
            check_ts(form, wrong, Err(Reason::BadTs));
        }
        for form in [Rfc3339, S] {
            check_ts(form, Value::Missing, Err(Reason::MissingTs));
            check_ts(form, Value::Text(""), Err(Reason::MissingTs));
        }
    }

    #[test]
    fn durations_end_at_24_hours_and_ms_wins() {
        let ms = |text| judge_with(&[(Field::DurationMs, text)]).map(|event| event.duration_ms);
        assert_eq!(ms(Value::Integer("86400000")), Ok(86_400_000));
        assert_eq!(ms(Value::Text("60000")), Ok(60_000));
        assert_eq!(ms(Value::Text("")), Ok(0));
        for wrong in [
            Value::Integer("86400001"),
            Value::Integer("-1"),
            Value::Text("abc"),
            Value::Text("1.5"),
            Value::Decimal("1.0"),
            Value::Other,
            Value::Binary(-1),
        ] {
            assert_eq!(ms(wrong), Err(Reason::BadDuration), "{wrong:?}");
        }
        let both =
            |ms, s| judge_with(&[(Field::DurationMs, ms), (Field::DurationSeconds, s)]).map(|event| event.duration_ms);
        assert_eq!(both(Value::Missing, Value::Decimal("1.0005")), Ok(1_001));
        assert_eq!(both(Value::Text(""), Value::Text("2")), Ok(2_000));
        assert_eq!(both(Value::Missing, Value::Binary(86_400)), Ok(86_400_000));
        assert_eq!(both(Value::Integer("5"), Value::Text("nonsense")), Ok(5));
        assert_eq!(both(Value::Text("nonsense"), Value::Integer("5")), Err(Reason::BadDuration));
        assert_eq!(both(Value::Missing, Value::Text("86400.0005")), Err(Reason::BadDuration));
        assert_eq!(both(Value::Missing, Value::Binary(i64::MAX)), Err(Reason::BadDuration));
    }

    #[test]
    fn the_future_begins_one_microsecond_after_24_hours() {
        check(&[(Field::Ts, Value::Text("2026-03-02T12:00:00Z"))], None);
        check(&[(Field::Ts, Value::Text("2026-03-02T12:00:00.000001Z"))], Some(Reason::FutureTs));
    }

    #[test]
    fn too_old_is_a_matter_of_the_local_day() {
        let judge = |zone, ts| {
            let mut values = good();
            values[Field::Ts as usize] = Value::Text(ts);
            Judge::new(&rules(TimestampForm::Rfc3339, zone)).event(&values).err()
        };
        assert_eq!(judge("UTC", "2000-01-01T00:00:00Z"), None);
        assert_eq!(judge("UTC", "1999-12-31T23:59:59.999999Z"), Some(Reason::TooOld));
        assert_eq!(judge("Asia/Shanghai", "1999-12-31T16:00:00Z"), None);
        assert_eq!(judge("America/New_York", "2000-01-01T04:59:59Z"), Some(Reason::TooOld));
    }

    #[test]
    fn ids_are_short_and_printable() {
        let (longest, too_long) = ("é".repeat(128), "é".repeat(128) + "x");
        for field in [Field::EventId, Field::UserId, Field::OrgId, Field::AppId, Field::ConcurrentId] {
            check(&[(field, Value::Text(&longest))], None);
            for wrong in [too_long.as_str(), "a\nb", "\u{0}", "a\u{7f}", "a\u{85}"] {
                check(&[(field, Value::Text(wrong))], Some(Reason::BadId));
            }
            check(&[(field, Value::Text("\u{a0}\u{bf}"))], None);
        }
        check(&[(Field::Action, Value::Text(&too_long))], None);
        check(&[(Field::Action, Value::Text("a\tb"))], None);
    }

    #[test]
    fn the_first_reason_holds() {
        let worst = [
            (Field::Action, Value::Other, Reason::BadRecord),
            (Field::Ts, Value::Missing, Reason::MissingTs),
            (Field::Ts, Value::Text("x"), Reason::BadTs),
            (Field::AppId, Value::Missing, Reason::MissingApp),
            (Field::DurationMs, Value::Text("x"), Reason::BadDuration),
            (Field::Ts, Value::Text("2030-01-01T00:00:00Z"), Reason::FutureTs),
            (Field::UserId, Value::Text("\n"), Reason::BadId),
        ];
        for (place, (field, value, reason)) in worst.iter().enumerate() {
            // All faults from this one on, the earliest set last so that it is not overwritten by a later one.
            let faults: Vec<_> = worst[place..].iter().rev().map(|(field, value, _)| (*field, *value)).collect();
            check(&faults, Some(*reason));
            check(&[(*field, *value)], Some(*reason));
        }
        check(
            &[(Field::Ts, Value::Text("1990-01-01T00:00:00Z")), (Field::OrgId, Value::Text("\n"))],
            Some(Reason::TooOld),
        );
    }

    #[test]
    fn control_characters_are_seen_at_every_place() {
        let others = ["", "a", "aaa", "aaaaaaa", "aaaaaaaaaaaaaaaa", "\u{e9}\u{a0}\u{b5}~ \u{20ac}\u{10348}"];
        for (before, behind) in others.iter().flat_map(|before| others.map(|behind| (before, behind))) {
            assert!(is_id(&format!("{before}{behind}")));
            for control in (0..0x20).chain(0x7f..0xa0).filter_map(char::from_u32) {
                assert!(!is_id(&format!("{before}{control}{behind}")), "{before}{control:?}{behind}");
            }
        }
        assert!(is_id(&"x".repeat(MAX_ID_BYTES)) && !is_id(&"x".repeat(MAX_ID_BYTES + 1)));
    }

    #[test]
    fn raw_text_is_cut_between_characters() {
        assert_eq!(cut_raw("short"), "short");
        assert_eq!(cut_raw(&"x".repeat(5000)).len(), 4096);
        assert_eq!(cut_raw(&("x".to_owned() + &"é".repeat(3000))).len(), 4095);
    }
}

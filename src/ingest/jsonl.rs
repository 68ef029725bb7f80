//! JSON Lines: one object a line becomes the values of one record.
//! It does not know what makes a record an event.

use crate::error::Result;
use crate::event::Reason;

use super::columns::{Harvest, Harvester};
use super::json::{Token, unescape};
use super::keep::Keep;
use super::keys::Keys;
use super::quotes::{is_blank, line};
use super::record::{FIELDS, Field, Rules, Value, Values};

/// Reads whole lines.
pub(super) fn read(text: &[u8], rules: &Rules, keep: &Keep, file: u32) -> Result<Harvest> {
    let mut harvester = Harvester::new(rules);
    let mut scratch = Scratch::new();
    let lines = for_each_line(text, |number, bytes, record| {
        let outcome = match record {
            Some(_) if bytes.len() > rules.max_record_bytes => Err(Reason::TooLong),
            Some(record) => scratch.record(record, keep, &mut harvester),
            None => Err(Reason::BadEncoding),
        };
        if let Err(reason) = outcome {
            harvester.reject(number, reason, bytes);
        }
    });
    harvester.harvest(file, lines)
}

/// Calls `take` with the number (from 1), the bytes, and the text (if it is UTF-8) of each line that is not blank; the
/// number of all lines.
pub(super) fn for_each_line<'a>(text: &'a [u8], mut take: impl FnMut(u64, &'a [u8], Option<&'a str>)) -> u64 {
    // Checking a chunk at once is faster by far than line by line, and almost always the answer.
    let valid = simdutf8::basic::from_utf8(text).ok();
    let (mut start, mut number) = (0, 0);
    while start < text.len() {
        let end = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |offset| start + offset);
        number += 1;
        let bytes = line(&text[start..end]);
        // A line that begins with a brace is not blank; the check walks over the others.
        if bytes.first() == Some(&b'{') || !is_blank(bytes) {
            let record = match valid {
                Some(valid) => valid.get(start..start + bytes.len()),
                None => std::str::from_utf8(bytes).ok(),
            };
            take(number, bytes, record);
        }
        start = end + 1;
    }
    number
}

// What is used again from record to record.
struct Scratch {
    keys: Keys<Meaning>,
    key: String,
    texts: [String; FIELDS.len()],
    extra: String,
}

// What a key names: a field, the place of a kept one, both, or nothing.
#[derive(Clone, Copy)]
struct Meaning {
    field: Option<Field>,
    kept: Option<usize>,
}

impl Meaning {
    // A key that is no text names nothing.
    fn of(key: Token, keep: &Keep, text: &mut String) -> Self {
        let name = match key {
            Token::Text(name) => Some(name),
            Token::Escaped(escaped) => {
                text.clear();
                unescape(escaped, text).map(|()| text.as_str())
            }
            _ => None,
        };
        let kept = |name| keep.names().iter().position(|kept| kept == name);
        Self { field: name.and_then(Field::named), kept: name.and_then(kept) }
    }
}

impl Scratch {
    fn new() -> Self {
        Self { keys: Keys::new(), key: String::new(), texts: Default::default(), extra: String::new() }
    }

    fn record(&mut self, record: &str, keep: &Keep, harvester: &mut Harvester) -> std::result::Result<(), Reason> {
        let mut values = Values::default();
        let mut escaped: Vec<(Field, &str)> = Vec::new();
        let mut kept = vec![None; keep.names().len()];
        let Self { keys, key: key_text, .. } = self;
        let meaning = |key: Token| Meaning::of(key, keep, key_text);
        let read = keys.members(record, meaning, |meaning, value, raw| {
            if let Some(field) = meaning.field {
                // The last of several members of one name is the one that counts.
                if !escaped.is_empty() {
                    escaped.retain(|(other, _)| *other != field);
                }
                values[field as usize] = match value {
                    Token::Null => Value::Missing,
                    Token::Text(text) => Value::Text(text),
                    Token::Escaped(text) => {
                        escaped.push((field, text));
                        Value::Other
                    }
                    Token::Integer(digits) => Value::Integer(digits),
                    Token::Decimal(number) => Value::Decimal(number),
                    Token::Bool(_) | Token::Object(_) | Token::Array(_) => Value::Other,
                };
            }
            if let Some(place) = meaning.kept {
                kept[place] = (value != Token::Null).then_some(raw);
            }
        });
        read.ok_or(Reason::BadRecord)?;
        for ((field, escaped), text) in escaped.into_iter().zip(&mut self.texts) {
            text.clear();
            // Half a surrogate pair is no text: such a value is of no type that a field can have.
            if unescape(escaped, text).is_some() {
                values[field as usize] = Value::Text(text);
            }
        }
        let extra = keep.object(kept.into_iter(), &mut self.extra);
        harvester.record(&values, extra)
    }
}

//! JSON Lines: one object a line becomes the values of one record.
//! It does not know what makes a record an event.

use crate::error::Result;
use crate::event::Reason;

use super::columns::{Harvest, Harvester};
use super::json::{Token, members, unescape};
use super::keep::Keep;
use super::quotes::{count_lines, is_blank, line};
use super::record::{FIELDS, Field, Rules, Value, Values};

/// Reads whole lines.
pub(super) fn read(text: &[u8], rules: &Rules, keep: &Keep, file: u32) -> Result<Harvest> {
    let mut harvester = Harvester::new(rules);
    let mut scratch = Scratch::default();
    let mut lines = 0;
    for_each_line(text, |number, bytes, record| {
        lines = number;
        let outcome = match record {
            Some(_) if bytes.len() > rules.max_record_bytes => Err(Reason::TooLong),
            Some(record) => scratch.record(record, keep, &mut harvester),
            None => Err(Reason::BadEncoding),
        };
        if let Err(reason) = outcome {
            harvester.reject(number, reason, bytes);
        }
    });
    harvester.harvest(file, lines.max(count_lines(text)))
}

/// Calls `line` with the number (from 1), the bytes, and the text (if it is UTF-8) of each line that is not blank.
pub(super) fn for_each_line<'a>(text: &'a [u8], mut take: impl FnMut(u64, &'a [u8], Option<&'a str>)) {
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
}

// Room that is used again from record to record.
#[derive(Default)]
struct Scratch {
    key: String,
    texts: [String; FIELDS.len()],
    extra: String,
}

impl Scratch {
    fn record(&mut self, record: &str, keep: &Keep, harvester: &mut Harvester) -> std::result::Result<(), Reason> {
        let mut tokens = [Token::Null; FIELDS.len()];
        let mut kept = vec![None; keep.names().len()];
        let key_text = &mut self.key;
        members(record, |key, value, raw| {
            let name = match key {
                Token::Text(name) => name,
                Token::Escaped(name) => {
                    key_text.clear();
                    // A key that is no text names no field.
                    if unescape(name, key_text).is_none() {
                        return;
                    }
                    key_text.as_str()
                }
                _ => return,
            };
            if let Some(field) = Field::named(name) {
                tokens[field as usize] = value;
            }
            if let Some(place) = keep.names().iter().position(|kept| kept == name) {
                kept[place] = (value != Token::Null).then_some(raw);
            }
        })
        .ok_or(Reason::BadRecord)?;
        let mut values = Values::default();
        for ((value, token), text) in values.iter_mut().zip(tokens).zip(&mut self.texts) {
            *value = value_of(token, text);
        }
        let extra = keep.object(kept.into_iter(), &mut self.extra);
        harvester.record(&values, extra)
    }
}

// Half a surrogate pair is no text: such a value is of no type that a field can have.
fn value_of<'a>(token: Token<'a>, text: &'a mut String) -> Value<'a> {
    match token {
        Token::Null => Value::Missing,
        Token::Text(text) => Value::Text(text),
        Token::Escaped(escaped) => {
            text.clear();
            if unescape(escaped, text).is_some() { Value::Text(text) } else { Value::Other }
        }
        Token::Integer(digits) => Value::Integer(digits),
        Token::Decimal(number) => Value::Decimal(number),
        Token::Bool(_) | Token::Object(_) | Token::Array(_) => Value::Other,
    }
}

//! CSV with a header (RFC 4180): each record becomes the values of one record of the log.
//! It does not know what makes a record an event, and leaves open quotes to the cutting of chunks.

use std::collections::HashSet;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::event::Reason;

use super::columns::{Harvest, Harvester};
use super::keep::Keep;
use super::quotes::{Stop, Walk, count_lines, is_blank, line};
use super::record::{Field, Rules, Value, Values};

/// The columns of a CSV file.
#[derive(Debug, Clone, Default)]
pub(super) struct Header {
    /// The names, untrimmed.
    pub(super) names: Vec<String>,
    // Which column holds a field, and which the kept fields.
    fields: Vec<(usize, Field)>,
    kept: Vec<Option<usize>>,
}

impl Header {
    /// Reads the header record.
    pub(super) fn parse(record: &str, keep: &Keep) -> Result<Self> {
        let mut split = Split::default();
        split.record(record);
        let names: Vec<String> = (0..split.len()).map(|place| split.field(record, place).to_owned()).collect();
        let mut seen = HashSet::new();
        for (place, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err(Error::Data(format!("the header has no name for column {}; give it one", place + 1)));
            }
            if name.contains(char::is_control) {
                return Err(Error::Data(format!(
                    "the header has a control character in the name {name:?}; end lines with LF or CRLF and write plain names"
                )));
            }
            if !seen.insert(name) {
                return Err(Error::Data(format!("the header names column `{name}` twice; rename one of them")));
            }
        }
        let fields = names.iter().enumerate().filter_map(|(place, name)| Some((place, Field::named(name)?))).collect();
        let kept = keep.names().iter().map(|kept| names.iter().position(|name| name == kept)).collect();
        Ok(Self { names, fields, kept })
    }
}

/// Reads whole records.
pub(super) fn read(text: &[u8], rules: &Rules, header: &Header, keep: &Keep, file: u32) -> Result<Harvest> {
    let mut harvester = Harvester::new(rules);
    let mut extra = String::new();
    let lines = for_each_record(text, header.names.len(), rules.max_record_bytes, |number, bytes, found| {
        let outcome = found.and_then(|(record, split)| {
            let mut values = Values::default();
            for (place, field) in &header.fields {
                values[*field as usize] = Value::Text(split.field(record, *place));
            }
            let extra = kept(record, split, header, keep, &mut extra);
            harvester.record(&values, extra)
        });
        if let Err(reason) = outcome {
            harvester.reject(number, reason, bytes);
        }
    });
    harvester.harvest(file, lines)
}

fn kept<'a>(record: &str, split: &Split, header: &Header, keep: &Keep, out: &'a mut String) -> Option<&'a str> {
    if header.kept.is_empty() {
        return None;
    }
    let quoted: Vec<Option<String>> = header
        .kept
        .iter()
        .map(|place| {
            let text = split.field(record, (*place)?);
            (!text.is_empty()).then(|| serde_json::Value::from(text).to_string())
        })
        .collect();
    // The borrow of `quoted` ends with the object, which is copied into `out`.
    let has_object = keep.object(quoted.iter().map(Option::as_deref), out).is_some();
    has_object.then_some(out.as_str())
}

/// Calls `take` with the line (from 1), the bytes, and the fields of each record that is not blank; the number of lines.
pub(super) fn for_each_record<'a>(
    text: &'a [u8],
    width: usize,
    max_record_bytes: usize,
    mut take: impl FnMut(u64, &'a [u8], std::result::Result<(&str, &Split), Reason>),
) -> u64 {
    let valid = simdutf8::basic::from_utf8(text).ok();
    let has_quotes = memchr::memchr(b'"', text).is_some();
    let mut split = Split::default();
    let (mut start, mut number) = (0, 1);
    while start < text.len() {
        let end = if has_quotes { record_end(text, start) } else { start + split.plain_record(&text[start..]) };
        let bytes = line(&text[start..end]);
        if !is_blank(bytes) {
            let record = match valid {
                Some(valid) => valid.get(start..start + bytes.len()),
                None => std::str::from_utf8(bytes).ok(),
            };
            let found = match record {
                None => Err(Reason::BadEncoding),
                Some(_) if bytes.len() > max_record_bytes => Err(Reason::TooLong),
                Some(record) => {
                    if has_quotes {
                        split.record(record);
                    }
                    if split.len() == width { Ok((record, &split)) } else { Err(Reason::BadRecord) }
                }
            };
            take(number, bytes, found);
        }
        number += if has_quotes { count_lines(&text[start..end]) } else { 1 };
        start = end;
    }
    number - 1
}

// Behind the line feed of the record that begins at `start`.
fn record_end(text: &[u8], start: usize) -> usize {
    let rest = &text[start..];
    let feed = memchr::memchr(b'\n', rest).map_or(rest.len(), |offset| offset + 1);
    if memchr::memchr(b'"', &rest[..feed]).is_none() {
        return start + feed;
    }
    let mut walk = Walk::default();
    match walk.step(rest, true, usize::MAX - 2) {
        Stop::Record => start + walk.record_start,
        Stop::End | Stop::TooLong => text.len(),
    }
}

/// Where the fields of a record are; used again from record to record.
#[derive(Debug, Default)]
pub(super) struct Split {
    fields: Vec<(Range<usize>, bool)>,
    // The text of quoted fields, without their quotes.
    unquoted: String,
}

impl Split {
    /// The number of fields.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// A field of the record that was split; empty if there is none.
    #[inline]
    pub(super) fn field<'a>(&'a self, record: &'a str, place: usize) -> &'a str {
        match self.fields.get(place) {
            Some((range, false)) => record.get(range.clone()).unwrap_or_default(),
            Some((range, true)) => self.unquoted.get(range.clone()).unwrap_or_default(),
            None => "",
        }
    }

    // The record that a text without quotes begins with; the place behind its line feed. Eight bytes are looked at at once.
    fn plain_record(&mut self, text: &[u8]) -> usize {
        const ONES: u64 = u64::MAX / 0xff;
        const LOWS: u64 = ONES * 0x7f;
        // The highest bit of each byte that is zero.
        let zeros = |x: u64| !(((x & LOWS) + LOWS) | x | LOWS);
        self.fields.clear();
        let (words, rest) = text.as_chunks();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let mut start = 0;
        for (word, at) in words.iter().chain([&last]).zip((0..).step_by(8)) {
            let word = u64::from_le_bytes(*word);
            let mut marks = zeros(word ^ (ONES * u64::from(b','))) | zeros(word ^ (ONES * u64::from(b'\n')));
            while marks != 0 {
                let place = at + (marks.trailing_zeros() / 8) as usize;
                marks &= marks - 1;
                if text.get(place) == Some(&b'\n') {
                    self.fields.push((start..line(&text[..=place]).len(), false));
                    return place + 1;
                }
                self.fields.push((start..place, false));
                start = place + 1;
            }
        }
        self.fields.push((start..line(text).len(), false));
        text.len()
    }

    // As in RFC 4180; text behind a closing quote belongs to the field as it is.
    fn record(&mut self, record: &str) {
        self.fields.clear();
        self.unquoted.clear();
        let bytes = record.as_bytes();
        if memchr::memchr(b'"', bytes).is_none() {
            let mut start = 0;
            for comma in memchr::memchr_iter(b',', bytes) {
                self.fields.push((start..comma, false));
                start = comma + 1;
            }
            self.fields.push((start..bytes.len(), false));
            return;
        }
        let mut start = 0;
        loop {
            let end = if bytes.get(start) == Some(&b'"') {
                let begin = self.unquoted.len();
                let end = self.quoted_field(record, start + 1);
                self.fields.push((begin..self.unquoted.len(), true));
                end
            } else {
                let end = comma_from(bytes, start);
                self.fields.push((start..end, false));
                end
            };
            if end >= bytes.len() {
                return;
            }
            start = end + 1;
        }
    }

    // Appends the text of the field whose opening quote stands before `start`; the place of the comma behind it.
    fn quoted_field(&mut self, record: &str, mut start: usize) -> usize {
        let bytes = record.as_bytes();
        loop {
            let quote = memchr::memchr(b'"', bytes.get(start..).unwrap_or_default());
            let end = quote.map_or(bytes.len(), |offset| start + offset);
            self.unquoted.push_str(record.get(start..end).unwrap_or_default());
            if bytes.get(end + 1) == Some(&b'"') {
                self.unquoted.push('"');
                start = end + 2;
                continue;
            }
            let comma = comma_from(bytes, end + 1);
            self.unquoted.push_str(record.get(end + 1..comma).unwrap_or_default());
            return comma;
        }
    }
}

fn comma_from(bytes: &[u8], start: usize) -> usize {
    memchr::memchr(b',', bytes.get(start..).unwrap_or_default()).map_or(bytes.len(), |offset| start + offset)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(record: &str, expected: &[&str]) {
        let mut split = Split::default();
        split.record(record);
        let found: Vec<_> = (0..split.len()).map(|place| split.field(record, place)).collect();
        assert_eq!(found, expected, "{record:?}");
    }

    #[test]
    fn fields_are_split_at_commas_outside_quotes() {
        check("", &[""]);
        check("a", &["a"]);
        check("a,,b,", &["a", "", "b", ""]);
        check(",", &["", ""]);
        check("\"a,b\",c", &["a,b", "c"]);
        check("\"a\"\"b\",\"\"", &["a\"b", ""]);
        check("a\"b,c", &["a\"b", "c"]);
        check("\"a\"b\"c,d", &["ab\"c", "d"]);
        check(" \"a\",b", &[" \"a\"", "b"]);
        check("\"a\nb\",\"é\"\r", &["a\nb", "é\r"]);
        check("\"\"\"\"", &["\""]);
        check("\"open", &["open"]);
        check("a,\"", &["a", ""]);
    }

    #[test]
    fn a_header_has_each_name_once() {
        let keep = Keep::default();
        assert_eq!(Header::parse("ts,\"app_id\", x", &keep).expect("a header").names, ["ts", "app_id", " x"]);
        for wrong in ["a,a", "a,,b", "", "a,"] {
            assert_eq!(Header::parse(wrong, &keep).expect_err("refused").exit_code(), 3, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn the_csv_crate_agrees(text in "([a\",é]{0,8}\n?){0,6}") {
            // The crate takes an open quote up to the end; that is the cutter's matter here.
            let mut walk = Walk::default();
            while walk.step(text.as_bytes(), true, 1000) == Stop::Record {}
            prop_assume!(!walk.is_quoted);
            let mut found: Vec<Vec<String>> = Vec::new();
            for width in 0..50 {
                for_each_record(text.as_bytes(), width, 1000, |_, _, record| {
                    if let Ok((record, split)) = record {
                        found.push((0..split.len()).map(|place| split.field(record, place).to_owned()).collect());
                    }
                });
            }
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
            let mut expected: Vec<Vec<String>> = reader
                .records()
                .map(|record| record.expect("a record").iter().map(str::to_owned).collect())
                .collect();
            expected.sort_by_key(Vec::len);
            prop_assert_eq!(found, expected);
        }
    }
}

//! A stream of text cut into chunks of whole records, for many threads to read at once. What can be no record because
//! of its length or an open quote is taken out here, line by line; nothing longer than a record is held for it.
//! It does not know fields.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Read};

use crate::event::Reason;

use super::quotes::{Stop, Walk, count_lines, is_blank, line};
use super::record::{MAX_RAW_BYTES, cut_raw};

const SKIP_BYTES: u64 = 64 << 10;

/// A part of a stream, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Whole records. Only the last record of a stream can lack its line end.
    Records(Vec<u8>),
    /// One line that is no record.
    Refused(Reason, String),
}

/// How records end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// At each line feed.
    Line,
    /// At each line feed outside CSV quotes.
    Quoted,
}

/// Cuts a stream. A byte order mark at its start is dropped.
#[derive(Debug)]
pub(super) struct Cutter<R> {
    input: R,
    ending: Ending,
    chunk_bytes: usize,
    max_record_bytes: usize,
    buffer: Vec<u8>,
    walk: Walk,
    // No quote stands before this place, and the walk has not begun.
    plain: usize,
    is_walking: bool,
    is_over: bool,
    // The buffer begins with a line that is no record.
    refusing: Option<Reason>,
}

impl<R: Read> Cutter<R> {
    /// A cutter that makes chunks of about `chunk_bytes`.
    pub(super) fn new(input: R, ending: Ending, chunk_bytes: usize, max_record_bytes: usize) -> io::Result<Self> {
        let mut cutter = Self {
            input,
            ending,
            chunk_bytes: chunk_bytes.max(1),
            max_record_bytes,
            buffer: Vec::new(),
            walk: Walk::default(),
            plain: 0,
            is_walking: false,
            is_over: false,
            refusing: None,
        };
        cutter.fill(3)?;
        if cutter.buffer.starts_with(b"\xef\xbb\xbf") {
            cutter.buffer.drain(..3);
        }
        Ok(cutter)
    }

    /// The first record that is not blank, without its line end, and the number of lines up to its end.
    /// `None`: there is none. The error's text says what is wrong with it.
    pub(super) fn header(&mut self) -> io::Result<Result<Option<(String, u64)>, &'static str>> {
        let mut walk = Walk::default();
        loop {
            let start = walk.record_start;
            let end = match walk.step(&self.buffer, self.is_over, self.max_record_bytes) {
                Stop::Record => walk.record_start,
                Stop::TooLong => return Ok(Err("is longer than `[ingest] max_record_bytes`")),
                Stop::End if !self.is_over => {
                    self.fill(self.buffer.len() + self.chunk_bytes)?;
                    continue;
                }
                Stop::End if walk.is_quoted => return Ok(Err("has a quote that is never closed")),
                Stop::End => self.buffer.len(),
            };
            let record = line(&self.buffer[start..end]);
            if is_blank(record) && end < self.buffer.len() {
                continue;
            }
            if is_blank(record) && !self.is_over {
                self.fill(self.buffer.len() + self.chunk_bytes)?;
                continue;
            }
            let Ok(text) = std::str::from_utf8(record) else { return Ok(Err("is not UTF-8")) };
            let header = (!is_blank(record)).then(|| (text.to_owned(), count_lines(&self.buffer[..end])));
            self.buffer.drain(..end);
            return Ok(Ok(header));
        }
    }

    /// The next piece; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        if let Some(reason) = self.refusing.take() {
            return self.refuse_line(reason).map(Some);
        }
        let mut wanted = self.chunk_bytes;
        loop {
            self.fill(wanted)?;
            if self.buffer.is_empty() {
                return Ok(None);
            }
            let cut = if self.needs_walk() { self.walk_cut() } else { self.line_cut() };
            match cut {
                Cut::At(end) => return Ok(Some(self.emit(end))),
                Cut::Refuse(0, reason) => return self.refuse_line(reason).map(Some),
                Cut::Refuse(start, reason) => {
                    self.refusing = Some(reason);
                    return Ok(Some(self.emit(start)));
                }
                Cut::More => wanted = self.buffer.len() + self.chunk_bytes,
            }
        }
    }

    /// The stream.
    pub(super) fn input(&mut self) -> &mut R {
        &mut self.input
    }

    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        while !self.is_over && self.buffer.len() < wanted {
            let missing = wanted - self.buffer.len();
            self.buffer.reserve(missing);
            match self.input.by_ref().take(missing as u64).read_to_end(&mut self.buffer) {
                Ok(0) => self.is_over = true,
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    // Chunks without quotes are cut at any line end, which is faster by far.
    fn needs_walk(&mut self) -> bool {
        if self.ending == Ending::Quoted && !self.is_walking {
            match memchr::memchr(b'"', self.buffer.get(self.plain..).unwrap_or_default()) {
                Some(_) => self.is_walking = true,
                None => self.plain = self.buffer.len(),
            }
        }
        self.is_walking
    }

    fn line_cut(&self) -> Cut {
        if self.is_over {
            return Cut::At(self.buffer.len());
        }
        match memchr::memrchr(b'\n', &self.buffer) {
            Some(end) => Cut::At(end + 1),
            None if self.buffer.len() > self.max_record_bytes + 2 => Cut::Refuse(0, Reason::TooLong),
            None => Cut::More,
        }
    }

    fn walk_cut(&mut self) -> Cut {
        loop {
            let stop = self.walk.step(&self.buffer, self.is_over, self.max_record_bytes);
            let start = self.walk.record_start;
            match stop {
                Stop::Record => {}
                Stop::TooLong => return Cut::Refuse(start, Reason::TooLong),
                Stop::End if self.is_over && self.walk.is_quoted => {
                    let is_long = line(&self.buffer[start..]).len() > self.max_record_bytes;
                    return Cut::Refuse(start, if is_long { Reason::TooLong } else { Reason::BadRecord });
                }
                Stop::End if self.is_over => return Cut::At(self.buffer.len()),
                Stop::End if start > 0 => return Cut::At(start),
                Stop::End => return Cut::More,
            }
        }
    }

    fn emit(&mut self, end: usize) -> Piece {
        let rest = self.buffer.split_off(end);
        let records = std::mem::replace(&mut self.buffer, rest);
        self.forget(end);
        Piece::Records(records)
    }

    fn forget(&mut self, bytes: usize) {
        self.plain = if self.is_walking { 0 } else { self.plain.saturating_sub(bytes) };
        if self.is_walking && self.walk.record_start >= bytes {
            self.walk.shift(bytes);
            // Between records, outside quotes, and with nothing known, the next chunk may again be cut at line ends.
            self.is_walking = self.walk != Walk::default();
        } else {
            self.walk = Walk::default();
            self.is_walking = false;
        }
    }

    // Takes the first line of the buffer out. If it is longer than the buffer, it is skipped without being held.
    fn refuse_line(&mut self, reason: Reason) -> io::Result<Piece> {
        if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
            let text = line(&self.buffer[..=end]);
            let reason = if std::str::from_utf8(text).is_ok() { reason } else { Reason::BadEncoding };
            let raw = lossy_raw(text).into_owned();
            self.walk.give_up(end + 1);
            self.buffer.drain(..=end);
            self.walk.shift(end + 1);
            return Ok(Piece::Refused(reason, raw));
        }
        let mut skipped = Skipped::default();
        loop {
            let end = memchr::memchr(b'\n', &self.buffer);
            skipped.add(&self.buffer[..end.unwrap_or(self.buffer.len())]);
            self.buffer.drain(..end.map_or(self.buffer.len(), |end| end + 1));
            self.fill(1)?;
            if end.is_some() || self.buffer.is_empty() {
                break;
            }
            self.fill(usize::try_from(SKIP_BYTES).unwrap_or(usize::MAX))?;
        }
        self.walk = Walk::default();
        self.is_walking = false;
        self.plain = 0;
        Ok(skipped.piece(reason))
    }
}

enum Cut {
    // Whole records end here.
    At(usize),
    // The line that begins here is to be refused.
    Refuse(usize, Reason),
    More,
}

// A line of which only the beginning is kept.
#[derive(Default)]
struct Skipped {
    head: Vec<u8>,
    is_blank: Option<bool>,
    is_invalid: bool,
    // The beginning of a character whose other bytes are still to come.
    partial: Vec<u8>,
}

impl Skipped {
    fn add(&mut self, bytes: &[u8]) {
        // One byte more than is kept tells a cut from an end.
        let room = (MAX_RAW_BYTES + 1).saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        self.is_blank = Some(self.is_blank.unwrap_or(true) && is_blank(bytes));
        self.partial.extend_from_slice(bytes);
        match std::str::from_utf8(&self.partial) {
            Ok(_) => self.partial.clear(),
            Err(e) => {
                self.is_invalid |= e.error_len().is_some();
                let keep = if self.is_invalid { self.partial.len() } else { e.valid_up_to() };
                self.partial.drain(..keep);
            }
        }
    }

    fn piece(self, reason: Reason) -> Piece {
        if self.is_blank == Some(true) {
            return Piece::Records(b"\n".to_vec());
        }
        let is_text = !self.is_invalid && self.partial.is_empty();
        let reason = if is_text { reason } else { Reason::BadEncoding };
        Piece::Refused(reason, lossy_raw(line(&self.head)).into_owned())
    }
}

/// The beginning of a rejected record as text, whatever its bytes are.
pub(super) fn lossy_raw(bytes: &[u8]) -> Cow<'_, str> {
    // A character at the end may be cut; what replaces it is beyond the limit, so that it is cut off again.
    match String::from_utf8_lossy(bytes.get(..MAX_RAW_BYTES + 4).unwrap_or(bytes)) {
        Cow::Borrowed(text) => Cow::Borrowed(cut_raw(text)),
        Cow::Owned(text) => Cow::Owned(cut_raw(&text).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &[u8], ending: Ending, chunk_bytes: usize, max_record_bytes: usize) -> Vec<Piece> {
        let mut cutter = Cutter::new(text, ending, chunk_bytes, max_record_bytes).expect("memory");
        std::iter::from_fn(|| cutter.next().expect("memory")).collect()
    }

    // The lines of records, and refused lines with their reason in front.
    fn flat(pieces: &[Piece]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut open = String::new();
        for piece in pieces {
            match piece {
                Piece::Records(text) => open.push_str(&String::from_utf8_lossy(text)),
                Piece::Refused(reason, raw) => {
                    lines.extend(std::mem::take(&mut open).split_inclusive('\n').map(str::to_owned));
                    lines.push(format!("{}: {raw}", reason.name()));
                }
            }
        }
        lines.extend(open.split_inclusive('\n').map(str::to_owned));
        lines
    }

    fn check(text: &str, ending: Ending, max_record_bytes: usize, expected: &[&str]) {
        for chunk_bytes in [1, 2, 3, 5, 8, 13, 1000] {
            let found = flat(&cut(text.as_bytes(), ending, chunk_bytes, max_record_bytes));
            assert_eq!(found, expected, "{text:?} by {chunk_bytes}");
        }
    }

    #[test]
    fn an_open_quote_costs_one_line() {
        let quoted = Ending::Quoted;
        check("a\n\"b\nc\"\nd", quoted, 100, &["a\n", "\"b\n", "c\"\n", "d"]);
        check("a\n\"b\nc\nd\n", quoted, 100, &["a\n", "bad_record: \"b", "c\n", "d\n"]);
        check("a\nx,\"b\r\nc\n\"d", quoted, 100, &["a\n", "x,\"b\r\n", "c\n", "\"d"]);
        check("a\n\"b", quoted, 100, &["a\n", "bad_record: \"b"]);
        check("\"a\n\"\"b\n\"\"c\n", quoted, 100, &["bad_record: \"a", "\"\"b\n", "\"\"c\n"]);
        check("\"a\nb\nc\nd\ne\n", quoted, 4, &["too_long: \"a", "b\n", "c\n", "d\n", "e\n"]);
        check("\"a\nb\"\nc\n", quoted, 4, &["too_long: \"a", "b\"\n", "c\n"]);
        check("\"a\nb\"\nc\n", quoted, 5, &["\"a\n", "b\"\n", "c\n"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_not_held() {
        let long = "x".repeat(1_000_000);
        let text = format!("a\n{long}\nb\n{}\n\u{fc}{long}", " ".repeat(500_000));
        let pieces = cut(text.as_bytes(), Ending::Line, 10, 100);
        let expected: Vec<String> = vec![
            "a\n".into(),
            format!("too_long: {}", &long[..4096]),
            "b\n".into(),
            "\n".into(),
            format!("too_long: \u{fc}{}", &long[..4094]),
        ];
        assert_eq!(flat(&pieces), expected);
        let broken = [long.as_bytes(), b"\xc3", long.as_bytes(), b"\n"].concat();
        let pieces = cut(&broken, Ending::Line, 10, 100);
        assert_eq!(pieces, [Piece::Refused(Reason::BadEncoding, long[..4096].to_owned())]);
        let cut_character = [long.as_bytes(), b"\xc3"].concat();
        let pieces = cut(&cut_character, Ending::Line, 10, 100);
        assert_eq!(pieces, [Piece::Refused(Reason::BadEncoding, long[..4096].to_owned())]);
    }

    #[test]
    fn many_stray_quotes_cost_no_quadratic_time() {
        // Each line leaves a quote open whether it begins inside quotes or not.
        let text = "a\"b,\"c\n".repeat(200_000);
        let started = std::time::Instant::now();
        let pieces = cut(text.as_bytes(), Ending::Quoted, 4 << 20, 1 << 20);
        assert!(pieces.len() > 1000);
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }

    type Header = Result<Option<(String, u64)>, &'static str>;

    fn header(text: &str) -> (Header, Vec<String>) {
        let mut cutter = Cutter::new(text.as_bytes(), Ending::Quoted, 2, 100).expect("memory");
        let header = cutter.header().expect("memory");
        let pieces: Vec<_> = std::iter::from_fn(|| cutter.next().expect("memory")).collect();
        (header, flat(&pieces))
    }

    #[test]
    fn the_header_is_the_first_record_that_is_not_blank() {
        let some = |text: &str, lines| Ok(Some((text.to_owned(), lines)));
        assert_eq!(header("a,b\r\nc,d\n"), (some("a,b", 1), vec!["c,d\n".into()]));
        assert_eq!(header("\u{feff}\n \na,\"b\n\"\nc\n"), (some("a,\"b\n\"", 4), vec!["c\n".into()]));
        assert_eq!(header("a,b"), (some("a,b", 1), vec![]));
        assert_eq!(header(""), (Ok(None), vec![]));
        assert_eq!(header(" \n\n"), (Ok(None), vec![]));
        assert!(header("a,\"b\nc\n").0.is_err());
        assert!(header(&"x".repeat(103)).0.is_err());
    }

    proptest! {
        #[test]
        fn pieces_do_not_depend_on_the_chunk_size(
            text in "[a\",\n\r \u{e9}]{0,60}", chunk_bytes in 1_usize..20, max_record_bytes in 1_usize..20
        ) {
            for ending in [Ending::Line, Ending::Quoted] {
                let whole = cut(text.as_bytes(), ending, 1000, 1000);
                let parts = cut(text.as_bytes(), ending, chunk_bytes, 1000);
                prop_assert_eq!(flat(&parts), flat(&whole));
                let long = cut(text.as_bytes(), ending, chunk_bytes, max_record_bytes);
                let lines = long.iter().map(|piece| match piece {
                    Piece::Records(text) => count_lines(text),
                    Piece::Refused(..) => 1,
                });
                prop_assert_eq!(lines.sum::<u64>(), text.split_inclusive('\n').count() as u64);
            }
        }
    }
}

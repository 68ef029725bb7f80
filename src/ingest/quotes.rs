//! Where a CSV record ends (RFC 4180): a quote is special only at the start of a field, and a line end only outside
//! quotes. It does not know fields or what they mean.

/// A walk over the bytes of consecutive records. Positions count from the start of the buffer it is given, which may
/// grow between calls, but whose bytes must not change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Walk {
    /// Where the present record begins: everything before it is whole records.
    pub(super) record_start: usize,
    /// How far the walk has come.
    pub(super) at: usize,
    /// Whether `at` stands inside quotes.
    pub(super) is_quoted: bool,
    // From a line start inside quotes, at most at this place, the walk is known to come to this place in this state.
    known: Option<(usize, bool)>,
}

/// Why a walk stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// One whole record more.
    Record,
    /// The buffer ends in mid-record, or with a whole one.
    End,
    /// The present record is longer than allowed.
    TooLong,
}

impl Walk {
    /// A walk that begins with a record at `start`.
    pub(super) fn from(start: usize) -> Self {
        Self { record_start: start, at: start, ..Self::default() }
    }

    /// Walks to the end of the present record (behind its line feed), at most to the end of the buffer.
    /// `is_last`: no bytes will follow the buffer.
    pub(super) fn step(&mut self, buffer: &[u8], is_last: bool, max_record_bytes: usize) -> Stop {
        loop {
            let Some(rest) = buffer.get(self.at..) else { return Stop::End };
            if self.is_quoted {
                if !self.leave_quotes(rest, buffer, is_last) {
                    return self.stop_at_end(buffer, max_record_bytes);
                }
            } else {
                match memchr::memchr2(b'"', b'\n', rest) {
                    None => {
                        self.at = buffer.len();
                        return self.stop_at_end(buffer, max_record_bytes);
                    }
                    Some(offset) if rest[offset] == b'\n' => {
                        let end = self.at + offset;
                        if line(&buffer[self.record_start..end]).len() > max_record_bytes {
                            self.at = end;
                            return Stop::TooLong;
                        }
                        *self = Self { known: self.known, ..Self::from(end + 1) };
                        return Stop::Record;
                    }
                    Some(offset) => {
                        let quote = self.at + offset;
                        self.is_quoted = quote == self.record_start || buffer[quote - 1] == b',';
                        self.at = quote + 1;
                    }
                }
            }
            if self.at - self.record_start > max_record_bytes + 2 {
                return Stop::TooLong;
            }
        }
    }

    /// Gives up the present record: the next one begins at `next`, the line after its first.
    /// What the walk has seen of the lines behind is remembered, so that giving up often costs no second look.
    pub(super) fn give_up(&mut self, next: usize) {
        let known = (self.at >= next).then_some((self.at, self.is_quoted));
        *self = Self { known, ..Self::from(next) };
    }

    /// Forgets the first bytes of the buffer.
    pub(super) fn shift(&mut self, bytes: usize) {
        self.record_start -= bytes;
        self.at -= bytes;
        self.known = self.known.and_then(|(at, is_quoted)| Some((at.checked_sub(bytes)?, is_quoted)));
    }

    // Whether the closing quote was found. A quote that may be the first half of an escaped one waits for its neighbour.
    fn leave_quotes(&mut self, rest: &[u8], buffer: &[u8], is_last: bool) -> bool {
        let found = if self.known.is_some() { memchr::memchr2(b'"', b'\n', rest) } else { memchr::memchr(b'"', rest) };
        let Some(offset) = found else {
            self.at = buffer.len();
            return false;
        };
        let place = self.at + offset;
        if buffer[place] == b'\n' {
            self.at = place + 1;
            if let Some((at, is_quoted)) = self.known.take().filter(|(at, _)| *at > place) {
                (self.at, self.is_quoted) = (at, is_quoted);
            }
            return true;
        }
        match buffer.get(place + 1) {
            Some(b'"') => self.at = place + 2,
            None if !is_last => {
                self.at = place;
                return false;
            }
            _ => (self.at, self.is_quoted) = (place + 1, false),
        }
        true
    }

    fn stop_at_end(&self, buffer: &[u8], max_record_bytes: usize) -> Stop {
        // A carriage return at the end may belong to the line end.
        if buffer.len() - self.record_start > max_record_bytes.saturating_add(2) { Stop::TooLong } else { Stop::End }
    }
}

/// A line or record without its line end.
pub(super) fn line(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// Whether a line holds nothing but spaces.
pub(super) fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}

/// The number of lines, the last one also without its line end.
pub(super) fn count_lines(text: &[u8]) -> u64 {
    let feeds = memchr::memchr_iter(b'\n', text).count() as u64;
    feeds + u64::from(!text.is_empty() && !text.ends_with(b"\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let mut walk = Walk::default();
        let mut found = Vec::new();
        loop {
            let start = walk.record_start;
            match walk.step(text.as_bytes(), true, 1000) {
                Stop::Record => found.push(&text[start..walk.record_start]),
                Stop::End => break,
                Stop::TooLong => panic!("no record is too long"),
            }
        }
        assert_eq!(found, expected, "{text:?}");
        assert_eq!(walk.is_quoted, text.ends_with("open"), "{text:?}");
    }

    #[test]
    fn records_end_outside_quotes() {
        check("a,b\nc,d\n", &["a,b\n", "c,d\n"]);
        check("a,\"b\nc\",d\r\ne\n", &["a,\"b\nc\",d\r\n", "e\n"]);
        check("\"a\"\"\n\"\"b\"\nc\n", &["\"a\"\"\n\"\"b\"\n", "c\n"]);
        check("a\"b\nc\"d\n", &["a\"b\n", "c\"d\n"]);
        check("\"a\"b\"\nc\n", &["\"a\"b\"\n", "c\n"]);
        check("\"\"\n\"\",\"\"\n", &["\"\"\n", "\"\",\"\"\n"]);
        check("a\n\"b\nc\nopen", &["a\n"]);
        check("a\nlast", &["a\n"]);
        check("a\n\"last\"", &["a\n"]);
    }

    #[test]
    fn a_quote_at_the_end_of_the_buffer_waits() {
        let mut walk = Walk::default();
        assert_eq!(walk.step(b"\"a\"", false, 1000), Stop::End);
        assert_eq!((walk.at, walk.is_quoted), (2, true));
        assert_eq!(walk.step(b"\"a\"\"\n\"\nb", false, 1000), Stop::Record);
        assert_eq!(walk.record_start, 7);
    }
}

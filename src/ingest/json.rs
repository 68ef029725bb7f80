//! A strict scanner for one JSON object (RFC 8259) that borrows from the text and never recurses, so that no nesting
//! can exhaust the stack. It does not know what the members mean.

/// A member's value. Slices are parts of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    /// Text without escapes, without its quotes.
    Text(&'a str),
    /// Text with escapes, without its quotes; [`unescape`] reads it.
    Escaped(&'a str),
    /// A number without fraction and exponent.
    Integer(&'a str),
    /// Another number.
    Decimal(&'a str),
    /// An object with its braces.
    Object(&'a str),
    /// An array with its brackets.
    Array(&'a str),
}

/// Calls `member` with each key (as [`Token::Text`] or [`Token::Escaped`]), value, and the value as written.
/// `None` if the text is not one valid JSON object; members seen until then have been told already.
pub(super) fn members<'a>(text: &'a str, member: impl FnMut(Token<'a>, Token<'a>, &'a str)) -> Option<()> {
    object(text, Scan::key, member)
}

/// Calls `member` with what `key` made of each key, with the value, and the value as written.
#[inline]
pub(super) fn object<'a, K>(
    text: &'a str,
    mut key: impl FnMut(&mut Scan<'a>) -> Option<K>,
    mut member: impl FnMut(K, Token<'a>, &'a str),
) -> Option<()> {
    let mut scan = Scan { text, bytes: text.as_bytes(), at: 0 };
    scan.skip_space();
    scan.expect(b'{')?;
    scan.skip_space();
    if scan.peek() == Some(b'}') {
        scan.at += 1;
    } else {
        loop {
            let key = key(&mut scan)?;
            scan.skip_space();
            let start = scan.at;
            let value = scan.value()?;
            member(key, value, text.get(start..scan.at).unwrap_or_default());
            scan.skip_space();
            match scan.next()? {
                b',' => scan.skip_space(),
                b'}' => break,
                _ => return None,
            }
        }
    }
    scan.end()
}

/// So many bytes are looked at at once.
pub(super) const AHEAD_BYTES: usize = size_of::<u128>();

/// Calls `element` with each value of an array.
pub(super) fn elements<'a>(text: &'a str, mut element: impl FnMut(Token<'a>, &'a str)) -> Option<()> {
    let mut scan = Scan { text, bytes: text.as_bytes(), at: 0 };
    scan.skip_space();
    scan.expect(b'[')?;
    scan.skip_space();
    if scan.peek() == Some(b']') {
        scan.at += 1;
    } else {
        loop {
            scan.skip_space();
            let start = scan.at;
            let value = scan.value()?;
            element(value, text.get(start..scan.at)?);
            scan.skip_space();
            match scan.next()? {
                b',' => {}
                b']' => break,
                _ => return None,
            }
        }
    }
    scan.end()
}

/// Appends text with its escapes resolved. `None` for half a surrogate pair, which is no text.
pub(super) fn unescape(escaped: &str, out: &mut String) -> Option<()> {
    let mut rest = escaped;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(rest.get(..at)?);
        let kind = *rest.as_bytes().get(at + 1)?;
        rest = rest.get(at + 2..)?;
        match kind {
            b'"' => out.push('"'),
            b'\\' => out.push('\\'),
            b'/' => out.push('/'),
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => {
                let (unit, after) = code_unit(rest)?;
                let (code, after) = match unit {
                    0xD800..=0xDBFF => {
                        let (low, after) = code_unit(after.strip_prefix("\\u")?)?;
                        let low = low.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
                        (0x10000 + ((unit - 0xD800) << 10) + low, after)
                    }
                    _ => (unit, after),
                };
                out.push(char::from_u32(code)?);
                rest = after;
            }
            _ => return None,
        }
    }
    out.push_str(rest);
    Some(())
}

fn code_unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let is_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
    Some((is_hex.then(|| u32::from_str_radix(digits, 16).ok())??, rest))
}

/// A place in a text.
pub(super) struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    /// The bytes from here on as a number, the first one lowest, with zeros behind the end.
    #[inline]
    pub(super) fn ahead(&self) -> u128 {
        ahead(self.bytes, self.at)
    }

    /// Goes on by so many of the bytes that are ahead.
    #[inline]
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// How far the scan has come.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn end(&mut self) -> Option<()> {
        self.skip_space();
        self.peek().is_none().then_some(())
    }

    /// Reads a key and the colon behind it.
    pub(super) fn key(&mut self) -> Option<Token<'a>> {
        self.expect(b'"')?;
        let key = self.string()?;
        self.skip_space();
        self.expect(b':')?;
        Some(key)
    }

    // Most values are text; the others are read elsewhere, so that this stays small.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a value goes to its reader in registers, not by way of memory")]
    fn value(&mut self) -> Option<Token<'a>> {
        if self.peek() == Some(b'"') {
            self.at += 1;
            self.string()
        } else {
            self.other_value()
        }
    }

    fn other_value(&mut self) -> Option<Token<'a>> {
        let start = self.at;
        match self.next()? {
            b'-' | b'0'..=b'9' => {
                let is_integer = self.number(start)?;
                let text = self.text.get(start..self.at)?;
                Some(if is_integer { Token::Integer(text) } else { Token::Decimal(text) })
            }
            b'n' => self.literal(b"ull").map(|()| Token::Null),
            b't' => self.literal(b"rue").map(|()| Token::Bool(true)),
            b'f' => self.literal(b"alse").map(|()| Token::Bool(false)),
            b'{' => {
                self.nested(b'{')?;
                self.text.get(start..self.at).map(Token::Object)
            }
            b'[' => {
                self.nested(b'[')?;
                self.text.get(start..self.at).map(Token::Array)
            }
            _ => None,
        }
    }

    fn literal(&mut self, rest: &[u8]) -> Option<()> {
        let end = self.at + rest.len();
        (self.bytes.get(self.at..end)? == rest).then(|| self.at = end)
    }

    // After the opening quote; ends after the closing one.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as for values, most of which are strings")]
    fn string(&mut self) -> Option<Token<'a>> {
        let start = self.at;
        let mut has_escape = false;
        loop {
            self.at = special(self.bytes, self.at)?;
            match self.next()? {
                b'"' => break,
                b'\\' => {
                    has_escape = true;
                    self.escape()?;
                }
                // A bare control character.
                _ => return None,
            }
        }
        let text = self.text.get(start..self.at - 1)?;
        Some(if has_escape { Token::Escaped(text) } else { Token::Text(text) })
    }

    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.bytes.get(self.at..self.at + 4)?;
                digits.iter().all(u8::is_ascii_hexdigit).then(|| self.at += 4)
            }
            _ => None,
        }
    }

    // After the first byte, which stands at `start`. Whether the number is an integer.
    fn number(&mut self, start: usize) -> Option<bool> {
        let first = if *self.bytes.get(start)? == b'-' { self.next()? } else { *self.bytes.get(start)? };
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        let mut is_integer = true;
        if self.peek() == Some(b'.') {
            is_integer = false;
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            is_integer = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(is_integer)
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Option<()> {
        let start = self.at;
        self.digits();
        (self.at > start).then_some(())
    }

    // Skips an object or array after its opening byte, checking its grammar. Open containers are kept on the heap.
    fn nested(&mut self, opening: u8) -> Option<()> {
        let mut open = vec![opening];
        let mut is_first = true;
        while let Some(&container) = open.last() {
            self.skip_space();
            let closing = if container == b'{' { b'}' } else { b']' };
            if self.peek()? == closing {
                // Right after the opening byte or after a value; never after a comma.
                self.at += 1;
                open.pop();
                is_first = false;
                continue;
            }
            if !is_first {
                self.expect(b',')?;
                self.skip_space();
            }
            if container == b'{' {
                self.key()?;
                self.skip_space();
            }
            let inner = self.peek()?;
            is_first = matches!(inner, b'{' | b'[');
            if is_first {
                self.at += 1;
                open.push(inner);
            } else {
                self.value()?;
            }
        }
        Some(())
    }
}

// The place of the first quote, backslash or control character from `at` on. A borrow in the subtraction can only mark
// bytes above one that is marked rightly, and only the lowest mark is used.
#[inline]
fn special(bytes: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u128 = u128::MAX / 0xff;
    const HIGHS: u128 = ONES << 7;
    loop {
        let next = ahead(bytes, at);
        let zeros = |x: u128| x.wrapping_sub(ONES) & !x & HIGHS;
        let controls = next.wrapping_sub(ONES * 0x20) & !next & HIGHS;
        let marks = zeros(next ^ (ONES * 0x22)) | zeros(next ^ (ONES * 0x5c)) | controls;
        if marks != 0 {
            // What stands for the bytes behind the end is marked too.
            let place = at + (marks.trailing_zeros() / 8) as usize;
            return (place < bytes.len()).then_some(place);
        }
        at += AHEAD_BYTES;
    }
}

// The bytes from `at` on as a number, the first one lowest, with zeros behind the end.
#[inline]
fn ahead(bytes: &[u8], at: usize) -> u128 {
    let rest = bytes.get(at..).unwrap_or_default();
    match (rest.first_chunk(), bytes.last_chunk()) {
        (Some(next), _) => u128::from_le_bytes(*next),
        (None, Some(last)) if !rest.is_empty() => u128::from_le_bytes(*last) >> (8 * (AHEAD_BYTES - rest.len())),
        _ => rest.iter().rev().fold(0, |next, byte| next << 8 | u128::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<Vec<(String, String)>> {
        let mut found = Vec::new();
        members(text, |key, value, raw| {
            let (Token::Text(key) | Token::Escaped(key)) = key else { return };
            let is_raw_text = matches!(value, Token::Text(_) | Token::Escaped(_));
            assert_eq!(is_raw_text, raw.starts_with('"'));
            found.push((key.to_owned(), raw.to_owned()));
        })?;
        Some(found)
    }

    fn check_valid(text: &str, expected: &[(&str, &str)]) {
        let found = read(text).unwrap_or_else(|| panic!("{text} is valid"));
        let found: Vec<_> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn objects_are_taken_apart() {
        check_valid("{}", &[]);
        check_valid(" \t{ } \r", &[]);
        check_valid(r#"{"a":1,"a":2}"#, &[("a", "1"), ("a", "2")]);
        check_valid(
            r#"{ "a" : "x\"y" , "b":-0.5e+3,"c":[1,[],{"d":[null]}],"e":{"f":{}}}"#,
            &[("a", r#""x\"y""#), ("b", "-0.5e+3"), ("c", r#"[1,[],{"d":[null]}]"#), ("e", r#"{"f":{}}"#)],
        );
        check_valid(r#"{"":true,"\u0061":false}"#, &[("", "true"), ("\\u0061", "false")]);
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for text in [
            "",
            " ",
            "[]",
            "1",
            "null",
            "{",
            "}",
            "{}}",
            "{}{}",
            "{},",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{a:1}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":+1}",
            "{\"a\":-}",
            "{\"a\":1e}",
            "{\"a\":tru}",
            "{\"a\":NaN}",
            "{\"a\":\"\t\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12\"}",
            "{\"a\":\"}",
            "{\"a\":[1,]}",
            "{\"a\":[,1]}",
            "{\"a\":[1 2]}",
            "{\"a\":[}",
            "{\"a\":{]}",
            "{\"a\":{\"b\"}}",
            "{\"a\":{\"b\":1,}}",
            "{'a':1}",
            "{\"a\":1 \"b\":2}",
            "\u{feff}{}",
            "{\"a\":\"\\u+123\"}",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn deep_nesting_does_not_exhaust_the_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        assert!(read(&deep).is_some());
        assert!(read(&deep[..deep.len() - 2]).is_none());
    }

    fn check_unescape(escaped: &str, expected: Option<&str>) {
        let mut out = String::new();
        let found = unescape(escaped, &mut out).map(|()| out);
        assert_eq!(found.as_deref(), expected, "{escaped}");
    }

    #[test]
    fn escapes_are_resolved() {
        check_unescape(r#"a\"\\\/\b\f\n\r\tz"#, Some("a\"\\/\u{8}\u{c}\n\r\tz"));
        check_unescape(r"\u00e9\u4E2d\u0000", Some("é中\0"));
        check_unescape(r"\ud83d\ude00!", Some("😀!"));
        for half in [r"\ud83d", r"\ud83dx", r"\ude00", r"\ud83d\u0041", r"\ud83d\ud83d"] {
            check_unescape(half, None);
        }
    }

    #[test]
    fn special_bytes_are_found_at_every_place() {
        for special_byte in [b'"', b'\\', 0, 0x1f] {
            for place in 0..40 {
                for filler in [b'x', b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff, 0xa2, 0xdc] {
                    let mut bytes = vec![filler; 40];
                    assert_eq!(special(&bytes, 0), None);
                    bytes[place] = special_byte;
                    assert_eq!(special(&bytes, 0), Some(place), "{special_byte} after {filler}");
                }
            }
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            "\\PC{0,12}|[\\x00-\\x7f]{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map("\\PC{0,6}", inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn serde_agrees_on_what_serde_writes(value in json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.expect("JSON");
            let found = read(&text);
            prop_assert_eq!(found.is_some(), value.is_object());
            // Read back by serde, which may round the last digit of a float in both.
            let whole: serde_json::Value = serde_json::from_str(&text).expect("a value");
            for ((_, raw), (_, expected)) in found.iter().flatten().zip(whole.as_object().into_iter().flatten()) {
                prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(raw).expect("a value"), expected);
            }
        }

        #[test]
        fn serde_agrees_on_damaged_objects(
            text in "\\{(\"[a-c\\\\\"]{0,2}\":(1|-?0?1|\"x\"|\\[|\\]|\\{|\\}|,|null|1\\.5e3| )*,?){0,3}\\}"
        ) {
            let expected = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text);
            prop_assert_eq!(read(&text).is_some(), expected.is_ok(), "{}", text);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = read(&text);
            let _ = unescape(&text, &mut String::new());
        }
    }
}

//! The keys of JSON objects that come one after the other. It does not know what they mean.

use super::json::{AHEAD_BYTES, Scan, Token, object};

/// Keys that were met, each with what it means: objects of one kind have the same keys in about the same order, so the
/// next key is mostly known before it is read.
#[derive(Debug)]
pub(super) struct Keys<M> {
    known: Vec<Known<M>>,
}

// A key as it was written, with its quotes and the colon: the lowest bytes of what is ahead, and which bytes these are.
#[derive(Debug)]
struct Known<M> {
    written: u128,
    mask: u128,
    length: usize,
    meaning: M,
}

// Objects of very many keys are maps, and gain nothing from it.
const MAX_KNOWN: usize = 24;

impl<M: Copy> Keys<M> {
    /// None is known.
    pub(super) fn new() -> Self {
        Self { known: Vec::new() }
    }

    /// The same as [`super::json::members`], but tells keys by what `meaning` says of them, which may not change.
    #[inline]
    pub(super) fn members<'a>(
        &mut self,
        text: &'a str,
        mut meaning: impl FnMut(Token<'a>) -> M,
        member: impl FnMut(M, Token<'a>, &'a str),
    ) -> Option<()> {
        let mut expected = 0;
        let key = |scan: &mut Scan<'a>| {
            let ahead = scan.ahead();
            if let Some(place) = self.find(ahead, expected) {
                let known = self.known.get(place)?;
                scan.skip(known.length);
                expected = place + 1;
                return Some(known.meaning);
            }
            let start = scan.at();
            let meaning = meaning(scan.key()?);
            let length = scan.at() - start;
            if length <= AHEAD_BYTES && self.known.len() < MAX_KNOWN {
                let mask = u128::MAX >> (8 * (AHEAD_BYTES - length));
                self.known.insert(expected, Known { written: ahead & mask, mask, length, meaning });
                expected += 1;
            }
            Some(meaning)
        };
        object(text, key, member)
    }

    // The place of the key that is ahead, looked for from the expected place on.
    #[inline]
    fn find(&self, ahead: u128, expected: usize) -> Option<usize> {
        let is_ahead = |known: &Known<M>| ahead & known.mask == known.written;
        let (before, behind) = self.known.split_at_checked(expected)?;
        let place = behind.iter().position(is_ahead).map(|place| expected + place);
        place.or_else(|| before.iter().position(is_ahead))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::json::members;
    use super::*;

    proptest! {
        #[test]
        fn known_keys_are_read_like_others(
            lines in prop::collection::vec(
                "[ ]?\\{([ ]?\"([a-c]|long[a-c]{4,12}|\\\\u0061|\u{e9})\"[ ]?:[ ]?(1|\"x\"|null|\\{\"a\":1\\}),?){0,4}\\}", 0..12
            )
        ) {
            let mut keys = Keys::new();
            let mut met: Vec<Token> = Vec::new();
            for line in &lines {
                let (mut found, mut expected) = (Vec::new(), Vec::new());
                let place = |key| {
                    met.push(key);
                    met.len() - 1
                };
                let read = keys.members(line, place, |place, value, raw| found.push((place, value, raw)));
                let found = found.into_iter().map(|(place, value, raw)| (met[place], value, raw)).collect::<Vec<_>>();
                prop_assert_eq!(read, members(line, |key, value, raw| expected.push((key, value, raw))));
                prop_assert_eq!(found, expected);
            }
        }
    }
}

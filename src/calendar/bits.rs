//! A set of numbers (days, or periods) as words of 64 bits, and the questions that words answer at once.
//! It does not know what the numbers stand for.

/// The words of a set from its first to its last that is not zero. Number `64 * (first + i) + k` is in the set if bit
/// `k` of word `i` is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits<'a> {
    /// Where the words begin, in words.
    pub(super) first: usize,
    /// The words; neither the first nor the last is zero.
    pub(super) words: &'a [u64],
}

/// The widest window that is answered from a word and the one before it.
pub(super) const MAX_WINDOW: u32 = 63;

impl Bits<'_> {
    /// The numbers from `64 * index` on, as bits.
    pub(super) fn word(self, index: usize) -> u64 {
        index.checked_sub(self.first).and_then(|index| self.words.get(index)).copied().unwrap_or(0)
    }

    /// The 64 numbers from `start` on, as bits.
    pub(super) fn from(self, start: usize) -> u64 {
        let (index, shift) = (start / 64, start % 64);
        let low = self.word(index) >> shift;
        // Shifting in two steps: by 64 at once is no shift.
        low | (self.word(index + 1) << 1) << (63 - shift)
    }

    /// The least number of the set that is not below `start`.
    pub(super) fn next(self, start: usize) -> Option<usize> {
        let start = start.max(self.first * 64);
        let mut index = start / 64;
        let mut word = self.word(index) & (u64::MAX << (start % 64));
        while word == 0 {
            index += 1;
            if index >= self.first + self.words.len() {
                return None;
            }
            word = self.word(index);
        }
        Some(index * 64 + place(word.trailing_zeros()))
    }

    /// The greatest number of the set.
    pub(super) fn last(self) -> Option<usize> {
        let last = self.words.last()?;
        Some((self.first + self.words.len()) * 64 - 1 - place(last.leading_zeros()))
    }

    /// How many numbers of the set are among the `length` from `start` on.
    pub(super) fn count(self, start: usize, length: usize) -> usize {
        let part = |past: usize| {
            let part = self.from(start + past);
            let part = if length - past < 64 { part & ((1 << (length - past)) - 1) } else { part };
            place(part.count_ones())
        };
        (0..length).step_by(64).map(part).sum()
    }

    /// How many numbers in a row are in the set from `start` on.
    pub(super) fn run(self, start: usize) -> usize {
        let mut length = 0;
        loop {
            let ones = place(self.from(start + length).trailing_ones());
            length += ones;
            if ones < 64 {
                return length;
            }
        }
    }

    /// Each number that is in the set, or follows one that is by less than `window`, in the words of `scratch`; nothing
    /// from word `end` on. For windows that [`smear`] cannot answer.
    pub(super) fn widen(self, window: u32, end: usize, scratch: &mut Vec<u64>) -> Bits<'_> {
        scratch.clear();
        let (first, mut filled) = (self.first, 0);
        let mut next = self.next(0);
        while let Some(number) = next {
            let until = (number + window as usize).min(end * 64);
            let mut start = number.max(filled);
            while start < until {
                let word = start / 64;
                scratch.resize(scratch.len().max(word + 1 - first), 0);
                let stop = until.min((word + 1) * 64);
                scratch[word - first] |= u64::MAX << (start % 64) & u64::MAX >> ((word + 1) * 64 - stop);
                start = stop;
            }
            filled = filled.max(until);
            next = self.next(number + 1);
        }
        Bits { first, words: scratch }
    }

    /// The words of the set one by one with their index and the word before, and one zero word after them: windows
    /// reach into it.
    pub(super) fn steps(self) -> impl Iterator<Item = (usize, u128)> {
        let mut before = 0;
        self.words.iter().chain([&0]).enumerate().map(move |(index, &word)| {
            let step = u128::from(word) << 64 | u128::from(before);
            before = word;
            (self.first + index, step)
        })
    }
}

/// The upper word: each number that is in the set, or follows one that is by less than `window` (at most
/// [`MAX_WINDOW`]). The lower word is the one before and only looked at.
pub(super) fn smear(step: u128, window: u32) -> u64 {
    let (mut smeared, mut width) = (step, 1);
    while width < window {
        let shift = width.min(window - width);
        smeared |= smeared << shift;
        width += shift;
    }
    (smeared >> 64) as u64
}

fn place(bit: u32) -> usize {
    bit as usize
}

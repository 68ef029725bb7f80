//! Counts per bit position over many words: eight counters of eight bits beside each other in a word, so that a word
//! is counted with three operations for each eighth of its bits.

const LOWEST: u64 = 0x0101_0101_0101_0101;

/// Counters for every bit of a row of words.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    // Byte `j` of lane `b` counts bit `8 * j + b`.
    narrow: Vec<[u64; 8]>,
    // Words counted since the narrow counters were emptied: at most 255.
    counted: Vec<u8>,
    wide: Vec<[u64; 64]>,
}

impl Lanes {
    /// Zeros for so many words.
    pub(super) fn new(words: usize) -> Self {
        Self { narrow: vec![[0; 8]; words], counted: vec![0; words], wide: vec![[0; 64]; words] }
    }

    /// Adds one to the counter of each set bit of the word at `index`; a word past the end is not counted.
    pub(super) fn add(&mut self, index: usize, word: u64) {
        let (Some(narrow), Some(counted)) = (self.narrow.get_mut(index), self.counted.get_mut(index)) else { return };
        for (lane, shift) in narrow.iter_mut().zip(0..) {
            *lane += (word >> shift) & LOWEST;
        }
        *counted += 1;
        if *counted == u8::MAX {
            self.empty(index);
        }
    }

    /// All counters in order, the 64 of a word after those of the word before.
    pub(super) fn counts(mut self) -> Vec<u64> {
        (0..self.narrow.len()).for_each(|index| self.empty(index));
        self.wide.concat()
    }

    /// The sum of two.
    pub(super) fn join(mut self, mut other: Self) -> Self {
        for index in 0..self.narrow.len() {
            self.empty(index);
            other.empty(index);
        }
        for (sum, more) in self.wide.iter_mut().flatten().zip(other.wide.iter().flatten()) {
            *sum += more;
        }
        self
    }

    fn empty(&mut self, index: usize) {
        let (Some(narrow), Some(wide)) = (self.narrow.get_mut(index), self.wide.get_mut(index)) else { return };
        for (bit, count) in wide.iter_mut().enumerate() {
            *count += (narrow[bit % 8] >> (bit / 8 * 8)) & 0xff;
        }
        *narrow = [0; 8];
        if let Some(counted) = self.counted.get_mut(index) {
            *counted = 0;
        }
    }
}

//! Sorting by numbers of few bits: counting instead of comparing. It does not know what is sorted.

use rayon::slice::ParallelSliceMut;

use super::Threads;
use crate::store::bit_width;

const DIGIT_BITS: u32 = 11;
// Fewer items are sorted sooner by comparing.
const FEW: usize = 1 << 10;

/// Sorts items by a number, all of which are at most `most`; items with the same one stay in their order.
pub(super) fn sort_by_number<T: Copy + Send>(
    threads: Threads,
    items: &mut Vec<T>,
    most: u64,
    number: impl Fn(&T) -> u64 + Sync,
) {
    let bits = bit_width(most);
    // Counting is one thread's; each digit moves all items once.
    match threads {
        Threads::All => return items.par_sort_by_key(number),
        Threads::One if items.len() < FEW || bits.div_ceil(DIGIT_BITS) > items.len().ilog2() / 2 => {
            return items.sort_by_key(number);
        }
        Threads::One if bits == 0 => return,
        Threads::One => {}
    }
    let mut sorted = items.clone();
    for shift in (0..bits).step_by(DIGIT_BITS as usize) {
        let digit = |item: &T| (number(item) >> shift & ((1 << DIGIT_BITS) - 1)) as usize;
        let mut places = [0; 1 << DIGIT_BITS];
        for item in &*items {
            places[digit(item)] += 1;
        }
        let mut before = 0;
        for place in &mut places {
            before += std::mem::replace(place, before);
        }
        for item in &*items {
            let place = &mut places[digit(item)];
            sorted[*place] = *item;
            *place += 1;
        }
        std::mem::swap(items, &mut sorted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(count: u64, most: u64) {
        let spread = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let items = (0..count).map(|item| (spread(item) % most.saturating_add(1), item)).collect::<Vec<_>>();
        let mut expected = items.clone();
        expected.sort_unstable();
        for threads in [Threads::One, Threads::All] {
            let mut sorted = items.clone();
            sort_by_number(threads, &mut sorted, most, |item| item.0);
            assert_eq!(sorted, expected, "count={count} most={most}");
        }
    }

    #[test]
    fn few_and_many_of_few_and_many_bits() {
        for count in [0, 1, 1_000, 5_000, 70_000] {
            for most in [0, 1, 2_047, 2_048, 1 << 37, u64::MAX - 1] {
                check(count, most);
            }
        }
    }
}

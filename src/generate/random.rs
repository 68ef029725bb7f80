//! Random numbers that depend on a seed and a key only, so that any day of any organisation can be made alone, in any
//! order and on any thread. It does not know what the numbers are used for.

/// What a stream of numbers is drawn for; streams of different topics are independent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Topic {
    /// An organisation's attributes.
    Org = 1,
    /// Its path through the levels of integration.
    Path,
    /// The apps that it uses.
    Apps,
    /// A user's attributes.
    User,
    /// Whether a user is present on a day.
    Presence,
    /// What a user does on a day.
    UserDay,
    /// When a user's day reaches the log.
    Delivery,
    /// The meetings of a team on a day.
    Meeting,
    /// The machines of an organisation on a day.
    Machines,
    /// What is broken in a file.
    Dirt,
    /// Rows of the dimension files.
    Dimension,
}

/// `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014). Only integer
/// arithmetic, here and in what is derived from it: floating-point functions differ between platforms.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Random {
    /// The stream of a topic and two keys.
    pub(super) fn keyed(seed: u64, topic: Topic, first: u64, second: u64) -> Self {
        let state = mix(seed.wrapping_add((topic as u64).wrapping_mul(GOLDEN_GAMMA)));
        let state = mix(state ^ first.wrapping_mul(GOLDEN_GAMMA));
        Self(mix(state ^ second.wrapping_add(GOLDEN_GAMMA)))
    }

    /// The next 64 bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN_GAMMA);
        mix(self.0)
    }

    /// A number from 0 to `n - 1`; 0 if `n` is 0.
    #[expect(clippy::cast_possible_truncation, reason = "the product of two 32-bit numbers, shifted by 32")]
    pub(super) fn below(&mut self, n: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(n)) >> 32) as u32
    }

    /// As `below`, for days and other signed numbers; 0 if `n` is not positive.
    pub(super) fn below_signed(&mut self, n: i32) -> i32 {
        self.below(u32::try_from(n).unwrap_or(0)).cast_signed()
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high - low + 1)
    }

    /// True in `per_mille` of 1,000 cases.
    pub(super) fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1000) < per_mille
    }

    /// One of the choices; there must be one.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let count = u32::try_from(choices.len()).unwrap_or(u32::MAX);
        choices[self.below(count) as usize]
    }

    /// A waiting time with about this half-life: doubled octaves with even spread inside, an exponential without `ln`.
    pub(super) fn decay(&mut self, half_life: i32) -> i32 {
        let octave = self.bits().leading_zeros().min(12).cast_signed();
        octave * half_life + self.below_signed(half_life)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |seed, first, second| Random::keyed(seed, Topic::User, first, second).bits();
        assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
        assert_ne!(draw(1, 2, 3), draw(1, 3, 2));
        assert_ne!(draw(1, 2, 3), draw(2, 2, 3));
        assert_ne!(draw(1, 2, 3), Random::keyed(1, Topic::Org, 2, 3).bits());
    }

    #[test]
    fn numbers_are_even_and_half_lives_hold() {
        let mut random = Random::keyed(7, Topic::Org, 0, 0);
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            seen[random.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (850..1150).contains(&n)), "{seen:?}");
        let early = (0..10_000).filter(|_| random.decay(20) < 20).count();
        assert!((4800..5200).contains(&early), "{early}");
        assert_eq!(random.below(0), 0);
    }
}

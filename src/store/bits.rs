//! Numbers of few bits as Parquet packs them. It does not know what they count.

/// Adds numbers below 2^`width`, lowest bits first, and fills the last byte with zeros.
pub(super) fn pack(numbers: impl IntoIterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let (mut waiting, mut waiting_bits) = (0_u64, 0);
    numbers.into_iter().for_each(|number| {
        waiting |= number << waiting_bits;
        waiting_bits += width;
        if waiting_bits >= u64::BITS {
            out.extend_from_slice(&waiting.to_le_bytes());
            waiting_bits -= u64::BITS;
            // What did not fit, if anything.
            waiting = number.checked_shr(width - waiting_bits).unwrap_or(0);
        }
    });
    out.extend_from_slice(&waiting.to_le_bytes()[..waiting_bits.div_ceil(8) as usize]);
}

/// Numbers of so many bits in the RLE and bit-packing hybrid, behind the byte that says how many.
pub(super) fn hybrid(numbers: &[u32], width: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + numbers.len() * width as usize / 8 + 16);
    out.push(u8::try_from(width).unwrap_or(32));
    // Where those begin that are not written yet. They fill groups of eight, so that a run begins with a group.
    let (mut start, mut group) = (0, 0);
    while let Some(eight) = numbers[group..].first_chunk::<8>() {
        if eight.iter().fold(0, |differing, number| differing | (number ^ eight[0])) != 0 {
            group += 8;
            continue;
        }
        groups(&numbers[start..group], width, &mut out);
        let run = &numbers[group..];
        let length = run.iter().position(|number| *number != eight[0]).unwrap_or(run.len());
        varint((length as u64) << 1, &mut out);
        out.extend_from_slice(&eight[0].to_le_bytes()[..width.div_ceil(8) as usize]);
        group += length;
        start = group;
    }
    groups(&numbers[start..], width, &mut out);
    out
}

// Groups of eight numbers, the last one filled with zeros.
fn groups(numbers: &[u32], width: u32, out: &mut Vec<u8>) {
    if numbers.is_empty() {
        return;
    }
    let groups = numbers.len().div_ceil(8);
    varint((groups as u64) << 1 | 1, out);
    let fill = std::iter::repeat_n(0, groups * 8 - numbers.len());
    pack(numbers.iter().map(|&number| u64::from(number)).chain(fill), width, out);
}

/// Seven bits a byte, the lowest first.
pub(super) fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// The bits that hold every number up to `most`.
#[must_use]
pub fn bit_width(most: u64) -> u32 {
    u64::BITS - most.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_numbers_stand_at_their_bits() {
        for width in 0..=64 {
            let most = if width == 64 { u64::MAX } else { (1 << width) - 1 };
            let numbers = (0..37).map(|number| most - most / 37 * number).collect::<Vec<u64>>();
            let mut packed = Vec::new();
            pack(numbers.iter().copied(), width, &mut packed);
            assert_eq!(packed.len(), (37 * width as usize).div_ceil(8));
            let bit = |place: usize| u64::from(packed[place / 8] >> (place % 8) & 1);
            for (row, number) in numbers.iter().enumerate() {
                let found = (0..width as usize).map(|place| bit(row * width as usize + place) << place).sum::<u64>();
                assert_eq!(found, *number, "width={width} row={row}");
            }
        }
    }

    #[test]
    fn runs_and_groups_take_turns() {
        assert_eq!(hybrid(&[], 3), [3]);
        assert_eq!(hybrid(&[5; 9], 3), [3, 18, 5]);
        // Three that differ take five of the run into their group.
        assert_eq!(hybrid(&[&[1, 2, 3][..], &[4; 13]].concat(), 3), [3, 3, 0xd1, 0x48, 0x92, 16, 4]);
        // What is left of a run behind the group is too short.
        assert_eq!(hybrid(&[&[1, 2, 3][..], &[4; 12]].concat(), 3), [3, 5, 0xd1, 0x48, 0x92, 0x24, 0x49, 0x12]);
        assert_eq!(hybrid(&[300; 8], 9), [9, 16, 44, 1]);
    }
}

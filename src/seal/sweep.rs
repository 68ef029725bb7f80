//! How many were there at once, and when: a sweep over the beginnings and the ends of spans.
//! It does not know who was there.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::uses::Span;
use crate::error::{Error, Result};
use crate::store::bit_width;

/// The most at once, and the earliest instant with so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Peak {
    pub(super) count: i64,
    pub(super) at: i64,
}

/// The spans of many, each of whom counts once at any instant.
pub(super) struct Crowd {
    // What the present one is there for, as far as it is known.
    present: Option<Span>,
    starts: Instants,
    ends: Instants,
    slots: Slots,
}

impl Crowd {
    /// An empty crowd. With a folder it holds at most so many instants in memory, and the others there.
    pub(super) fn new(folder: Option<&Path>, most: usize) -> Self {
        let instants = || Instants::new(folder, most);
        Self { present: None, starts: instants(), ends: instants(), slots: Slots::default() }
    }

    /// Adds a span of the present one, which begins no earlier than the ones before it.
    pub(super) fn add(&mut self, span: Span) -> Result<()> {
        if span.start >= span.end {
            return Ok(());
        }
        if self.present.as_mut().is_some_and(|present| present.join(span)) {
            return Ok(());
        }
        let before = self.present.replace(span);
        self.close(before)
    }

    /// Turns to the next one.
    pub(super) fn turn(&mut self) -> Result<()> {
        let present = self.present.take();
        self.close(present)
    }

    /// Sweeps over all spans and forgets them.
    pub(super) fn peak(&mut self) -> Result<Peak> {
        self.turn()?;
        if self.starts.runs.is_empty() && self.ends.runs.is_empty() {
            return self.slots.peak(&mut self.starts.values, &mut self.ends.values);
        }
        sweep(0, self.starts.sorted()?, self.ends.sorted()?)
    }

    fn close(&mut self, span: Option<Span>) -> Result<()> {
        let Some(span) = span else { return Ok(()) };
        self.starts.push(span.start)?;
        self.ends.push(span.end)
    }
}

// Ends go before starts. Nobody comes but at a start, so that the peak is at one. `present` are there before all of them.
fn sweep(
    mut present: i64,
    starts: impl Iterator<Item = Result<i64>>,
    mut ends: impl Iterator<Item = Result<i64>>,
) -> Result<Peak> {
    let mut peak = Peak::default();
    let mut next_end = ends.next().transpose()?;
    for start in starts {
        let start = start?;
        while next_end.is_some_and(|end| end <= start) {
            present -= 1;
            next_end = ends.next().transpose()?;
        }
        present += 1;
        if present > peak.count {
            peak = Peak { count: present, at: start };
        }
    }
    Ok(peak)
}

// The time of a crowd, cut into equal slots. Counting who comes and goes in each tells where the peak may be, and only the
// instants of these slots are sorted.
#[derive(Default)]
struct Slots(Vec<Slot>);

#[derive(Clone, Copy, Default)]
struct Slot {
    comes: u32,
    goes: u32,
    // Who is there when the slot begins.
    before: u32,
}

const MOST_SLOTS: usize = 1 << 16;

impl Slots {
    // Sweeps over instants and takes them away.
    #[expect(clippy::cast_possible_truncation, reason = "slots are at most so many")]
    fn peak(&mut self, starts: &mut Vec<i64>, ends: &mut Vec<i64>) -> Result<Peak> {
        let (Some(&first), Some(&last)) = (starts.iter().min(), starts.iter().max()) else {
            return Ok(Peak::default());
        };
        let Self(slots) = self;
        let count = starts.len().next_power_of_two().min(MOST_SLOTS);
        let shift = bit_width(last.abs_diff(first)).saturating_sub(count.ilog2());
        let slot_of = |at: i64| (at.abs_diff(first) >> shift) as usize;
        slots.clear();
        slots.resize(slot_of(last) + 1, Slot::default());
        for &start in &*starts {
            slots[slot_of(start)].comes += 1;
        }
        // Who goes behind the last start is no matter.
        for &end in ends.iter().filter(|end| **end <= last) {
            slots[slot_of(end)].goes += 1;
        }
        let (mut present, mut least) = (0, 0);
        for slot in &mut *slots {
            slot.before = present;
            present += slot.comes;
            present -= slot.goes;
            least = least.max(present);
        }
        // The peak is not below what is there between two slots, nor above what is there if all come before any goes.
        let may_be_at = |at: i64| {
            let Slot { comes, before, .. } = slots[slot_of(at)];
            comes > 0 && before + comes >= least
        };
        starts.retain(|&start| may_be_at(start));
        ends.retain(|&end| end <= last && may_be_at(end));
        starts.sort_unstable();
        ends.sort_unstable();
        let mut peak = Peak::default();
        let mut rest = ends.as_slice();
        for starts in starts.chunk_by(|&one, &next| slot_of(one) == slot_of(next)) {
            let slot = slot_of(starts[0]);
            let (ends, later) = rest.split_at(rest.partition_point(|&end| slot_of(end) <= slot));
            let [starts, ends] = [starts, ends].map(|instants| instants.iter().copied().map(Ok));
            let found = sweep(slots[slot].before.into(), starts, ends)?;
            if found.count > peak.count {
                peak = found;
            }
            rest = later;
        }
        starts.clear();
        ends.clear();
        Ok(peak)
    }
}

// Instants that come in any order and go sorted, beyond a number of them by way of files.
struct Instants {
    folder: Option<PathBuf>,
    most: usize,
    values: Vec<i64>,
    runs: Vec<File>,
}

impl Instants {
    fn new(folder: Option<&Path>, most: usize) -> Self {
        Self { folder: folder.map(Path::to_owned), most, values: Vec::new(), runs: Vec::new() }
    }

    fn push(&mut self, instant: i64) -> Result<()> {
        self.values.push(instant);
        if self.values.len() < self.most {
            return Ok(());
        }
        let Some(folder) = &self.folder else { return Ok(()) };
        let broken = |cause| Error::path("write a work file in", folder, cause);
        self.values.sort_unstable();
        let mut run = BufWriter::new(tempfile::tempfile_in(folder).map_err(broken)?);
        for instant in self.values.drain(..) {
            run.write_all(&instant.to_le_bytes()).map_err(broken)?;
        }
        let mut run = run.into_inner().map_err(|cause| broken(cause.into_error()))?;
        run.rewind().map_err(broken)?;
        self.runs.push(run);
        Ok(())
    }

    fn sorted(&mut self) -> Result<Sorted<'_>> {
        self.values.sort_unstable();
        let mut runs = self.runs.drain(..).map(BufReader::new).collect::<Vec<_>>();
        let mut heads = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            heads.extend(next_instant(run)?.map(|instant| Reverse((instant, number))));
        }
        Ok(Sorted { values: self.values.drain(..).peekable(), runs, heads })
    }
}

// The instants in memory and those of the files, merged.
struct Sorted<'a> {
    values: std::iter::Peekable<std::vec::Drain<'a, i64>>,
    runs: Vec<BufReader<File>>,
    heads: BinaryHeap<Reverse<(i64, usize)>>,
}

impl Iterator for Sorted<'_> {
    type Item = Result<i64>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(&Reverse((instant, run))) = self.heads.peek() else { return self.values.next().map(Ok) };
        if let Some(value) = self.values.next_if(|value| *value <= instant) {
            return Some(Ok(value));
        }
        self.heads.pop();
        match next_instant(&mut self.runs[run]) {
            Ok(next) => self.heads.extend(next.map(|next| Reverse((next, run)))),
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(instant))
    }
}

fn next_instant(run: &mut BufReader<File>) -> Result<Option<i64>> {
    let mut bytes = [0; 8];
    match run.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(i64::from_le_bytes(bytes))),
        Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(cause) => Err(Error::Storage(format!("cannot read a work file: {cause}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Who is there, from when until when; the same as brute force says, in memory and by way of files.
    fn check(people: &[&[(i64, i64)]], count: i64, at: i64) {
        let folder = tempfile::tempdir().expect("a folder");
        for mut crowd in [Crowd::new(None, usize::MAX), Crowd::new(Some(folder.path()), 2)] {
            // Twice, since a crowd is used again.
            for _ in 0..2 {
                for spans in people {
                    for &(start, end) in *spans {
                        crowd.add(Span { start, end }).expect("added");
                    }
                    crowd.turn().expect("turned");
                }
                assert_eq!(crowd.peak().expect("a peak"), Peak { count, at }, "{people:?}");
            }
        }
        let is_there = |spans: &[(i64, i64)], at| spans.iter().any(|&(start, end)| start <= at && at < end);
        let present = |at| people.iter().filter(|spans| is_there(spans, at)).count();
        let starts = people.iter().flat_map(|spans| spans.iter().map(|&(start, _)| start));
        assert_eq!(starts.map(present).max().unwrap_or(0), usize::try_from(count).expect("a count"), "{people:?}");
    }

    #[test]
    fn nobody_and_one() {
        check(&[], 0, 0);
        check(&[&[(5, 9)]], 1, 5);
        check(&[&[(-9, -5)]], 1, -9);
    }

    #[test]
    fn many_come_and_go() {
        let spread = |number: i64, most: i64| (number.wrapping_mul(0x5851_f42d_4c95_7f2d) >> 20).rem_euclid(most);
        for (people, day, longest) in [(70, 50, 20), (500, 10_000, 90), (900, 1 << 37, 1 << 33), (300, 40, 1)] {
            let spans = (0..people).map(|one| (spread(one, day), spread(-one, longest) + 1)).collect::<Vec<_>>();
            let spans = spans.iter().map(|&(start, length)| [(start, start + length)]).collect::<Vec<_>>();
            let all = spans.iter().map(<[_; 1]>::as_slice).collect::<Vec<_>>();
            let present = |at: i64| spans.iter().flatten().filter(|&&(start, end)| start <= at && at < end).count();
            let starts = spans.iter().flatten().map(|&(start, _)| start);
            let (most, at) =
                starts.map(|at| (present(at), at)).max_by_key(|&(count, at)| (count, -at)).expect("a start");
            check(&all, i64::try_from(most).expect("a count"), at);
        }
    }

    #[test]
    fn who_leaves_goes_before_who_comes() {
        check(&[&[(0, 10)], &[(10, 20)]], 1, 0);
        check(&[&[(0, 11)], &[(10, 20)]], 2, 10);
    }

    #[test]
    fn equal_starts_are_one_moment() {
        check(&[&[(0, 5)], &[(3, 5)], &[(3, 4)], &[(3, 9)]], 4, 3);
    }

    #[test]
    fn the_earliest_of_equal_peaks_is_named() {
        check(&[&[(0, 5), (20, 25)], &[(2, 5), (20, 22)], &[(30, 40)]], 2, 2);
    }

    #[test]
    fn the_same_one_counts_once() {
        check(&[&[(0, 10), (5, 15), (6, 7), (15, 20)]], 1, 0);
        check(&[&[(0, 10), (5, 15)], &[(12, 13)], &[(14, 30)]], 2, 12);
    }

    #[test]
    fn what_lasts_no_time_is_not_there() {
        check(&[&[(0, 0)], &[(3, 3), (3, 4)]], 1, 3);
    }

    #[test]
    fn spans_have_their_whole_length() {
        let evening = Span::new(86_400_000_000 - 1, 86_400_000);
        assert_eq!(evening.end, 2 * 86_400_000_000 - 1);
        assert_eq!(Span::new(i64::MAX - 1, 5).end, i64::MAX);
        let day = 86_400_000_000;
        check(&[&[(day - 1, 2 * day - 1)], &[(0, day)], &[(day, day + 1)]], 2, day - 1);
    }
}

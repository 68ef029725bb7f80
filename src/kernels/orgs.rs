//! The rows of a day, organisation by organisation. It does not know what is counted of them.

use std::ops::Range;

use super::columns::Chunk;

/// Neighbouring rows of one organisation in one chunk.
#[derive(Debug, Clone)]
pub(super) struct Run<'a> {
    pub(super) org: &'a str,
    pub(super) chunk: usize,
    pub(super) rows: Range<usize>,
}

/// The runs of all organisations in the order of their ids, personal use left out; those of one organisation are
/// neighbours. `place` is that of the column of organisations, by which the rows of a file are sorted.
pub(super) fn runs<const T: usize, const N: usize>(chunks: &[Chunk<T, N>], place: usize) -> Vec<Run<'_>> {
    let mut runs = Vec::new();
    for (number, chunk) in chunks.iter().enumerate() {
        let (keys, texts) = chunk.texts(place);
        let mut start = 0;
        for same in keys.chunk_by(|one, other| one == other) {
            let rows = start..start + same.len();
            start = rows.end;
            let org = same.first().and_then(|key| usize::try_from(*key).ok()).and_then(|key| texts.get(key)).copied();
            runs.extend(org.filter(|org| !org.is_empty()).map(|org| Run { org, chunk: number, rows }));
        }
    }
    // A large day has several files, and no organisation is in two of them.
    if !runs.is_sorted_by(|one: &Run, other: &Run| one.org <= other.org) {
        runs.sort_by(|one, other| one.org.cmp(other.org));
    }
    runs
}

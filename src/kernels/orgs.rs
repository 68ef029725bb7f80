//! The rows of a day, organisation by organisation. It does not know what is counted of them.

use std::ops::Range;

use crate::columns::Chunk;
use crate::error::Result;

/// Neighbouring rows of one organisation in one chunk.
#[derive(Debug, Clone)]
pub(super) struct Run<'a> {
    pub(super) org: &'a str,
    pub(super) chunk: usize,
    pub(super) rows: Range<usize>,
}

/// The runs of all organisations in the order of their ids, personal use left out; those of one organisation are
/// neighbours. Their column is `org_id`, by which the rows of a file are sorted.
pub(super) fn runs(chunks: &[Chunk]) -> Result<Vec<Run<'_>>> {
    let mut runs = Vec::new();
    for (number, chunk) in chunks.iter().enumerate() {
        let texts = chunk.texts("org_id")?;
        let orgs = texts.each(|org| org);
        let mut start = 0;
        for same in texts.keys().chunk_by(|one, other| one == other) {
            let rows = start..start + same.len();
            let org = orgs.of(start);
            start = rows.end;
            if !org.is_empty() {
                runs.push(Run { org, chunk: number, rows });
            }
        }
    }
    // A large day has several files, and no organisation is in two of them.
    if !runs.is_sorted_by(|one: &Run, other: &Run| one.org <= other.org) {
        runs.sort_by(|one, other| one.org.cmp(other.org));
    }
    Ok(runs)
}

/// A column of whole numbers of each chunk.
pub(super) fn numbers<'a>(chunks: &'a [Chunk], name: &str) -> Result<Vec<&'a [i64]>> {
    chunks.iter().map(|chunk| chunk.numbers(name)).collect()
}

//! Merging sorted runs of events into one sorted stream, cut into parts of whole organisations.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::rows::{CHUNK_ROWS, MANY_BYTES, Rows, interleave};
use crate::error::Result;

/// The merge of several runs, each sorted by [`Rows::compare`].
pub(super) struct Merge<I> {
    runs: Vec<I>,
    heads: BinaryHeap<Reverse<Head>>,
    // The chunks that the next batch is gathered from.
    sources: Vec<Arc<Rows>>,
    part_rows: usize,
    // Rows of the present part so far.
    rows: usize,
    is_part_over: bool,
}

// The next row of a run.
struct Head {
    run: usize,
    source: usize,
    rows: Arc<Rows>,
    row: usize,
}

impl<I: Iterator<Item = Result<RecordBatch>>> Merge<I> {
    /// Opens the merge; a part ends with the organisation that fills it up to `part_rows`.
    pub(super) fn new(mut runs: Vec<I>, part_rows: usize) -> Result<Self> {
        let (mut heads, mut sources) = (BinaryHeap::new(), Vec::new());
        for (run, batches) in runs.iter_mut().enumerate() {
            if let Some(rows) = next_rows(batches)? {
                heads.push(Reverse(Head { run, source: sources.len(), rows: Arc::clone(&rows), row: 0 }));
                sources.push(rows);
            }
        }
        Ok(Self { runs, heads, sources, part_rows, rows: 0, is_part_over: false })
    }

    /// Whether there is another part; its batches come from `next_batch`.
    pub(super) fn begin_part(&mut self) -> bool {
        (self.rows, self.is_part_over) = (0, false);
        !self.heads.is_empty()
    }

    /// The next batch of the present part; `None` at its end.
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut positions = Vec::new();
        let mut extra_bytes = 0;
        while positions.len() < CHUNK_ROWS && extra_bytes < MANY_BYTES && !self.is_part_over {
            let Some(mut top) = self.heads.peek_mut() else { break };
            let head = &mut top.0;
            positions.push((head.source, head.row));
            self.rows += 1;
            extra_bytes += head.rows.extra.value(head.row).len() as u64;
            let last = (Arc::clone(&head.rows), head.row);
            head.row += 1;
            if head.row == head.rows.len() {
                match next_rows(&mut self.runs[head.run])? {
                    Some(rows) => {
                        (head.source, head.row) = (self.sources.len(), 0);
                        head.rows = Arc::clone(&rows);
                        self.sources.push(rows);
                        drop(top);
                    }
                    None => drop(PeekMut::pop(top)),
                }
            } else {
                drop(top);
            }
            if self.rows >= self.part_rows {
                let next = self.heads.peek().map(|Reverse(head)| head.rows.org(head.row));
                self.is_part_over = next.is_some_and(|org| org != last.0.org(last.1));
            }
        }
        if positions.is_empty() {
            return Ok(None);
        }
        let batch = interleave(&self.sources, &positions)?;
        self.forget_sources();
        Ok(Some(batch))
    }

    // Keeps only the chunks that still have rows to come.
    fn forget_sources(&mut self) {
        let mut heads = std::mem::take(&mut self.heads).into_vec();
        self.sources.clear();
        for Reverse(head) in &mut heads {
            head.source = self.sources.len();
            self.sources.push(Arc::clone(&head.rows));
        }
        self.heads = heads.into();
    }
}

fn next_rows(batches: &mut impl Iterator<Item = Result<RecordBatch>>) -> Result<Option<Arc<Rows>>> {
    for batch in batches {
        let rows = Rows::new(&batch?)?;
        if rows.len() > 0 {
            return Ok(Some(Arc::new(rows)));
        }
    }
    Ok(None)
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rows.compare(self.row, &other.rows, other.row).then_with(|| self.run.cmp(&other.run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

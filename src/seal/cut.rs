//! How a day that does not fit in memory is cut: into parts of whole organisations, and these into pieces that fit, each a
//! stretch of the order in which events are stored. It does not move any event.

use std::ops::Range;

use super::Threads;
use super::order::sort;
use super::rows::{RowId, Rows, position};
use super::survey::Survey;
use crate::error::Result;

/// The pieces of a day.
pub(super) struct Cut {
    /// The pieces of each part.
    pub(super) parts: Vec<Range<usize>>,
    // The first and the last piece of each organisation, by its number.
    orgs: Vec<(usize, usize)>,
    // Where each piece begins, if not with an organisation: at this event of the sample.
    bounds: Vec<Option<RowId>>,
}

impl Cut {
    /// Cuts a day. A part ends with the organisation that fills it up to `part_rows`; pieces have some `piece_rows`, and
    /// events that are the same in every column stand in one.
    pub(super) fn new(survey: &Survey, part_rows: usize, piece_rows: usize) -> Result<Self> {
        let sample = sort(&survey.sample, &[], usize::MAX, Threads::All)?;
        let org_of = |id: RowId| {
            let (chunk, row) = position(id);
            survey.sample[chunk].org(row)
        };
        let mut sample = sample.ids.chunk_by(|&one, &next| org_of(one) == org_of(next)).peekable();
        let mut cut = Self { parts: Vec::new(), orgs: vec![(0, 0); survey.orgs.len()], bounds: Vec::new() };
        let (mut part, mut in_part, mut in_piece) = (0, 0, 0);
        for number in survey.orgs.ranks().numbers {
            let org = survey.orgs.text(number).as_bytes();
            let sampled = sample.next_if(|of_org| org_of(of_org[0]) == org).unwrap_or_default();
            let rows = survey.rows[number as usize];
            if rows == 0 {
                continue;
            }
            if cut.bounds.len() == part || in_piece + rows > piece_rows {
                cut.bounds.push(None);
                in_piece = 0;
            }
            let first = cut.bounds.len() - 1;
            let more = (rows.div_ceil(piece_rows) - 1).min(sampled.len());
            cut.bounds.extend((1..=more).map(|piece| Some(sampled[sampled.len() * piece / (more + 1)])));
            cut.orgs[number as usize] = (first, first + more);
            in_piece = if more == 0 { in_piece + rows } else { rows / (more + 1) };
            in_part += rows;
            if in_part >= part_rows {
                cut.parts.push(part..cut.bounds.len());
                (part, in_part) = (cut.bounds.len(), 0);
            }
        }
        if part < cut.bounds.len() {
            cut.parts.push(part..cut.bounds.len());
        }
        Ok(cut)
    }

    /// How many pieces there are.
    pub(super) fn pieces(&self) -> usize {
        self.bounds.len()
    }

    /// The piece of an event of the organisation with this number.
    pub(super) fn piece(&self, survey: &Survey, org: u32, rows: &Rows, row: usize) -> usize {
        let (first, last) = self.orgs[org as usize];
        let is_reached = |bound: &Option<RowId>| {
            bound.is_some_and(|id| {
                let (chunk, sampled) = position(id);
                survey.sample[chunk].compare(sampled, rows, row).is_le()
            })
        };
        if first == last { first } else { first + self.bounds[first + 1..=last].partition_point(is_reached) }
    }
}

//! Who is new in a segment, stayed, came back, left, or moved in or out. See `queries/states/segment_flow/query.sql`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;

use super::days::{ByMonth, chunks, wanted_months};
use super::{Frame, Inputs, Rows, batch};
use crate::columns::{Chunk, Wanted};
use crate::error::Result;
use crate::names::Names;
use crate::period::{Day, Grain};

const MONTHS: Wanted = Wanted { table: "org_month", texts: &["org_id"], others: &["month", "dag_days"] };
const KINDS: Wanted =
    Wanted { table: "org_kinds", texts: &["org_id"], others: &["month", "from_day", "until_day", "kind"] };
const PLACES: Wanted = Wanted { table: "kind_segments", texts: &["dimension", "segment"], others: &["month", "kind"] };

// In their order; the first is of those organisations of the second that were DAG.
const ENTITIES: [&str; 2] = ["dag", "org"];
const DIMENSIONS: [&str; 4] = ["edition", "industry", "region", "size_band"];

/// What befell the organisations of a segment, in the order of the columns.
type Flow = [i64; 7];
const ACTIVE: usize = 0;
const NEW: usize = 1;
const RETAINED: usize = 2;
const RESURRECTED: usize = 3;
const MOVED_IN: usize = 4;
const CHURNED: usize = 5;
const MOVED_OUT: usize = 6;

/// The segments of a kind in each dimension.
type Segments = [Option<u32>; DIMENSIONS.len()];

/// An organisation in a month in which it was active.
#[derive(Debug, Clone, Copy)]
struct Active {
    is_dag: bool,
    kind: Option<usize>,
}

/// A month.
#[derive(Default)]
struct Month {
    // By organisation.
    active: Vec<Option<Active>>,
    // By kind: kinds are numbered anew in each month.
    kinds: Vec<Segments>,
}

/// The month before those that are wanted, and these.
struct Months {
    by_month: ByMonth<Month>,
    as_of: Day,
    orgs: Names,
    // By organisation: the first month in which it was in the state of each entity.
    begun: Vec<[i32; ENTITIES.len()]>,
    // Within the place of their dimension.
    segments: Names,
}

const NEVER: i32 = i32::MAX;

/// The flow of each month; what there is of organisations is held.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef) -> Result<Rows> {
    let wanted = wanted_months(frame);
    let mut months = Months {
        by_month: ByMonth::new(wanted.start() - 1..=*wanted.end(), |_| Month::default()),
        as_of: frame.as_of,
        orgs: Names::default(),
        begun: Vec::new(),
        segments: Names::default(),
    };
    for chunk in chunks(MONTHS, inputs)? {
        months.add_active(&chunk?)?;
    }
    for chunk in chunks(KINDS, inputs)? {
        months.add_kinds(&chunk?)?;
    }
    for chunk in chunks(PLACES, inputs)? {
        months.add_places(&chunk?)?;
    }
    let schema = Arc::clone(schema);
    Ok(Box::new(wanted.zip(1..).map(move |(month, place)| months.rows(month, place, &schema))))
}

impl Months {
    fn add_active(&mut self, chunk: &Chunk) -> Result<()> {
        let orgs = chunk.texts("org_id")?.numbered(&mut self.orgs);
        let (months, dag_days) = (chunk.days("month")?, chunk.numbers("dag_days")?);
        let count = self.orgs.len();
        self.begun.resize(count, [NEVER; ENTITIES.len()]);
        for (row, &month) in months.iter().enumerate() {
            let (org, is_dag, index) = (orgs.of(row) as usize, dag_days[row] > 0, Grain::Month.index(month));
            for (begun, is_so) in self.begun[org].iter_mut().zip([is_dag, true]) {
                *begun = if is_so { index.min(*begun) } else { *begun };
            }
            if let Some(month) = self.by_month.of(month) {
                month.active.resize(count.max(month.active.len()), None);
                month.active[org] = Some(Active { is_dag, kind: None });
            }
        }
        Ok(())
    }

    // An organisation is in a month of the kind that it is of on the month's last day.
    fn add_kinds(&mut self, chunk: &Chunk) -> Result<()> {
        let orgs = chunk.texts("org_id")?.found(&self.orgs);
        let (months, kinds) = (chunk.days("month")?, chunk.numbers("kind")?);
        let (from, until) = (chunk.days("from_day")?, chunk.days("until_day")?);
        for (row, &month) in months.iter().enumerate() {
            let last = Grain::Month.last_day(Grain::Month.index(month)).min(self.as_of);
            let Some(org) = orgs.of(row).filter(|_| from[row] <= last && last <= until[row]) else { continue };
            let active = self.by_month.of(month).and_then(|month| month.active.get_mut(org as usize)?.as_mut());
            if let Some(active) = active {
                active.kind = usize::try_from(kinds[row]).ok();
            }
        }
        Ok(())
    }

    fn add_places(&mut self, chunk: &Chunk) -> Result<()> {
        let dimensions =
            chunk.texts("dimension")?.each(|name| (0_u32..).zip(DIMENSIONS).find(|(_, known)| *known == name));
        let segments = chunk.texts("segment")?.each(|segment| segment);
        let (months, kinds) = (chunk.days("month")?, chunk.numbers("kind")?);
        for (row, &month) in months.iter().enumerate() {
            let (Some((dimension, _)), Ok(kind)) = (dimensions.of(row), usize::try_from(kinds[row])) else { continue };
            // A segment is never empty: an empty one is none.
            let segment = Some(segments.of(row)).filter(|segment| !segment.is_empty());
            let segment = segment.map(|segment| self.segments.number(dimension, segment));
            if let Some(Month { kinds, .. }) = self.by_month.of(month) {
                kinds.resize(kinds.len().max(kind + 1), Segments::default());
                kinds[kind][dimension as usize] = segment;
            }
        }
        Ok(())
    }

    // The segments of a month in which something befell somebody; `place` is that of the month.
    fn rows(&self, month: i32, place: usize, schema: &SchemaRef) -> Result<RecordBatch> {
        let mut flows = vec![[Flow::default(); ENTITIES.len()]; self.segments.len()];
        for (org, begun) in self.begun.iter().enumerate() {
            for (entity, begun) in begun.iter().enumerate() {
                let [before, now] = [place - 1, place].map(|place| self.by_month.all[place].segments(org, entity));
                for (before, now) in before.into_iter().zip(now) {
                    let mut add = |segment: u32, what: usize| flows[segment as usize][entity][what] += 1;
                    if let Some(before) = before.filter(|_| before != now) {
                        add(before, if now.is_none() { CHURNED } else { MOVED_OUT });
                    }
                    if let Some(now) = now {
                        add(now, ACTIVE);
                        add(
                            now,
                            match before {
                                Some(before) if before == now => RETAINED,
                                Some(_) => MOVED_IN,
                                None if *begun == month => NEW,
                                None => RESURRECTED,
                            },
                        );
                    }
                }
            }
        }
        self.batch(Grain::Month.first_day(month), &flows, schema)
    }

    fn batch(&self, month: Day, flows: &[[Flow; ENTITIES.len()]], schema: &SchemaRef) -> Result<RecordBatch> {
        let mut in_order = (0..).take(flows.len()).collect::<Vec<u32>>();
        in_order.sort_unstable_by_key(|&segment| (self.segments.within(segment), self.segments.text(segment)));
        let of_entity =
            |entity: usize| in_order.iter().map(move |&segment| (entity, segment, flows[segment as usize][entity]));
        let rows = (0..ENTITIES.len()).flat_map(of_entity).filter(|(.., flow)| *flow != Flow::default());
        let rows = rows.collect::<Vec<_>>();
        let dimension = |segment: u32| DIMENSIONS[self.segments.within(segment) as usize];
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(Date32Array::from_value(month, rows.len())),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|(entity, ..)| ENTITIES[*entity]))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, segment, _)| dimension(*segment)))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, segment, _)| self.segments.text(*segment)))),
        ];
        columns.extend((0..Flow::default().len()).map(|what| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|(.., flow)| flow[what])))
        }));
        batch(schema, columns)
    }
}

impl Month {
    // The segments of an organisation that was in the state of an entity.
    fn segments(&self, org: usize, entity: usize) -> Segments {
        let active =
            self.active.get(org).copied().flatten().filter(|active| active.is_dag || ENTITIES[entity] != "dag");
        active.and_then(|active| self.kinds.get(active.kind?)).copied().unwrap_or_default()
    }
}

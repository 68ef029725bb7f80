//! The organisations and users of each segment on each day. See `queries/states/segment_day/query.sql`.

use std::ops::{AddAssign, Range};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;

use super::days::{ByMonth, chunks, wanted_days, wanted_months};
use super::roles::{PEOPLE, Roles};
use super::{Frame, Inputs, Rows, batch, files_of};
use crate::columns::{Chunk, Wanted, wrong};
use crate::error::Result;
use crate::names::Names;
use crate::period::{Day, Grain};

const KINDS: Wanted = Wanted {
    table: "org_kinds",
    texts: &["org_id"],
    others: &["month", "from_day", "until_day", "registered_on", "headcount", "kind"],
};
const PLACES: Wanted = Wanted { table: "kind_segments", texts: &["dimension", "segment"], others: &["month", "kind"] };
const ACTIVE: Wanted = Wanted { table: "org_day", texts: &["org_id"], others: &["day", "users", "is_dag"] };
const DEEP: Wanted = Wanted { table: "deep_window", texts: &["org_id"], others: &["from_day", "until_day", "level"] };
const PATTERNS: Wanted =
    Wanted { table: "seat_patterns", texts: &["org_id"], others: &["month", "seen_bits", "users"] };
const SEATS: Wanted = Wanted {
    table: "seat_month",
    texts: &[USER, "org_id"],
    others: &["month", "has_others", "active_bits", "seen_bits"],
};

const MONTH_DAYS: usize = 31;
const DEEPEST: i64 = 5;
/// The dimension whose segments are the roles of users.
pub(super) const ROLE: &str = "role";
const USER: &str = "user_id";

/// What is counted on a day. The first four are steps, which hold from their day on.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    orgs: i64,
    headcount: i64,
    orgs_with_headcount: i64,
    deep_orgs: i64,
    active_orgs: i64,
    dag: i64,
    dau: i64,
    mau: i64,
}

/// The days of a month, and the one after it, on which steps end.
type Counts = [Count; MONTH_DAYS + 1];

/// Days on which an organisation is of a kind.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: Day,
    until: Day,
    kind: usize,
}

/// A month, whose kinds are its own.
#[derive(Default)]
struct Month {
    first: Day,
    stretches: Vec<Stretch>,
    // By the number of an organisation: the places of its stretches.
    of_org: Vec<Range<usize>>,
    kinds: Vec<Counts>,
    // By kind: its segments.
    places: Vec<Vec<u32>>,
    // By segment: what is counted in it beside its kinds.
    segments: Vec<Counts>,
}

/// The months that are wanted.
struct Months(ByMonth<Month>);

/// The segments of all dimensions, roles among them, as numbers.
#[derive(Default)]
pub(super) struct Segments {
    dimensions: Names,
    names: Names,
}

/// A user in a month.
#[derive(Default)]
struct Person {
    month: Day,
    id: String,
    role: u32,
    active_bits: i64,
    seen_bits: i64,
    // The segments of organisations in which the user was counted, with the days.
    counted: Vec<(u32, i64, i64)>,
}

/// The segments of each day. What there is of organisations is held, and of users what is counted.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef) -> Result<Rows> {
    let month = |index| Month { first: Grain::Month.first_day(index), ..Month::default() };
    let mut months = Months(ByMonth::new(wanted_months(frame), month));
    let (mut orgs, mut segments) = (Names::default(), Segments::default());
    each(KINDS, inputs, |chunk| months.add_kinds(chunk, &mut orgs))?;
    each(PLACES, inputs, |chunk| months.add_places(chunk, &mut segments))?;
    each(DEEP, inputs, |chunk| months.add_deep(chunk, &orgs))?;
    each(ACTIVE, inputs, |chunk| months.add_active(chunk, &orgs))?;
    each(PATTERNS, inputs, |chunk| months.add_patterns(chunk, &orgs))?;
    let mut roles = Roles::new(files_of(inputs, PEOPLE.table)?, &mut segments);
    let mut person = Person::default();
    each(SEATS, inputs, |chunk| months.add_seats(chunk, &orgs, &mut roles, &mut segments, &mut person))?;
    months.end(&mut person);
    let schema = Arc::clone(schema);
    Ok(Box::new(months.0.all.into_iter().map(move |month| month.rows(wanted_days(frame), &segments, &schema))))
}

fn each(wanted: Wanted, inputs: &Inputs, mut take: impl FnMut(&Chunk) -> Result<()>) -> Result<()> {
    chunks(wanted, inputs)?.try_for_each(|chunk| take(&chunk?))
}

impl Months {
    fn add_kinds(&mut self, chunk: &Chunk, names: &mut Names) -> Result<()> {
        let orgs = chunk.texts("org_id")?.numbered(names);
        let [months, registered] = [chunk.days("month")?, chunk.days("registered_on")?];
        let [from, until] = [chunk.days("from_day")?, chunk.days("until_day")?];
        let (headcounts, kinds) = (chunk.some_numbers("headcount")?, chunk.numbers("kind")?);
        for row in 0..chunk.rows() {
            if let (Some(month), Ok(kind)) = (self.0.of(months[row]), usize::try_from(kinds[row])) {
                let stretch = Stretch { from: from[row], until: until[row], kind };
                let headcount = headcounts.is_valid(row).then(|| headcounts.value(row));
                month.add_org(orgs.of(row), stretch, registered[row], headcount);
            }
        }
        Ok(())
    }

    fn add_places(&mut self, chunk: &Chunk, segments: &mut Segments) -> Result<()> {
        let dimensions = chunk.texts("dimension")?.each(|dimension| dimension);
        let names = chunk.texts("segment")?.each(|segment| segment);
        let (months, kinds) = (chunk.days("month")?, chunk.numbers("kind")?);
        for row in 0..chunk.rows() {
            let places = self.0.of(months[row]).map(|month| &mut month.places);
            if let (Some(places), Ok(kind)) = (places, usize::try_from(kinds[row])) {
                places.resize_with(places.len().max(kind + 1), Vec::new);
                places[kind].push(segments.number(dimensions.of(row), names.of(row)));
            }
        }
        Ok(())
    }

    fn add_deep(&mut self, chunk: &Chunk, names: &Names) -> Result<()> {
        let (orgs, levels) = (chunk.texts("org_id")?.found(names), chunk.numbers("level")?);
        let [from, until] = [chunk.days("from_day")?, chunk.days("until_day")?];
        for row in (0..chunk.rows()).filter(|row| levels[*row] == DEEPEST) {
            let Some(month) = self.0.of(from[row]) else { continue };
            for stretch in month.of(orgs.of(row)) {
                let stretch = month.stretches[stretch];
                let (from, until) = (stretch.from.max(from[row]), stretch.until.min(until[row]));
                month.step(stretch.kind, from, until, |count, step| count.deep_orgs += step);
            }
        }
        Ok(())
    }

    fn add_active(&mut self, chunk: &Chunk, names: &Names) -> Result<()> {
        let orgs = chunk.texts("org_id")?.found(names);
        let (days, users, is_dag) = (chunk.days("day")?, chunk.numbers("users")?, chunk.flags("is_dag")?);
        for (row, &day) in days.iter().enumerate() {
            let Some(month) = self.0.of(day) else { continue };
            for stretch in month.of(orgs.of(row)) {
                let stretch = month.stretches[stretch];
                if stretch.from <= day && day <= stretch.until {
                    let count = &mut month.kinds[stretch.kind][place(day, month.first)];
                    count.active_orgs += 1;
                    count.dag += i64::from(is_dag.value(row));
                    count.dau += users[row];
                }
            }
        }
        Ok(())
    }

    fn add_patterns(&mut self, chunk: &Chunk, names: &Names) -> Result<()> {
        let orgs = chunk.texts("org_id")?.found(names);
        let (months, seen) = (chunk.days("month")?, chunk.numbers("seen_bits")?);
        let users = chunk.numbers("users")?;
        for row in 0..chunk.rows() {
            let Some(month) = self.0.of(months[row]) else { continue };
            for stretch in month.of(orgs.of(row)) {
                let stretch = month.stretches[stretch];
                let counts = &mut month.kinds[stretch.kind];
                for place in bits(seen[row] & stretch.bits(month.first)) {
                    counts[place].mau += users[row];
                }
            }
        }
        Ok(())
    }

    // Rows come in the order of users; those of one may be cut by the end of a chunk.
    fn add_seats(
        &mut self,
        chunk: &Chunk,
        orgs: &Names,
        roles: &mut Roles,
        segments: &mut Segments,
        person: &mut Person,
    ) -> Result<()> {
        let (users, orgs) = (chunk.texts(USER)?.each(|user| user), chunk.texts("org_id")?.found(orgs));
        let (months, has_others) = (chunk.days("month")?, chunk.flags("has_others")?);
        let [active, seen] = [chunk.numbers("active_bits")?, chunk.numbers("seen_bits")?];
        for row in 0..chunk.rows() {
            let (month, user) = (months[row], users.of(row));
            if person.month != month || person.id != user {
                if person.month != month {
                    roles.begin();
                } else if user < person.id.as_str() {
                    return Err(wrong(SEATS.table, "users out of order"));
                }
                self.end(person);
                person.begin(month, user, roles.of(user, segments)?);
            }
            person.active_bits |= active[row];
            person.seen_bits |= seen[row];
            if has_others.value(row)
                && let Some(month) = self.0.of(month)
            {
                month.count_once(orgs.of(row), active[row], seen[row], person);
            }
        }
        Ok(())
    }

    /// Counts a user of whom all seats of the month were seen in the segment of the role.
    fn end(&mut self, person: &mut Person) {
        let Some(month) = self.0.of(person.month).filter(|_| person.seen_bits != 0) else { return };
        let counts = month.segment(person.role);
        for place in bits(person.active_bits) {
            counts[place].dau += 1;
        }
        for place in bits(person.seen_bits) {
            counts[place].mau += 1;
        }
    }
}

impl Month {
    fn add_org(&mut self, org: u32, stretch: Stretch, registered_on: Day, headcount: Option<i64>) {
        let (org, place) = (org as usize, self.stretches.len());
        self.of_org.resize(self.of_org.len().max(org + 1), 0..0);
        // Those of an organisation follow each other.
        let start =
            Some(self.of_org[org].clone()).filter(|known| known.end == place).map_or(place, |known| known.start);
        self.of_org[org] = start..place + 1;
        self.stretches.push(stretch);
        self.kinds.resize(self.kinds.len().max(stretch.kind + 1), Counts::default());
        self.step(stretch.kind, stretch.from.max(registered_on), stretch.until, |count, step| {
            count.orgs += step;
            count.headcount += step * headcount.unwrap_or(0);
            count.orgs_with_headcount += step * i64::from(headcount.is_some());
        });
    }

    // The places of an organisation's stretches.
    fn of(&self, org: Option<u32>) -> Range<usize> {
        org.and_then(|org| self.of_org.get(org as usize)).cloned().unwrap_or_default()
    }

    // Something holds from one day until another.
    fn step(&mut self, kind: usize, from: Day, until: Day, step: impl Fn(&mut Count, i64)) {
        if from <= until {
            let counts = &mut self.kinds[kind];
            step(&mut counts[place(from, self.first)], 1);
            step(&mut counts[place(until + 1, self.first)], -1);
        }
    }

    fn segment(&mut self, segment: u32) -> &mut Counts {
        let segment = segment as usize;
        self.segments.resize(self.segments.len().max(segment + 1), Counts::default());
        &mut self.segments[segment]
    }

    // Takes off what a user was already counted for in a segment, for another organisation.
    fn count_once(&mut self, org: Option<u32>, active: i64, seen: i64, person: &mut Person) {
        for stretch in self.of(org) {
            let stretch = self.stretches[stretch];
            let held = stretch.bits(self.first);
            let (active, seen) = (active & held, seen & held);
            for place in 0..self.places.get(stretch.kind).map_or(0, Vec::len) {
                let segment = self.places[stretch.kind][place];
                let before = person.counted.iter_mut().find(|(known, ..)| *known == segment);
                let Some((_, active_before, seen_before)) = before else {
                    person.counted.push((segment, active, seen));
                    continue;
                };
                let counts = self.segment(segment);
                for place in bits(active & *active_before) {
                    counts[place].dau -= 1;
                }
                for place in bits(seen & *seen_before) {
                    counts[place].mau -= 1;
                }
                *active_before |= active;
                *seen_before |= seen;
            }
        }
    }

    // The segments of each day that have an organisation or a user.
    fn rows(mut self, (from, until): (Day, Day), segments: &Segments, schema: &SchemaRef) -> Result<RecordBatch> {
        for (mut counts, places) in std::mem::take(&mut self.kinds).into_iter().zip(std::mem::take(&mut self.places)) {
            hold(&mut counts);
            for segment in places {
                self.segment(segment).iter_mut().zip(&counts).for_each(|(all, count)| *all += *count);
            }
        }
        let last = Grain::Month.last_day(Grain::Month.index(self.first));
        let in_order = segments.in_order();
        let (mut days, mut rows) = (Vec::new(), Vec::new());
        let first = self.first;
        for day in first.max(from)..=last.min(until) {
            for &segment in &in_order {
                let count = self.segment(segment)[place(day, first)];
                let is_role = segments.dimension(segment) == ROLE;
                let is_there = if is_role { count.mau > 0 } else { count.orgs > 0 };
                if is_there {
                    days.push(day);
                    rows.push((segment, count, !is_role));
                }
            }
        }
        let number = |value: fn(&Count) -> i64| -> ArrayRef {
            Arc::new(rows.iter().map(|(_, count, _)| Some(value(count))).collect::<Int64Array>())
        };
        let of_orgs = |value: fn(&Count) -> i64| -> ArrayRef {
            Arc::new(rows.iter().map(|(_, count, is_org)| is_org.then(|| value(count))).collect::<Int64Array>())
        };
        let headcounts = rows.iter().map(|(_, count, _)| (count.orgs_with_headcount > 0).then_some(count.headcount));
        let headcounts = headcounts.collect::<Int64Array>();
        let dimensions = StringArray::from_iter_values(rows.iter().map(|row| segments.dimension(row.0)));
        let names = StringArray::from_iter_values(rows.iter().map(|row| segments.name(row.0)));
        batch(
            schema,
            vec![
                Arc::new(Date32Array::from(days)),
                Arc::new(dimensions),
                Arc::new(names),
                of_orgs(|count| count.orgs),
                Arc::new(headcounts),
                number(|count| count.dau),
                number(|count| count.mau),
                of_orgs(|count| count.active_orgs),
                of_orgs(|count| count.dag),
                of_orgs(|count| count.deep_orgs),
            ],
        )
    }
}

impl Stretch {
    // Its days as bits of its month.
    fn bits(self, first: Day) -> i64 {
        (1 << (self.until - first + 1)) - (1 << (self.from - first))
    }
}

impl Segments {
    /// The number of a segment, given anew if it has none.
    pub(super) fn number(&mut self, dimension: &str, segment: &str) -> u32 {
        let dimension = self.dimensions.number(0, dimension);
        self.names.number(dimension, segment)
    }

    /// The dimension of a segment.
    pub(super) fn dimension(&self, segment: u32) -> &str {
        self.dimensions.text(self.names.within(segment))
    }

    /// What a segment is called.
    pub(super) fn name(&self, segment: u32) -> &str {
        self.names.text(segment)
    }

    fn in_order(&self) -> Vec<u32> {
        let mut all = (0..).take(self.names.len()).collect::<Vec<_>>();
        all.sort_unstable_by_key(|&segment| (self.dimension(segment), self.names.text(segment)));
        all
    }
}

impl Person {
    fn begin(&mut self, month: Day, id: &str, role: u32) {
        (self.month, self.role, self.active_bits, self.seen_bits) = (month, role, 0, 0);
        self.id.clear();
        self.id.push_str(id);
        self.counted.clear();
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.orgs += other.orgs;
        self.headcount += other.headcount;
        self.orgs_with_headcount += other.orgs_with_headcount;
        self.deep_orgs += other.deep_orgs;
        self.active_orgs += other.active_orgs;
        self.dag += other.dag;
        self.dau += other.dau;
        self.mau += other.mau;
    }
}

// Makes of steps what holds on each day.
fn hold(counts: &mut Counts) {
    for day in 1..counts.len() {
        let before = counts[day - 1];
        let count = &mut counts[day];
        count.orgs += before.orgs;
        count.headcount += before.headcount;
        count.orgs_with_headcount += before.orgs_with_headcount;
        count.deep_orgs += before.deep_orgs;
    }
}

// The place of a day in the month that begins on another.
fn place(day: Day, first: Day) -> usize {
    usize::try_from(day - first).unwrap_or(0).min(MONTH_DAYS)
}

// The places of the bits that are set.
fn bits(bits: i64) -> impl Iterator<Item = usize> {
    let mut left = bits.cast_unsigned();
    std::iter::from_fn(move || {
        let place = left.trailing_zeros() as usize;
        (left != 0).then(|| {
            left &= left - 1;
            place
        })
    })
}

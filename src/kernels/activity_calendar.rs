//! The days of each month on which users and organisations were active, and organisations DAG, as bits. See
//! `queries/states/activity_calendar/query.sql`.

use std::iter;
use std::sync::Arc;

use arrow::array::{Date32Array, Int64Array, RecordBatch, StringArray, StringBuilder};
use arrow::datatypes::SchemaRef;

use super::days::{chunks, one_by_one};
use super::{Frame, Inputs, Rows, batch, coded, texts};
use crate::columns::{Chunk, Wanted};
use crate::error::Result;
use crate::names::Names;
use crate::period::{Day, Grain};

const ORGS: Wanted = Wanted { table: "org_day", texts: &["org_id"], others: &["day", "is_dag"] };
const SEATS: Wanted = Wanted { table: "seat_month", texts: &["user_id"], others: &["month", "active_bits"] };

const ENTITIES: [&str; 3] = ["dag", "org", "user"];
const DAG: u32 = 0;
const ORG: u32 = 1;
const USER: u32 = 2;

/// A row: the entity, the number of the id, and its days.
type Row = (u32, u32, i64);

/// Rows of a month.
type OfMonth = (Day, RecordBatch);

/// Makes rows of a month and the ids that they number.
struct Maker {
    schema: SchemaRef,
    entities: StringArray,
}

/// The days of the organisations of a month, by their numbers: those on which they were DAG, and active.
#[derive(Default)]
struct Orgs {
    month: Day,
    days: Vec<[i64; 2]>,
}

/// A user of whom another seat may follow.
struct User {
    month: Day,
    id: String,
    days: i64,
}

/// The calendars of each month. Seats and days of organisations come month by month.
pub(super) fn run(inputs: &Inputs, _: Frame, schema: &SchemaRef) -> Result<Rows> {
    let maker = Arc::new(Maker { schema: Arc::clone(schema), entities: StringArray::from(ENTITIES.to_vec()) });
    let mut orgs = of_orgs(chunks(ORGS, inputs)?, Arc::clone(&maker)).peekable();
    let mut users = of_users(chunks(SEATS, inputs)?, maker).peekable();
    Ok(Box::new(iter::from_fn(move || {
        let month =
            |next: Option<&Result<OfMonth>>| next.map(|next| next.as_ref().map_or(Day::MIN, |(month, _)| *month));
        // In a month organisations stand before users.
        let is_org = match (month(orgs.peek()), month(users.peek())) {
            (Some(org), Some(user)) => org <= user,
            (org, _) => org.is_some(),
        };
        let next = if is_org { orgs.next() } else { users.next() };
        next.map(|next| next.map(|(_, rows)| rows))
    })))
}

impl Maker {
    fn batch(&self, month: Day, rows: &[Row], ids: &StringArray) -> Result<OfMonth> {
        let columns = vec![
            Arc::new(Date32Array::from_value(month, rows.len())) as _,
            Arc::new(coded(&self.entities, rows.iter().map(|(entity, ..)| *entity))?) as _,
            Arc::new(coded(ids, rows.iter().map(|(_, id, _)| *id))?) as _,
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|(.., days)| *days))) as _,
        ];
        Ok((month, batch(&self.schema, columns)?))
    }
}

fn of_orgs(
    mut chunks: impl Iterator<Item = Result<Chunk>> + Send,
    maker: Arc<Maker>,
) -> impl Iterator<Item = Result<OfMonth>> + Send {
    let (mut names, mut begun) = (Names::default(), Orgs::default());
    let next = move || match chunks.next() {
        Some(chunk) => Some(chunk.and_then(|chunk| begun.add(&chunk, &mut names, &maker))),
        None => begun.end(&names, &maker).transpose().map(|last| last.map(|last| vec![last])),
    };
    iter::from_fn(next).flat_map(one_by_one)
}

impl Orgs {
    // Gives the months that end with it.
    fn add(&mut self, chunk: &Chunk, names: &mut Names, maker: &Maker) -> Result<Vec<OfMonth>> {
        let orgs = chunk.texts("org_id")?.numbered(names);
        let (days, is_dag) = (chunk.days("day")?, chunk.flags("is_dag")?);
        let mut ended = Vec::new();
        for (row, &day) in days.iter().enumerate() {
            let month = Grain::Month.first_day(Grain::Month.index(day));
            if self.month != month {
                ended.extend(self.end(names, maker)?);
                self.month = month;
            }
            self.days.resize(names.len(), [0; 2]);
            let bit = 1 << (day - month);
            let [dag, active] = &mut self.days[orgs.of(row) as usize];
            *active |= bit;
            *dag |= if is_dag.value(row) { bit } else { 0 };
        }
        Ok(ended)
    }

    fn end(&mut self, names: &Names, maker: &Maker) -> Result<Option<OfMonth>> {
        let days = std::mem::take(&mut self.days);
        if days.is_empty() {
            return Ok(None);
        }
        let numbers = names.ranks().numbers;
        let mut rows = Vec::new();
        for (entity, place) in [(DAG, 0), (ORG, 1)] {
            let days = |&org: &u32| (entity, org, days.get(org as usize).map_or(0, |days| days[place]));
            rows.extend(numbers.iter().map(days).filter(|(.., days)| *days != 0));
        }
        maker.batch(self.month, &rows, &texts(names)).map(Some)
    }
}

fn of_users(
    mut chunks: impl Iterator<Item = Result<Chunk>> + Send,
    maker: Arc<Maker>,
) -> impl Iterator<Item = Result<OfMonth>> + Send {
    let mut last: Option<User> = None;
    let next = move || {
        if let Some(chunk) = chunks.next() {
            return Some(chunk.and_then(|chunk| add_seats(&chunk, &mut last, &maker)));
        }
        let User { month, id, days } = last.take().filter(|user| user.days != 0)?;
        let rows = maker.batch(month, &[(USER, 0, days)], &StringArray::from_iter_values([id]));
        Some(rows.map(|rows| vec![rows]))
    };
    iter::from_fn(next).flat_map(one_by_one)
}

// The users that end in a chunk. Seats come in the order of users; those of the last one may go on in the next chunk.
fn add_seats(chunk: &Chunk, last: &mut Option<User>, maker: &Maker) -> Result<Vec<OfMonth>> {
    let mut ids = StringBuilder::new();
    let mut begun = last.take().map(|user| {
        ids.append_value(&user.id);
        (user.month, (USER, 0, user.days))
    });
    let mut count = u32::from(begun.is_some());
    let users = chunk.texts("user_id")?.each(|user| {
        ids.append_value(user);
        count += 1;
        count - 1
    });
    let ids = ids.finish();
    let (months, bits) = (chunk.days("month")?, chunk.numbers("active_bits")?);
    let mut ended: Vec<(Day, Row)> = Vec::with_capacity(chunk.rows());
    for row in 0..chunk.rows() {
        let (month, user) = (months[row], users.of(row));
        match &mut begun {
            Some((known_month, (_, known, days)))
                if *known_month == month
                    && (*known == user || ids.value(*known as usize) == ids.value(user as usize)) =>
            {
                *days |= bits[row];
            }
            begun => ended.extend(begun.replace((month, (USER, user, bits[row])))),
        }
    }
    *last = begun.map(|(month, (_, id, days))| User { month, id: ids.value(id as usize).to_owned(), days });
    // Who is only in sight was active on no day.
    ended.retain(|(_, (.., days))| *days != 0);
    let of_month = |users: &[(Day, Row)]| {
        let rows = users.iter().map(|(_, row)| *row).collect::<Vec<_>>();
        maker.batch(users[0].0, &rows, &ids)
    };
    ended.chunk_by(|(month, _), (next, _)| month == next).map(of_month).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use arrow::array::{ArrayRef, AsArray, BooleanArray};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema, UInt32Type};
    use parquet::arrow::ArrowWriter;

    use super::super::{Given, Input};
    use super::*;
    use crate::period::{WeekStart, parse_day};

    fn input(folder: &tempfile::TempDir, name: &str, columns: Vec<(&str, ArrayRef)>) -> Input {
        let path = folder.path().join(name);
        let rows = RecordBatch::try_from_iter(columns).expect("rows");
        let file = File::create(&path).expect("a file");
        let mut file = ArrowWriter::try_new(file, rows.schema(), None).expect("a writer");
        file.write(&rows).expect("written");
        file.close().expect("closed");
        Input { path, day: None }
    }

    fn texts(texts: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(texts.to_vec()))
    }

    fn numbers(numbers: &[i64]) -> ArrayRef {
        Arc::new(Int64Array::from(numbers.to_vec()))
    }

    fn days(days: &[&str]) -> ArrayRef {
        Arc::new(days.iter().map(|day| Some(parse_day(day).expect("a day"))).collect::<Date32Array>())
    }

    #[test]
    fn who_goes_on_in_the_next_rows_is_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let seats = |name: &str, month: &str, users: &[&str], bits: &[i64]| {
            let months = days(&vec![month; users.len()]);
            input(&folder, name, vec![("month", months), ("user_id", texts(users)), ("active_bits", numbers(bits))])
        };
        let orgs = |name: &str, of_days: &[&str], orgs: &[&str], is_dag: &[bool]| {
            let is_dag: ArrayRef = Arc::new(BooleanArray::from(is_dag.to_vec()));
            input(&folder, name, vec![("day", days(of_days)), ("org_id", texts(orgs)), ("is_dag", is_dag)])
        };
        let inputs = Inputs::from([
            (
                SEATS.table.to_owned(),
                vec![
                    seats("1", "2026-01-01", &["a", "b", "b"], &[1, 2, 8]),
                    seats("2", "2026-01-01", &["b", "c"], &[4, 0]),
                    seats("3", "2026-02-01", &["b"], &[1]),
                ],
            ),
            (
                ORGS.table.to_owned(),
                vec![
                    orgs("4", &["2026-01-01", "2026-01-02"], &["y", "x"], &[false, true]),
                    orgs("5", &["2026-01-03", "2026-02-01"], &["y", "x"], &[false, false]),
                ],
            ),
        ]);
        let fields = [("month", DataType::Date32), ("entity", DataType::Utf8), ("id", DataType::Utf8)];
        let fields = fields.into_iter().chain([("days", DataType::Int64)]);
        let schema =
            Arc::new(Schema::new(fields.map(|(name, kind)| Field::new(name, kind, false)).collect::<Vec<_>>()));
        let (first_day, as_of) = (0, 100_000);
        let frame = Frame {
            first_day,
            as_of,
            wanted: (first_day, as_of),
            week_start: WeekStart::Monday,
            given: Given::default(),
        };
        let mut found = Vec::new();
        for batch in run(&inputs, frame, &schema).expect("rows") {
            let batch = batch.expect("a batch");
            let [entities, ids] = [1, 2].map(|place| batch.column(place).as_dictionary::<UInt32Type>());
            let [entities, ids] = [entities, ids].map(|texts| texts.downcast_dict::<StringArray>().expect("texts"));
            let bits = batch.column(3).as_primitive::<Int64Type>().values();
            found.extend(entities.into_iter().zip(ids).zip(bits).map(|((entity, id), bits)| {
                format!("{} {} {bits}", entity.unwrap_or_default(), id.unwrap_or_default())
            }));
        }
        let january = ["dag x 2", "org x 2", "org y 5", "user a 1", "user b 14"];
        assert_eq!(found, [&january[..], &["org x 1", "user b 1"]].concat());
    }
}

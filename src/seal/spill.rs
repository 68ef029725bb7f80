//! Sorted runs on disk of what crosses organisations, and their merge. Texts stand in them for themselves, since the
//! numbers of one run mean nothing in another. It does not know what the merge is for.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, Int64Builder, RecordBatch, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use tempfile::TempDir;

use super::Threads;
use super::ending::{Sink, walk};
use super::output::Text;
use super::uses::{Span, Uses};
use super::work::{WorkFile, read};
use crate::error::{Error, Result};

// Readers of many runs at once read batches of so many rows.
const RUN_BATCH_ROWS: usize = 2048;

/// Work files of sorted rows: of users (app, user; start, end, human events, usage), of rooms (app, room; start, end)
/// and of their members (app, room, user).
pub(super) struct Runs {
    folder: TempDir,
    count: usize,
}

impl Runs {
    /// No runs yet; their files will lie below the folder and go with this.
    pub(super) fn create(folder: &Path) -> Result<Self> {
        let folder = tempfile::tempdir_in(folder).map_err(|cause| Error::path("create a folder in", folder, cause))?;
        Ok(Self { folder, count: 0 })
    }

    /// Writes a run. Days that need one leave no other thread idle.
    pub(super) fn add(&mut self, found: Uses) -> Result<()> {
        let [users, rooms, members] = Self::paths(self.folder.path(), self.count);
        self.count += 1;
        let mut run = Run {
            users: RunFile::create(&users)?,
            rooms: RunFile::create(&rooms)?,
            members: RunFile::create(&members)?,
            span: None,
        };
        walk(found, Threads::One, &mut run)?;
        run.users.finish()?;
        run.rooms.finish()?;
        run.members.finish()
    }

    /// Gives what all runs hold to a sink, sorted.
    pub(super) fn walk(self, sink: &mut impl Sink) -> Result<()> {
        let paths = (0..self.count).map(|number| Self::paths(self.folder.path(), number)).collect::<Vec<_>>();
        let mut users = Cursor::open(paths.iter().map(|[users, ..]| users))?;
        let mut rooms = Cursor::open(paths.iter().map(|[_, rooms, _]| rooms))?;
        let mut members = Cursor::open(paths.iter().map(|[.., members]| members))?;
        for app_number in 0.. {
            let Some(app) = users.texts().map(|[app, _]| app.to_owned()) else { break };
            while let Some(user) = users.second_of(&app) {
                let (mut human_events, mut usage_ms) = (0, 0_i64);
                while users.texts() == Some([&app, &user]) {
                    let [start, end, events, ms] = users.numbers();
                    sink.user_span(Text::Plain(&app), Text::Plain(&user), Span { start, end })?;
                    human_events += events;
                    usage_ms = usage_ms.saturating_add(ms);
                    users.advance()?;
                }
                sink.end_user(Text::Numbered(app_number, &app), Text::Plain(&user), human_events, usage_ms)?;
            }
            while let Some(room) = rooms.second_of(&app) {
                while rooms.texts() == Some([&app, &room]) {
                    let [start, end] = rooms.numbers();
                    sink.room_span(&app, &room, Span { start, end })?;
                    rooms.advance()?;
                }
                members.walk_room(&app, &room, sink)?;
                sink.end_room(&app, &room)?;
            }
            sink.end_app(&app)?;
        }
        Ok(())
    }

    fn paths(folder: &Path, number: usize) -> [PathBuf; 3] {
        ["users", "rooms", "members"].map(|kind| folder.join(format!("{kind}-{number}")))
    }
}

// The sink that writes a run; spans that touch become one.
struct Run {
    users: RunFile<2, 4>,
    rooms: RunFile<2, 2>,
    members: RunFile<3, 0>,
    span: Option<Span>,
}

impl Run {
    // The span that is over because this one begins apart from it.
    fn next_span(&mut self, next: Span) -> Option<Span> {
        let is_joined = self.span.as_mut().is_some_and(|span| span.join(next));
        if is_joined { None } else { self.span.replace(next) }
    }
}

impl Sink for Run {
    fn user_span(&mut self, app: Text<'_>, user: Text<'_>, span: Span) -> Result<()> {
        match self.next_span(span) {
            Some(Span { start, end }) => self.users.push([app.str(), user.str()], [start, end, 0, 0]),
            None => Ok(()),
        }
    }

    fn end_user(&mut self, app: Text<'_>, user: Text<'_>, human_events: i64, usage_ms: i64) -> Result<()> {
        // Who was there for no time has a span of no length.
        let Span { start, end } = self.span.take().unwrap_or(Span { start: 0, end: 0 });
        self.users.push([app.str(), user.str()], [start, end, human_events, usage_ms])
    }

    fn room_span(&mut self, app: &str, room: &str, span: Span) -> Result<()> {
        match self.next_span(span) {
            Some(Span { start, end }) => self.rooms.push([app, room], [start, end]),
            None => Ok(()),
        }
    }

    fn member(&mut self, app: &str, room: &str, user: &str) -> Result<()> {
        self.members.push([app, room, user], [])
    }

    fn end_room(&mut self, app: &str, room: &str) -> Result<()> {
        match self.span.take() {
            Some(Span { start, end }) => self.rooms.push([app, room], [start, end]),
            None => Ok(()),
        }
    }

    fn end_app(&mut self, _app: &str) -> Result<()> {
        Ok(())
    }
}

// A work file of rows with so many texts, then so many numbers.
struct RunFile<const TEXTS: usize, const NUMBERS: usize> {
    file: WorkFile,
    schema: SchemaRef,
    texts: [StringBuilder; TEXTS],
    numbers: [Int64Builder; NUMBERS],
    rows: usize,
}

impl<const TEXTS: usize, const NUMBERS: usize> RunFile<TEXTS, NUMBERS> {
    fn create(path: &Path) -> Result<Self> {
        let texts = (0..TEXTS).map(|place| Field::new(format!("text {place}"), DataType::Utf8, false));
        let numbers = (0..NUMBERS).map(|place| Field::new(format!("number {place}"), DataType::Int64, false));
        let schema = Arc::new(Schema::new(texts.chain(numbers).collect::<Vec<_>>()));
        Ok(Self {
            file: WorkFile::create(path, &schema)?,
            schema,
            texts: std::array::from_fn(|_| StringBuilder::new()),
            numbers: std::array::from_fn(|_| Int64Builder::new()),
            rows: 0,
        })
    }

    fn push(&mut self, texts: [&str; TEXTS], numbers: [i64; NUMBERS]) -> Result<()> {
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.append_value(text);
        }
        for (column, number) in self.numbers.iter_mut().zip(numbers) {
            column.append_value(number);
        }
        self.rows += 1;
        if self.rows == RUN_BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.rows = 0;
        let texts = self.texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        let columns =
            texts.chain(self.numbers.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef)).collect();
        let batch = RecordBatch::try_new(SchemaRef::clone(&self.schema), columns)
            .map_err(|cause| Error::Internal(format!("what crosses organisations does not fit: {cause}")))?;
        self.file.write(&batch)
    }

    fn finish(mut self) -> Result<()> {
        if self.rows > 0 {
            self.flush()?;
        }
        self.file.finish()
    }
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>>>;

// The rows of several runs, merged: by their texts, then by their first number.
struct Cursor<const TEXTS: usize, const NUMBERS: usize> {
    runs: Vec<Batches>,
    heads: BinaryHeap<Reverse<Head<TEXTS, NUMBERS>>>,
}

struct Head<const TEXTS: usize, const NUMBERS: usize> {
    run: usize,
    row: usize,
    texts: [StringArray; TEXTS],
    numbers: [Int64Array; NUMBERS],
}

impl<const TEXTS: usize, const NUMBERS: usize> Cursor<TEXTS, NUMBERS> {
    fn open<'p>(paths: impl Iterator<Item = &'p PathBuf>) -> Result<Self> {
        let mut cursor = Self { runs: Vec::new(), heads: BinaryHeap::new() };
        for path in paths {
            let mut batches: Batches = Box::new(read(path)?);
            cursor.heads.extend(next_head(&mut batches, cursor.runs.len())?.map(Reverse));
            cursor.runs.push(batches);
        }
        Ok(cursor)
    }

    // The texts of the present row; none at the end.
    fn texts(&self) -> Option<[&str; TEXTS]> {
        let Reverse(head) = self.heads.peek()?;
        Some(head.texts.each_ref().map(|column| column.value(head.row)))
    }

    // The second text of the present row, if this is its first.
    fn second_of(&self, first: &str) -> Option<String> {
        let texts = self.texts()?;
        (texts[0] == first).then(|| texts[1].to_owned())
    }

    // The numbers of the present row; zeros at the end.
    fn numbers(&self) -> [i64; NUMBERS] {
        let head = self.heads.peek();
        head.map_or([0; NUMBERS], |Reverse(head)| head.numbers.each_ref().map(|column| column.value(head.row)))
    }

    fn advance(&mut self) -> Result<()> {
        let Some(mut top) = self.heads.peek_mut() else { return Ok(()) };
        top.0.row += 1;
        if top.0.texts[0].len() == top.0.row {
            let run = top.0.run;
            match next_head(&mut self.runs[run], run)? {
                Some(next) => top.0 = next,
                None => drop(PeekMut::pop(top)),
            }
        }
        Ok(())
    }
}

impl Cursor<3, 0> {
    // The members of one room, each once.
    fn walk_room(&mut self, app: &str, room: &str, sink: &mut impl Sink) -> Result<()> {
        let mut last = None;
        while let Some([found_app, found_room, user]) = self.texts() {
            if (found_app, found_room) != (app, room) {
                break;
            }
            if last.as_deref() != Some(user) {
                sink.member(app, room, user)?;
                last = Some(user.to_owned());
            }
            self.advance()?;
        }
        Ok(())
    }
}

fn next_head<const TEXTS: usize, const NUMBERS: usize>(
    batches: &mut Batches,
    run: usize,
) -> Result<Option<Head<TEXTS, NUMBERS>>> {
    let Some(batch) = batches.next().transpose()? else { return Ok(None) };
    let misfit = || Error::Internal("a work file has other columns than were written".into());
    let column = |place: usize| batch.columns().get(place).ok_or_else(misfit);
    let mut texts = Vec::with_capacity(TEXTS);
    for place in 0..TEXTS {
        texts.push(column(place)?.as_string_opt::<i32>().ok_or_else(misfit)?.clone());
    }
    let mut numbers = Vec::with_capacity(NUMBERS);
    for place in TEXTS..TEXTS + NUMBERS {
        numbers.push(column(place)?.as_primitive_opt::<Int64Type>().ok_or_else(misfit)?.clone());
    }
    let (texts, numbers) = (texts.try_into().map_err(|_| misfit())?, numbers.try_into().map_err(|_| misfit())?);
    Ok(Some(Head { run, row: 0, texts, numbers }))
}

impl<const TEXTS: usize, const NUMBERS: usize> Ord for Head<TEXTS, NUMBERS> {
    fn cmp(&self, other: &Self) -> Ordering {
        let mine = self.texts.iter().map(|column| column.value(self.row));
        let its = other.texts.iter().map(|column| column.value(other.row));
        let number = |head: &Self| head.numbers.first().map(|column| column.value(head.row));
        mine.cmp(its).then_with(|| number(self).cmp(&number(other))).then_with(|| self.run.cmp(&other.run))
    }
}

impl<const TEXTS: usize, const NUMBERS: usize> PartialOrd for Head<TEXTS, NUMBERS> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const TEXTS: usize, const NUMBERS: usize> PartialEq for Head<TEXTS, NUMBERS> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<const TEXTS: usize, const NUMBERS: usize> Eq for Head<TEXTS, NUMBERS> {}

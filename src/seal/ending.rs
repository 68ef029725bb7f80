//! Ending a day: who used which app and room over all organisations becomes `app_user_day` and `concurrency_day`.
//! It does not know how the day was cut into parts, nor whether they were held in memory.

use std::path::Path;

use rayon::slice::ParallelSliceMut;

use super::Threads;
use super::day::{DayFiles, Place, ROLLUP_BATCHES_PER_FILE, write_rollup};
use super::output::{Output, Text};
use super::sorting::sort_by_number;
use super::sweep::Crowd;
use super::uses::{Span, Use, Uses};
use crate::error::Result;
use crate::event::Table;

/// Takes what a day found in the order of apps, and there users, then rooms; and of one of these, spans as they begin.
pub(super) trait Sink {
    /// A span of a user in an app. Spans may overlap.
    fn user_span(&mut self, app: Text<'_>, user: Text<'_>, span: Span) -> Result<()>;
    /// What the user did in the app, behind all its spans.
    fn end_user(&mut self, app: Text<'_>, user: Text<'_>, human_events: i64, usage_ms: i64) -> Result<()>;
    /// A span in which a room was in use. Spans may overlap.
    fn room_span(&mut self, app: &str, room: &str, span: Span) -> Result<()>;
    /// A user of a room, each once.
    fn member(&mut self, app: &str, room: &str, user: &str) -> Result<()>;
    /// Behind the spans and members of a room.
    fn end_room(&mut self, app: &str, room: &str) -> Result<()>;
    /// Behind the users and rooms of an app.
    fn end_app(&mut self, app: &str) -> Result<()>;
}

/// Gives what was found to a sink, sorted: users, apps and rooms are put in order once, and then compared as numbers.
pub(super) fn walk(found: Uses, threads: Threads, sink: &mut impl Sink) -> Result<()> {
    let Uses { apps, users, rooms, by_user: mut uses, spans, room_spans, members } = found;
    let (app_order, user_order, room_order) = (apps.ranks(), users.ranks(), rooms.ranks());
    for found in &mut uses {
        found.app = app_order.ranks[found.app as usize];
        found.user = user_order.ranks[found.user as usize];
    }
    let all_users = users.len() as u64;
    let in_app = |found: &Use| u64::from(found.app) * all_users + u64::from(found.user);
    sort_by_number(threads, &mut uses, apps.len() as u64 * all_users, in_app);
    let room_key = |room: u32| pair(app_order.ranks[rooms.within(room) as usize], room_order.ranks[room as usize]);
    let mut room_spans = room_spans.into_iter().map(|(room, span)| (room_key(room), span)).collect::<Vec<_>>();
    sort(threads, &mut room_spans, |&(room, span)| (room, span.start));
    let rank_of = |(room, user): (u32, u32)| (room_key(room), user_order.ranks[user as usize]);
    let mut members = members.into_iter().map(rank_of).collect::<Vec<_>>();
    sort(threads, &mut members, |&member| member);
    members.dedup();

    let mut room_spans = room_spans.chunk_by(|one, next| one.0 == next.0).peekable();
    let mut members = members.chunk_by(|one, next| one.0 == next.0).peekable();
    let mut several_spans = Vec::new();
    for of_app in uses.chunk_by(|one, next| one.app == next.app) {
        let Some(&Use { app: app_rank, .. }) = of_app.first() else { continue };
        let app = Text::Named(app_rank, &apps, app_order.numbers[app_rank as usize]);
        for of_user in of_app.chunk_by(|one, next| one.user == next.user) {
            let Some(first) = of_user.first() else { continue };
            let user = Text::Named(first.user, &users, user_order.numbers[first.user as usize]);
            let mut of_user_spans = of_user.iter().flat_map(|found| Uses::spans_of(&spans, found));
            // Nearly all users use an app for one organisation; then their spans are in order.
            if of_user.len() == 1 {
                of_user_spans.try_for_each(|span| sink.user_span(app, user, span))?;
            } else {
                several_spans.clear();
                several_spans.extend(of_user_spans);
                several_spans.sort_unstable();
                several_spans.iter().try_for_each(|&span| sink.user_span(app, user, span))?;
            }
            let human_events = of_user.iter().map(|found| found.human_events).sum();
            let usage_ms = of_user.iter().fold(0, |sum: i64, found| sum.saturating_add(found.usage_ms));
            sink.end_user(app, user, human_events, usage_ms)?;
        }
        let app = app.str();
        let is_of_app = |room: u64| room >> 32 == u64::from(app_rank);
        while let Some(of_room) = room_spans.next_if(|of_room| is_of_app(of_room[0].0)) {
            let room_id = of_room[0].0;
            let room = rooms.text(room_order.numbers[low(room_id) as usize]);
            for &(_, span) in of_room {
                sink.room_span(app, room, span)?;
            }
            for &(_, user) in members.next_if(|of_room| of_room[0].0 == room_id).unwrap_or_default() {
                sink.member(app, room, users.text(user_order.numbers[user as usize]))?;
            }
            sink.end_room(app, room)?;
        }
        sink.end_app(app)?;
    }
    Ok(())
}

fn sort<T: Send, K: Ord>(threads: Threads, items: &mut [T], key: impl Fn(&T) -> K + Sync) {
    match threads {
        Threads::One => items.sort_unstable_by_key(key),
        Threads::All => items.par_sort_unstable_by_key(key),
    }
}

fn pair(upper: u32, lower: u32) -> u64 {
    u64::from(upper) << 32 | u64::from(lower)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half of a pair is wanted")]
fn low(pair: u64) -> u32 {
    pair as u32
}

/// The sink that writes the rows of the day.
pub(super) struct Ending<'a> {
    place: &'a Place<'a>,
    files: &'a mut DayFiles,
    users: Crowd,
    rooms: Crowd,
    room_users: i64,
    largest_room: i64,
    app_user_day: Output<2, 2>,
    concurrency_day: Output<1, 4>,
}

impl<'a> Ending<'a> {
    /// Begins to write the rows of a day; with a folder, the sweep of an app holds at most so many instants in memory.
    pub(super) fn new(place: &'a Place<'a>, files: &'a mut DayFiles, folder: Option<&Path>, most: usize) -> Self {
        Self {
            place,
            files,
            users: Crowd::new(folder, most),
            rooms: Crowd::new(folder, most),
            room_users: 0,
            largest_room: 0,
            app_user_day: Output::new(Table::AppUserDay),
            concurrency_day: Output::new(Table::ConcurrencyDay),
        }
    }

    /// Writes the rest.
    pub(super) fn finish(mut self) -> Result<()> {
        self.app_user_day.flush()?;
        self.concurrency_day.flush()?;
        for (table, batches) in [self.app_user_day.full(), self.concurrency_day.full()] {
            write_rollup(self.place, table, batches, self.files)?;
        }
        Ok(())
    }
}

impl Sink for Ending<'_> {
    fn user_span(&mut self, _app: Text<'_>, _user: Text<'_>, span: Span) -> Result<()> {
        self.users.add(span)
    }

    fn end_user(&mut self, app: Text<'_>, user: Text<'_>, human_events: i64, usage_ms: i64) -> Result<()> {
        self.users.turn()?;
        self.app_user_day.push([app, user], [human_events, usage_ms])?;
        let (table, batches) = self.app_user_day.full();
        if batches.len() >= ROLLUP_BATCHES_PER_FILE {
            write_rollup(self.place, table, batches, self.files)?;
        }
        Ok(())
    }

    fn room_span(&mut self, _app: &str, _room: &str, span: Span) -> Result<()> {
        self.rooms.add(span)
    }

    fn member(&mut self, _app: &str, _room: &str, _user: &str) -> Result<()> {
        self.room_users += 1;
        Ok(())
    }

    fn end_room(&mut self, _app: &str, _room: &str) -> Result<()> {
        self.largest_room = self.largest_room.max(std::mem::take(&mut self.room_users));
        self.rooms.turn()
    }

    fn end_app(&mut self, app: &str) -> Result<()> {
        let (users, rooms) = (self.users.peak()?, self.rooms.peak()?);
        let largest_room = std::mem::take(&mut self.largest_room);
        // Without an event that lasts nobody was there.
        if users.count == 0 {
            return Ok(());
        }
        self.concurrency_day.push([Text::Plain(app)], [users.count, users.at, rooms.count, largest_room])
    }
}

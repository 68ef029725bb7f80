//! What part of a day found that other parts may have found too: who used which app and room, and when.
//! It collects numbers; the day is ended from them elsewhere.

use crate::names::Names;

/// A stretch of time, the end not included, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) start: i64,
    pub(super) end: i64,
}

/// What a user did in an app for one organisation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    pub(super) app: u32,
    pub(super) user: u32,
    pub(super) human_events: i64,
    pub(super) usage_ms: i64,
    /// Where its spans begin in [`Uses::spans`], and how many there are; they are in order and do not overlap.
    pub(super) first_span: u32,
    pub(super) spans: u32,
}

/// What human events of part of a day say about apps and rooms.
#[derive(Default)]
pub(super) struct Uses {
    pub(super) apps: Names,
    pub(super) users: Names,
    /// Rooms, within their apps.
    pub(super) rooms: Names,
    pub(super) by_user: Vec<Use>,
    pub(super) spans: Vec<Span>,
    /// When a room was in use, in no order.
    pub(super) room_spans: Vec<(u32, Span)>,
    /// A room and a user in it, for some time; in no order, and some more than once.
    pub(super) members: Vec<(u32, u32)>,
}

impl Span {
    /// The span of an event.
    pub(super) fn new(start: i64, duration_ms: i64) -> Self {
        Self { start, end: start.saturating_add(duration_ms.saturating_mul(1000)) }
    }

    /// Takes in a span that begins no earlier, if nothing lies between; says whether it did.
    pub(super) fn join(&mut self, next: Self) -> bool {
        let joins = next.start <= self.end;
        if joins {
            self.end = self.end.max(next.end);
        }
        joins
    }
}

impl Uses {
    /// Makes room for what so many more events may say.
    pub(super) fn reserve(&mut self, events: usize) {
        self.by_user.reserve(events);
        self.spans.reserve(events);
        self.room_spans.reserve(events);
    }

    /// Begins what a user does in an app; what follows belongs to it.
    pub(super) fn begin(&mut self, app: u32, user: u32) {
        let first_span = low(self.spans.len());
        self.by_user.push(Use { app, user, human_events: 0, usage_ms: 0, first_span, spans: 0 });
    }

    /// Adds an event to what was begun. Events come in the order of their beginnings.
    pub(super) fn add(&mut self, start: i64, duration_ms: i64, room: Option<u32>) {
        let Some(present) = self.by_user.last_mut() else { return };
        present.human_events += 1;
        present.usage_ms = present.usage_ms.saturating_add(duration_ms);
        if duration_ms <= 0 {
            return;
        }
        let span = Span::new(start, duration_ms);
        let is_joined = present.spans > 0 && self.spans.last_mut().is_some_and(|last| last.join(span));
        if !is_joined {
            self.spans.push(span);
            present.spans += 1;
        }
        if let Some(room) = room {
            if self.members.last() != Some(&(room, present.user)) {
                self.members.push((room, present.user));
            }
            self.room_spans.push((room, span));
        }
    }

    /// Takes in what another part of the day found.
    pub(super) fn extend(&mut self, other: Self) {
        let numbers = |mine: &mut Names, its: &Names, within: &dyn Fn(u32) -> u32| {
            if mine.is_same(its) {
                return (0..low(its.len())).collect();
            }
            (0..low(its.len()))
                .map(|number| mine.number(within(its.within(number)), its.text(number)))
                .collect::<Vec<_>>()
        };
        let apps = numbers(&mut self.apps, &other.apps, &|_| 0);
        let users = numbers(&mut self.users, &other.users, &|_| 0);
        let rooms = numbers(&mut self.rooms, &other.rooms, &|app| apps[app as usize]);
        let offset = low(self.spans.len());
        self.by_user.extend(other.by_user.into_iter().map(|found| Use {
            app: apps[found.app as usize],
            user: users[found.user as usize],
            first_span: found.first_span + offset,
            ..found
        }));
        self.spans.extend(other.spans);
        self.room_spans.extend(other.room_spans.into_iter().map(|(room, span)| (rooms[room as usize], span)));
        let members = other.members.into_iter().map(|(room, user)| (rooms[room as usize], users[user as usize]));
        self.members.extend(members);
    }

    /// The spans of a use, in order.
    pub(super) fn spans_of(spans: &[Span], found: &Use) -> impl Iterator<Item = Span> {
        spans[found.first_span as usize..][..found.spans as usize].iter().copied()
    }

    /// What it takes in memory, about, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.apps.bytes()
            + self.users.bytes()
            + self.rooms.bytes()
            + self.by_user.len() * size_of::<Use>()
            + self.spans.len() * size_of::<Span>()
            + self.room_spans.len() * size_of::<(u32, Span)>()
            + self.members.len() * size_of::<(u32, u32)>()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a day has fewer events than 2^32 between two spills")]
fn low(count: usize) -> u32 {
    count as u32
}

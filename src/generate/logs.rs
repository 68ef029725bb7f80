//! The log files of a plan: which records go into which file, in which order, and what is broken about them.
//! It does not know how a record looks in a format.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::Result;
use crate::event::Reason;
use crate::settings::LogFormat;

use super::activity::{Desk, Event};
use super::landscape::{Landscape, NONE, Org};
use super::people::{Delivery, User, usual_presence};
use super::random::{Random, Topic};
use super::rhythm::Date;
use super::write::LogFile;

/// What went into files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Records of any kind.
    pub(super) records: u64,
    /// Distinct events.
    pub(super) events: u64,
    /// Events that stand there again.
    pub(super) duplicates: u64,
    /// Distinct events in a later file than that of their day.
    pub(super) late: u64,
    /// Records that are no events.
    pub(super) rejects: BTreeMap<&'static str, u64>,
}

/// A file: some days of some users and their organisations' machines.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Its days, from the plan's first day on.
    pub(super) days: Range<i32>,
    /// The numbers of its users.
    pub(super) users: Range<u32>,
    /// Its place among all files.
    pub(super) number: u64,
}

/// What is the same for all files.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) landscape: &'a Landscape,
    /// Every day of the plan.
    pub(super) dates: &'a [Date],
    pub(super) dirt: bool,
}

const DAY_US: i64 = 86_400_000_000;
// For how long a company that has left still gets messages.
const PUSH_DAYS: i32 = 30;
// Duplicates, broken records and blank lines, in a hundred thousand records.
const DUPLICATES: u32 = 200;
const BROKEN: u32 = 300;
const BLANKS: u32 = 40;
const BROKEN_LINES: [Reason; 9] = [
    Reason::BadRecord,
    Reason::MissingTs,
    Reason::BadTs,
    Reason::MissingApp,
    Reason::BadDuration,
    Reason::BadEncoding,
    Reason::FutureTs,
    Reason::TooOld,
    Reason::BadId,
];
const BROKEN_ROWS: [Reason; 6] =
    [Reason::MissingTs, Reason::MissingApp, Reason::BadDuration, Reason::FutureTs, Reason::TooOld, Reason::BadId];

impl Counts {
    /// Adds the counts of another file.
    pub(super) fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.events += other.events;
        self.duplicates += other.duplicates;
        self.late += other.late;
        for (reason, count) in &other.rejects {
            *self.rejects.entry(reason).or_default() += count;
        }
    }
}

impl Scene<'_> {
    /// The number of events that a day has without dirt.
    pub(super) fn count_day(&self, day: i32) -> u64 {
        let part = Part { days: day..day + 1, users: 0..self.landscape.users, number: 0 };
        let mut events = Vec::new();
        self.collect(&part, day, &mut events, &mut Counts::default());
        events.len() as u64
    }

    /// Writes the records of a file.
    pub(super) fn write(&self, part: &Part, format: LogFormat, file: &mut LogFile) -> Result<Counts> {
        let mut counts = Counts::default();
        let mut events = Vec::new();
        let reasons: &[Reason] = if format == LogFormat::Parquet { &BROKEN_ROWS } else { &BROKEN_LINES };
        let mut too_long = self.dirt && part.number == 0 && format != LogFormat::Parquet;
        for day in part.days.clone() {
            events.clear();
            self.collect(part, day, &mut events, &mut counts);
            let random =
                &mut Random::keyed(self.landscape.seed, Topic::Dirt, part.number, u64::from(day.cast_unsigned()));
            if self.dirt {
                repeat_some(random, &mut events, &mut counts);
            }
            // Stable, so that events of one instant keep the order in which they were made.
            events.sort_by_key(|event| event.arrival_us);
            // Each day begins with another reason, so that short logs have all of them.
            let mut next = reasons.iter().cycle().skip(day.cast_unsigned() as usize % reasons.len());
            for event in &events {
                if self.dirt && event.user != NONE {
                    if random.below(100_000) < BROKEN
                        && let Some(&reason) = next.next()
                    {
                        let reason = if std::mem::take(&mut too_long) { Reason::TooLong } else { reason };
                        file.broken(reason, event)?;
                        *counts.rejects.entry(reason.name()).or_default() += 1;
                        counts.records += 1;
                    }
                    if random.below(100_000) < BLANKS {
                        file.blank();
                    }
                }
                file.event(event)?;
            }
            counts.records += events.len() as u64;
        }
        counts.events = counts.records - counts.duplicates - counts.rejects.values().sum::<u64>();
        Ok(counts)
    }

    // Everything that reaches the log on a day, in order of users.
    fn collect(&self, part: &Part, day: i32, events: &mut Vec<Event>, counts: &mut Counts) {
        let orgs = &self.landscape.orgs;
        let first = orgs.partition_point(|org| org.first_user + org.seats + org.boom <= part.users.start);
        for org in orgs[first..].iter().take_while(|org| org.first_user < part.users.end) {
            if org.opens > day || day > org.closes.saturating_add(PUSH_DAYS) {
                continue;
            }
            let Some(date) = self.date(day) else { continue };
            let desk = Desk::new(self.landscape, org, date, day);
            if part.users.contains(&org.first_user) && org.is_open(day) && !org.is_personal() {
                desk.machine_day(events);
            }
            let usual = usual_presence(org, date);
            let end = (org.first_user + org.seats + org.boom).min(part.users.end);
            for number in org.first_user.max(part.users.start)..end {
                let user = User::new(self.landscape, org, number - org.first_user);
                if user.registered > day {
                    continue;
                }
                let delivery = self.delivery(&user, day);
                if user.is_present(self.landscape.seed, org, day, usual) {
                    if !matches!(delivery, Delivery::Late(_)) {
                        desk.user_day(&user, events);
                    }
                } else {
                    desk.absent_day(&user, events);
                }
                if self.dirt {
                    self.collect_old(part, org, &user, day, events, counts);
                }
            }
        }
    }

    // The user's earlier days that reach the log only now, or again.
    fn collect_old(&self, part: &Part, org: &Org, user: &User, day: i32, events: &mut Vec<Event>, counts: &mut Counts) {
        for lag in 1..=3 {
            let old = day - lag;
            let delivery = self.delivery(user, old);
            let is_again = lag == 1 && delivery == Delivery::Twice;
            let Some(date) = self.date(old).filter(|_| is_again || delivery == Delivery::Late(lag)) else { continue };
            if !user.is_present(self.landscape.seed, org, old, usual_presence(org, date)) {
                continue;
            }
            let begin = events.len();
            Desk::new(self.landscape, org, date, old).user_day(user, events);
            if is_again {
                let mut place = 0;
                events.retain(|event| {
                    place += 1;
                    place <= begin || event.has_id
                });
                counts.duplicates += (events.len() - begin) as u64;
            } else if old < part.days.start {
                counts.late += (events.len() - begin) as u64;
            }
            for event in &mut events[begin..] {
                event.arrival_us += i64::from(lag) * DAY_US;
            }
        }
    }

    fn delivery(&self, user: &User, day: i32) -> Delivery {
        if self.dirt { user.delivery(self.landscape.seed, day) } else { Delivery::Prompt }
    }

    fn date(&self, day: i32) -> Option<&Date> {
        self.dates.get(usize::try_from(day).ok()?)
    }
}

// A sender that hears no answer sends again, sometimes with a duration that has grown meanwhile.
fn repeat_some(random: &mut Random, events: &mut Vec<Event>, counts: &mut Counts) {
    for place in 0..events.len() {
        let event = events[place];
        if event.has_id && random.below(100_000) < DUPLICATES {
            let grown = if random.chance(330) { random.between(1, 5000) } else { 0 };
            let wait_us = i64::from(random.between(1, 600)) * 1_000_000;
            let duration_ms = event.duration_ms + grown;
            events.push(Event { arrival_us: event.arrival_us + wait_us, duration_ms, ..event });
            counts.duplicates += 1;
        }
    }
}

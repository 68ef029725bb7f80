//! What an organisation does on a day: the events of its users, meetings, classes and machines.
//! It knows instants and apps; it does not know files, formats or dirt.

use super::apps::{
    self, App, BASIC, CALLS, CATALOGUE, CHAT, CHECKIN, CLASSROOM, CRM, DECISIONS, DIRECTORY, ERP, FLOWS, HOMEWORK,
    MEET, OWN, SYSTEMS, UNUSUAL, WEBHOOK, WEBINAR, WORK,
};
use super::landscape::{Landscape, NONE, Org, Style};
use super::people::{User, day_key};
use super::random::{Random, Topic};
use super::rhythm::Date;
use super::words::EDUCATION;

/// An event. Its id follows from day, user or organisation, and number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    /// When it reaches the log, in microseconds since the epoch.
    pub(super) arrival_us: i64,
    /// When it began.
    pub(super) ts_us: i64,
    /// The room of a meeting or class; 0 = none.
    pub(super) room: u64,
    /// The day on which it began, from the plan's first day on.
    pub(super) day: i32,
    /// `NONE` = a machine.
    pub(super) user: u32,
    /// `NONE` = personal use.
    pub(super) org: u32,
    /// The organisation that names a low-code app and a machine's id.
    pub(super) home: u32,
    pub(super) duration_ms: u32,
    /// The number of the event within the user's or the machines' day.
    pub(super) number: u16,
    pub(super) app: App,
    /// The offset from UTC in minutes.
    pub(super) offset: i16,
    pub(super) action: &'static str,
    pub(super) client: Client,
    /// Whether it has an id at all.
    pub(super) has_id: bool,
}

/// What sent an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Windows,
    Mac,
    Android,
    Ios,
    Web,
    Api,
}

impl Client {
    /// The word in the log.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Mac => "mac",
            Self::Android => "android",
            Self::Ios => "ios",
            Self::Web => "web",
            Self::Api => "api",
        }
    }
}

/// An organisation on a day: what its users have in common.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    landscape: &'a Landscape,
    org: &'a Org,
    date: &'a Date,
    day: i32,
    apps: Vec<App>,
    // The wall clock of the organisation's region against the reporting zone's, in minutes.
    shift: u32,
}

const MINUTE_MS: u32 = 60_000;
const DAY_MS: u32 = 24 * 60 * MINUTE_MS;

impl<'a> Desk<'a> {
    /// The desk of an organisation on a day.
    pub(super) fn new(landscape: &'a Landscape, org: &'a Org, date: &'a Date, day: i32) -> Self {
        // Most organisations stand in the zone that the platform reports in.
        let shift = match org.region {
            _ if org.number % 5 != 0 || org.is_personal() => 0,
            2 => 15 * 60,
            1 => 6 * 60,
            4 => 10 * 60,
            _ => 60,
        };
        Self { landscape, org, date, day, apps: app_list(landscape.seed, org, org.level(day)), shift }
    }

    /// The events of a user who is present.
    pub(super) fn user_day(&self, user: &User, events: &mut Vec<Event>) {
        let mut log = Log { desk: self, user: Some(user), number: 0, events };
        let random = &mut Random::keyed(self.landscape.seed, Topic::UserDay, u64::from(user.number), day_key(self.day));
        if user.checks_in(self.day) && !user.campaign.is_none_or(|c| c >= self.landscape.campaigns.len()) {
            log.push(random.between(420, 600) * MINUTE_MS + random.below(MINUTE_MS), CHECKIN, "check_in", 0, 0);
        }
        if !self.org.is_personal() {
            self.meetings(user, random, &mut log);
        }
        let is_owl = user.taste % 29 == 0;
        let begins = 440 + u32::try_from(user.taste >> 8 & 0x7F).unwrap_or(0);
        for _ in 0..=random.below(2 * user.load) {
            let evening = is_owl || self.org.is_personal() || random.chance(70);
            let minute = if evening { random.between(1110, 1439) } else { begins + work_minute(random) };
            let at = minute * MINUTE_MS + random.below(MINUTE_MS);
            let app = self.app(user, random);
            let action = match app {
                _ if random.chance(700) => "use",
                app => random.pick(apps::actions(category(app))),
            };
            log.push(at, app, action, self.duration_ms(random), 0);
        }
        // A message that arrived is no use of the platform.
        if random.chance(120) {
            log.push(random.below(DAY_MS), CHAT, "push_received", 0, 0);
        }
    }

    /// What reaches a user who is not at work: messages, which make nobody active.
    pub(super) fn absent_day(&self, user: &User, events: &mut Vec<Event>) {
        let random = &mut Random::keyed(self.landscape.seed, Topic::UserDay, u64::from(user.number), day_key(self.day));
        let mut log = Log { desk: self, user: Some(user), number: 0, events };
        if random.chance(25) {
            log.push(random.below(DAY_MS), CHAT, "push_received", 0, 0);
        }
    }

    /// The events of connectors and robots.
    pub(super) fn machine_day(&self, events: &mut Vec<Event>) {
        let org = self.org;
        let level = org.level(self.day);
        let random = &mut Random::keyed(self.landscape.seed, Topic::Machines, u64::from(org.number), day_key(self.day));
        let traits = Random::keyed(self.landscape.seed, Topic::Apps, u64::from(org.number), 1).bits();
        let size = 1 + org.seats.min(300) / 20;
        let is_workday = self.date.is_workday(org.region);
        // A trait of an eighth of the organisations: they stop just short of the next level.
        let is_near_miss = traits % 8 == 0;
        let mut run = |app: App, per_mille: u32, most: u32, random: &mut Random| {
            if random.chance(per_mille) {
                let mut log = Log { desk: self, user: None, number: app * 64, events: &mut *events };
                for _ in 0..random.between(1, most.clamp(1, 60)) {
                    let duration = if random.chance(500) { 0 } else { random.below(4000) };
                    log.push(random.below(DAY_MS), app, "use", duration, 0);
                }
            }
        };
        let systems = SYSTEMS[usize::from(org.industry)];
        let industry_system = systems[0];
        match level {
            0 | 1 => return,
            2 => {
                run(WEBHOOK, if traits % 5 == 1 { 500 } else { 0 }, 2, random);
                run(industry_system, if is_near_miss { 190 } else { 0 }, 1, random);
            }
            _ => {
                run(DIRECTORY, 900, 1, random);
                let daily = if is_workday { 900 } else { 450 };
                let count = 1 + usize::try_from(traits >> 8 & 0xFF).unwrap_or(0) % 3;
                for system in &systems[..count] {
                    run(*system, daily, size, random);
                }
                let flow = FLOWS[usize::try_from(traits >> 16 & 0xFF).unwrap_or(0) % FLOWS.len()];
                match level {
                    3 => run(flow, if is_near_miss { 90 } else { 0 }, 1, random),
                    _ => run(flow, 930, 2 * size, random),
                }
                let decision = DECISIONS[usize::try_from(traits >> 24 & 0xFF).unwrap_or(0) % DECISIONS.len()];
                match level {
                    4 => run(decision, if is_near_miss { 25 } else { 0 }, 1, random),
                    5 => run(decision, 330, 2, random),
                    _ => {}
                }
            }
        }
    }

    // Meetings of a team, classes, and the weekly town hall. Who is invited follows from the place alone, so users of
    // one room need not be made together.
    fn meetings(&self, user: &User, random: &mut Random, log: &mut Log<'_, '_>) {
        let org = self.org;
        let is_school = org.industry == EDUCATION;
        let team = user.place / if is_school { 28 } else { 7 };
        let key = u64::from(org.number) << 24 | u64::from(team);
        let team_day = &mut Random::keyed(self.landscape.seed, Topic::Meeting, key, day_key(self.day));
        let is_workday = self.date.is_workday(org.region);
        let slots = if is_school { 2 } else { 1 };
        for slot in 0..slots {
            let takes_place = is_workday && team_day.chance(if is_school { 650 } else { 260 });
            let begin = (team_day.between(16, 33) + slot) * 30 * MINUTE_MS;
            let length = team_day.between(18, 70) * MINUTE_MS;
            let app = if is_school { CLASSROOM } else { team_day.pick(&[MEET, MEET, CALLS]) };
            let room = team_day.bits() >> 16 | 1;
            if takes_place && org.seats > 3 && org.style != Style::TwoApps && random.chance(820) {
                let late = random.below(4 * MINUTE_MS);
                log.push(begin + late, app, "attend", length - late - random.below(5 * MINUTE_MS), room);
            }
        }
        let is_town_hall = u32::from(self.date.weekday) == org.number % 5;
        if is_town_hall && is_workday && org.seats >= 60 && random.chance(350) {
            let key = u64::from(org.number) << 24 | 0xFF_FFFF;
            let town_hall = &mut Random::keyed(self.landscape.seed, Topic::Meeting, key, day_key(self.day));
            let (begin, room) = (town_hall.between(18, 32) * 30 * MINUTE_MS, town_hall.bits() >> 16 | 1);
            log.push(begin + random.below(3 * MINUTE_MS), WEBINAR, "attend", random.between(25, 60) * MINUTE_MS, room);
        }
    }

    // Everybody has four favourites among the organisation's apps; the first takes most of the day.
    fn app(&self, user: &User, random: &mut Random) -> App {
        let count = self.apps.len();
        let favourite = match random.below(100) {
            0..34 => return self.apps[0],
            34..64 => 0,
            64..82 => 1,
            82..94 => 2,
            _ => 3,
        };
        let taste = usize::try_from(user.taste >> (16 + favourite * 8) & 0xFF).unwrap_or(0);
        self.apps[taste % count]
    }

    fn duration_ms(&self, random: &mut Random) -> u32 {
        match self.org.style {
            Style::Light => 30_000 * random.pick(&[1, 1, 2, 2, 2, 3, 4]),
            _ if random.chance(60) => 0,
            _ => 4_000 + random.below(1000) * random.below(1000) * 9 / 10,
        }
    }
}

// Minutes since a working day began: nine hours with a dip at noon.
fn work_minute(random: &mut Random) -> u32 {
    let minute = random.below(540);
    if (210..270).contains(&minute) { random.below(540) } else { minute }
}

fn category(app: App) -> &'static str {
    CATALOGUE.get(usize::from(app)).map_or("lowcode", |entry| entry.category)
}

// The apps in use, chat first: more for larger organisations and higher levels. An organisation that climbs keeps what
// it had, so each list begins with the one of the level below.
fn app_list(seed: u64, org: &Org, level: u8) -> Vec<App> {
    let random = &mut Random::keyed(seed, Topic::Apps, u64::from(org.number), 0);
    let breadth = org.seats.ilog2().min(8);
    let mut list = Vec::with_capacity(24);
    list.push(if random.chance(930) { CHAT } else { random.pick(&BASIC) });
    for _ in 0..=random.between(1, 2 + breadth / 2) {
        list.push(random.pick(&BASIC));
    }
    if org.style == Style::TwoApps {
        list.truncate(2);
    }
    if org.industry == EDUCATION && level >= 2 {
        list.push(HOMEWORK);
    }
    let works = random.between(1, 2 + breadth);
    let drawn: [App; 10] = std::array::from_fn(|_| random.pick(&WORK[..]));
    let unusual = random.pick(&UNUSUAL);
    let has_unusual = random.chance(60);
    if level >= 2 {
        let works = if org.style == Style::TwoApps { 1 } else { works as usize };
        list.extend(&drawn[..works]);
        if has_unusual {
            list.push(unusual);
        }
        list.extend((0..u16::from(org.lowcode)).map(|own| OWN + own));
    }
    if level >= 3 {
        let systems = SYSTEMS[usize::from(org.industry)];
        list.push(systems[0]);
        list.push(if random.chance(500) { systems[1] } else { random.pick(&[ERP, CRM]) });
    }
    if level >= 5 {
        list.push(random.pick(&DECISIONS));
    }
    if org.style == Style::TwoApps && level < 3 {
        list.truncate(2);
    }
    list
}

// Where a day's events are written down, and the number of the next one.
struct Log<'a, 'b> {
    desk: &'a Desk<'a>,
    user: Option<&'a User>,
    number: u16,
    events: &'b mut Vec<Event>,
}

impl Log<'_, '_> {
    fn push(&mut self, local_ms: u32, app: App, action: &'static str, duration_ms: u32, room: u64) {
        let desk = self.desk;
        let local_ms = (local_ms + desk.shift * MINUTE_MS) % DAY_MS;
        let (ts_us, offset) = desk.date.instant(local_ms);
        let (org, app) = self.for_whom(app, action, room);
        // Machines live in UTC.
        let offset = if self.user.is_some() { offset } else { 0 };
        self.events.push(Event {
            arrival_us: ts_us,
            ts_us,
            room,
            day: desk.day,
            user: self.user.map_or(NONE, |user| user.number),
            org,
            home: desk.org.number,
            duration_ms,
            number: self.number,
            app,
            offset,
            action,
            client: self.user.map_or(Client::Api, client),
            has_id: app != WEBHOOK && action != "push_received",
        });
        self.number += 1;
    }

    // Personal use has no organisation; a user of two works for the second one with chat and the like only, so that
    // no organisation's level comes from a guest.
    fn for_whom(&self, app: App, action: &str, room: u64) -> (u32, App) {
        let org = self.desk.org;
        let Some(user) = self.user else { return (org.number, app) };
        if org.is_personal() {
            return (NONE, app);
        }
        if room != 0 || action == "check_in" {
            return (org.number, app);
        }
        let turn = (u64::from(self.number) + user.taste) % 32;
        let guest_app = || BASIC.iter().copied().find(|basic| *basic == app).unwrap_or(CHAT);
        match self.desk.landscape.orgs.get(user.second_org as usize) {
            Some(second) if turn < 10 && second.is_open(self.desk.day) && !second.is_personal() => {
                (second.number, guest_app())
            }
            _ if turn == 31 => (NONE, guest_app()),
            _ => (org.number, app),
        }
    }
}

fn client(user: &User) -> Client {
    match user.taste >> 56 {
        0..90 => Client::Windows,
        90..120 => Client::Mac,
        120..190 => Client::Android,
        190..235 => Client::Ios,
        _ => Client::Web,
    }
}

//! The users of an organisation: when they come and go, how present they are, and when their day reaches the log.
//! Everything about a user follows from seed, organisation and place; nothing is stored.

use super::landscape::{BOOM, Campaign, Landscape, NEVER, NONE, Org};
use super::random::{Random, Topic};
use super::rhythm::Date;
use super::words::EDUCATION;

/// A user.
#[derive(Debug, Clone)]
pub(super) struct User {
    /// The number over all organisations.
    pub(super) number: u32,
    /// The place in the organisation.
    pub(super) place: u32,
    /// First and last possible day of use.
    pub(super) registered: i32,
    pub(super) last: i32,
    /// Days without use in between.
    pub(super) pause: (i32, i32),
    /// Presence on a weekday, in thousandths.
    pub(super) presence: u32,
    /// The campaign that brought the user: a place in the landscape's list, or one more for the unlisted one.
    pub(super) campaign: Option<usize>,
    /// Days in a row with a check-in, from registering on.
    pub(super) streak: i32,
    /// The mean number of events a day, less a half.
    pub(super) load: u32,
    /// Bits that choose apps, client and hours.
    pub(super) taste: u64,
    /// The second organisation that the user also works for, or `NONE`.
    pub(super) second_org: u32,
    pub(super) is_internal: bool,
    /// Whether the users file has the user.
    pub(super) is_listed: bool,
}

/// How a user's day reaches the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// On the day itself.
    Prompt,
    /// Some days later: the device was offline.
    Late(i32),
    /// On the day itself, and again a day later: the device did not hear the answer.
    Twice,
}

impl User {
    /// The user at a place of an organisation.
    pub(super) fn new(landscape: &Landscape, org: &Org, place: u32) -> Self {
        let number = org.first_user + place;
        let random = &mut Random::keyed(landscape.seed, Topic::User, u64::from(number), 0);
        let days = landscape.days;
        let is_boom = place >= org.seats;
        let registered =
            landscape.off_the_weekend(org, registered(random, org, place, days, &landscape.campaigns[BOOM], is_boom));
        let campaign = campaign(random, landscape, org, registered, is_boom);
        let (mut last, presence) = stay(random, registered, campaign, org);
        let streak = streak(random, campaign);
        last = last.max(registered.saturating_add(streak - 1));
        let pause = if random.chance(90) {
            let start = registered.max(0) + 5 + random.below_signed(days);
            (start, start + random.between(15, 65).cast_signed())
        } else {
            (NEVER, NEVER)
        };
        let orgs = u32::try_from(landscape.orgs.len() - 1).unwrap_or(NONE);
        let taste = random.bits();
        Self {
            number,
            place,
            registered,
            last,
            pause,
            presence,
            campaign,
            streak,
            load: random.pick(&[1, 2, 2, 3, 3, 4, 4, 5, 6, 8]),
            taste,
            second_org: if random.chance(12) && !org.is_personal() { random.below(orgs) } else { NONE },
            is_internal: org.is_own_house() || random.chance(2),
            is_listed: !random.chance(5),
        }
    }

    /// Whether the user has a streak of check-ins that holds a day.
    pub(super) fn checks_in(&self, day: i32) -> bool {
        self.streak > 0 && self.registered <= day && day - self.registered < self.streak
    }

    /// Whether the user is at work on a day; on the day of registering always.
    pub(super) fn is_present(&self, seed: u64, org: &Org, day: i32, usual: u32) -> bool {
        if day < self.registered || day > self.last || !org.is_open(day) {
            return false;
        }
        if day == self.registered || self.checks_in(day) {
            return true;
        }
        if self.pause.0 <= day && day <= self.pause.1 {
            return false;
        }
        let eager = if day - self.registered < 6 { 1200 } else { 1000 };
        let per_million = self.presence * usual / 1000 * eager;
        let random = &mut Random::keyed(seed, Topic::Presence, u64::from(self.number), day_key(day));
        random.below(1_000_000) < per_million
    }

    /// How the user's day reaches the log.
    pub(super) fn delivery(&self, seed: u64, day: i32) -> Delivery {
        let random = &mut Random::keyed(seed, Topic::Delivery, u64::from(self.number), day_key(day));
        match random.below(1000) {
            0..3 => Delivery::Late(1),
            3 => Delivery::Late(2),
            4 => Delivery::Late(3),
            5 => Delivery::Twice,
            _ => Delivery::Prompt,
        }
    }
}

/// A day as a key of random numbers.
pub(super) fn day_key(day: i32) -> u64 {
    u64::from(day.cast_unsigned())
}

fn registered(random: &mut Random, org: &Org, place: u32, days: i32, boom: &Campaign, is_boom: bool) -> i32 {
    let day = if org.is_personal() {
        random.below_signed(days * 2) - days
    } else if is_boom {
        let length = boom.end - boom.start + 1;
        let early = random.below_signed(length).min(random.below_signed(length));
        (boom.start + early).max(org.opens)
    } else if place == 0 {
        return org.opens;
    } else if org.opens >= 0 {
        org.opens.saturating_add(random.decay(14))
    } else if random.chance(680) {
        -1 - random.below_signed((-org.opens).clamp(1, 900))
    } else {
        random.below_signed(days)
    };
    day.max(org.opens)
}

fn campaign(random: &mut Random, landscape: &Landscape, org: &Org, registered: i32, is_boom: bool) -> Option<usize> {
    if org.is_personal() || org.is_own_house() {
        return None;
    }
    if is_boom {
        return random.chance(850).then_some(BOOM);
    }
    let running = landscape.campaigns.iter().position(|c| c.start <= registered && registered <= c.end);
    match running {
        Some(campaign) => random.chance(500).then_some(campaign),
        None => (registered >= 0 && random.chance(30)).then_some(landscape.campaigns.len()),
    }
}

// The last day and the presence: those who were there before mostly stay, those whom a boom brings mostly do not.
fn stay(random: &mut Random, registered: i32, campaign: Option<usize>, org: &Org) -> (i32, u32) {
    if org.is_personal() {
        return (registered.max(0).saturating_add(random.decay(60)), random.between(40, 400));
    }
    let steady = random.between(450, 950);
    let (tries, fades) = match campaign {
        Some(BOOM) => (400, 800),
        Some(_) => (300, 680),
        None if registered < 0 => (0, 420),
        None => (230, 560),
    };
    let presence = if org.industry == EDUCATION { steady * 7 / 10 } else { steady };
    match random.below(1000) {
        n if n < tries => (registered.saturating_add(random.below_signed(2)), presence),
        n if n < fades && registered < 0 => (random.decay(70), presence * 8 / 10),
        n if n < fades => (registered.saturating_add(1 + random.decay(11)), presence),
        n if n > 900 => (NEVER, random.between(30, 120)),
        _ => (registered.max(0).saturating_add(random.decay(400)), presence),
    }
}

fn streak(random: &mut Random, campaign: Option<usize>) -> i32 {
    if campaign.is_none() || !random.chance(380) {
        return 0;
    }
    if random.chance(420) { random.between(15, 18).cast_signed() } else { random.between(2, 14).cast_signed() }
}

/// The colleague who invited a user of a campaign, if one did.
pub(super) fn invited_by(landscape: &Landscape, org: &Org, user: &User) -> Option<u32> {
    let campaign = user.campaign?;
    let random = &mut Random::keyed(landscape.seed, Topic::Dimension, u64::from(user.number), 3);
    let share = if campaign == 2 { 900 } else { 350 };
    if user.place == 0 || !random.chance(share) {
        return None;
    }
    let place = random.below(user.place.div_ceil(3));
    let inviter = User::new(landscape, org, place);
    (inviter.registered < user.registered).then_some(inviter.number)
}

/// What an organisation's users have in common on a day: the usual presence in thousandths.
pub(super) fn usual_presence(org: &Org, date: &Date) -> u32 {
    date.presence(org.region, org.weekend)
}

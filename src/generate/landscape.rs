//! The organisations of a plan: who they are, when they come, pause and leave, how many seats they use, and which path
//! through the levels of integration they take. It does not know single users or events.
//!
//! Days are counted from the plan's first day; earlier ones are negative.

use super::random::{Random, Topic};
use super::words::EDUCATION;
use super::{Plan, words};

/// No day, no organisation, no user.
pub(super) const NONE: u32 = u32::MAX;
/// A day that never comes.
pub(super) const NEVER: i32 = i32::MAX / 4;

/// How an organisation uses the platform on a usual day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Minutes at a time.
    Usual,
    /// Half-minute heartbeats that add up to whole and half minutes, often near a threshold.
    Light,
    /// Two apps and no more.
    TwoApps,
}

/// An organisation.
#[derive(Debug, Clone)]
pub(super) struct Org {
    /// Its number; the number after the last is personal use, which is no organisation.
    pub(super) number: u32,
    /// Whether the orgs file has it.
    pub(super) is_listed: bool,
    /// The people that it employs; 0 = unknown.
    pub(super) headcount: u32,
    pub(super) industry: u8,
    pub(super) region: u8,
    pub(super) edition: u8,
    pub(super) style: Style,
    /// When it signed up.
    pub(super) registered: i32,
    /// First and last day of use.
    pub(super) opens: i32,
    pub(super) closes: i32,
    /// The first and last day of a pause.
    pub(super) pause: (i32, i32),
    /// The number of its first user.
    pub(super) first_user: u32,
    /// Users who come in the ordinary way, and those whom the boom brings.
    pub(super) seats: u32,
    pub(super) boom: u32,
    /// From which day on it works on which level.
    pub(super) path: [(i32, u8); 4],
    /// Weekend presence in thousandths of a weekday's.
    pub(super) weekend: u16,
    /// Its own low-code apps.
    pub(super) lowcode: u8,
}

/// A campaign: its days and what it costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Campaign {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) start: i32,
    pub(super) end: i32,
    pub(super) cost: &'static str,
    pub(super) reward: &'static str,
    pub(super) streak_days: u32,
}

/// All organisations and campaigns of a plan.
#[derive(Debug, Clone)]
pub(super) struct Landscape {
    /// The organisations; the last entry is personal use.
    pub(super) orgs: Vec<Org>,
    pub(super) campaigns: [Campaign; 5],
    /// The number of users, all told.
    pub(super) users: u32,
    pub(super) days: i32,
    /// The weekday of the first day; 0 = Monday.
    first_weekday: i32,
    pub(super) seed: u64,
}

/// The campaign that brings the boom.
pub(super) const BOOM: usize = 1;
/// The campaign that only the users file names.
pub(super) const UNLISTED_CAMPAIGN: &str = "partner-referral";

// Headcounts and seats in use at shares of all organisations (in millionths): a long tail, made of straight pieces.
const SIZES: [(u64, u64, u64); 11] = [
    (0, 2, 2),
    (300_000, 10, 4),
    (550_000, 30, 6),
    (750_000, 100, 10),
    (880_000, 420, 18),
    (950_000, 1_500, 34),
    (980_000, 4_000, 60),
    (993_000, 12_000, 120),
    (998_000, 45_000, 230),
    (999_500, 160_000, 480),
    (1_000_000, 1_300_000, 1_600),
];
// Some organisations are set, so that a small landscape has large ones too: (number, place in the tail).
const SET_PLACES: [(u32, u64); 4] = [(0, 942_000), (1, 993_500), (2, 968_000), (1111, 999_950)];

impl Landscape {
    /// Lays out a plan's organisations. Error-free: a plan is checked before.
    pub(super) fn new(plan: &Plan, orgs: u32) -> Self {
        let days = i32::try_from(plan.days).unwrap_or(NEVER);
        let campaigns = campaigns(days);
        let mut first_user = 0_u32;
        let mut list = Vec::with_capacity(orgs as usize + 1);
        for number in 0..orgs {
            let org = org(plan.seed, number, first_user, days, campaigns[BOOM]);
            first_user = first_user.saturating_add(org.seats).saturating_add(org.boom);
            list.push(org);
        }
        let personal = personal_use(orgs, first_user);
        let users = first_user.saturating_add(personal.seats);
        list.push(personal);
        let first_weekday = (plan.first_day + 3).rem_euclid(7);
        Self { orgs: list, campaigns, users, days, first_weekday, seed: plan.seed }
    }

    /// The organisations that exist, without personal use.
    pub(super) fn companies(&self) -> &[Org] {
        &self.orgs[..self.orgs.len() - 1]
    }

    /// A day of registering, moved to Monday where nobody signs up on a weekend.
    pub(super) fn off_the_weekend(&self, org: &Org, day: i32) -> i32 {
        let weekday = (self.first_weekday + day % 7).rem_euclid(7);
        if weekday >= 5 && org.weekend < 450 && day >= 0 && day < NEVER { day + 7 - weekday } else { day }
    }

    /// The day at a share (in thousandths) of the range.
    pub(super) fn day_at(&self, per_mille: u32) -> i32 {
        day_at(self.days, per_mille)
    }
}

impl Org {
    /// Whether this is personal use.
    pub(super) fn is_personal(&self) -> bool {
        self.opens == -NEVER
    }

    /// The platform's own company: all its users are internal.
    pub(super) fn is_own_house(&self) -> bool {
        self.number == 0
    }

    /// Whether anybody may be at work there on a day.
    pub(super) fn is_open(&self, day: i32) -> bool {
        self.opens <= day && day <= self.closes && !(self.pause.0 <= day && day <= self.pause.1)
    }

    /// The level of integration that it works on.
    pub(super) fn level(&self, day: i32) -> u8 {
        self.path.iter().rev().find(|(from, _)| *from <= day).map_or(1, |(_, level)| *level)
    }
}

fn day_at(days: i32, per_mille: u32) -> i32 {
    i32::try_from(i64::from(days) * i64::from(per_mille) / 1000).unwrap_or(0)
}

fn campaigns(days: i32) -> [Campaign; 5] {
    let at = |per_mille| day_at(days, per_mille);
    let new =
        |id, name, start, end, cost, reward, streak_days| Campaign { id, name, start, end, cost, reward, streak_days };
    [
        new("winter-pilot", "Winter Pilot", -60, -30, "12000.00", "0", 15),
        new("spring-boom", "Spring Boom", at(200), at(370), "250000.00", "4.50", 15),
        new("bring-a-colleague", "Bring a Colleague", at(450), at(700), "40000", "2.00", 10),
        new("streak-sprint", "Check-in Sprint, 15 days", at(740), at(930), "18500.50", "9.99", 15),
        new("next-season", "Next Season", days + 20, days + 50, "5000", "1", 15),
    ]
}

// Headcount and seats at a place in the tail; organisations are spread evenly over it by the golden ratio, so that
// every landscape has its share of large ones.
fn size_at(place: u64) -> (u32, u32) {
    let next = SIZES.iter().position(|&(p, _, _)| p > place).unwrap_or(SIZES.len() - 1).max(1);
    let ((p0, h0, s0), (p1, h1, s1)) = (SIZES[next - 1], SIZES[next]);
    let between = |low: u64, high: u64| low + (high - low) * (place - p0) / (p1 - p0);
    let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    (count(between(h0, h1)), count(between(s0, s1)))
}

fn place(seed: u64, number: u32) -> u64 {
    if let Some((_, place)) = SET_PLACES.iter().find(|(set, _)| *set == number) {
        return *place;
    }
    let turn =
        seed.wrapping_mul(0xD1B5_4A32_D192_ED03).wrapping_add(u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    (turn >> 32) * 1_000_000 >> 32
}

fn org(seed: u64, number: u32, first_user: u32, days: i32, boom: Campaign) -> Org {
    let random = &mut Random::keyed(seed, Topic::Org, u64::from(number), 0);
    let (headcount, seats) = size_at(place(seed, number));
    let industry = random.pick(&[0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 7, 8, 9, 9, 10, 11]);
    let region = random.pick(&[0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5]);
    let edition = match headcount {
        0..100 => random.pick(&[0, 0, 0, 0, 1]),
        100..2000 => random.pick(&[0, 1, 1, 2]),
        _ => random.pick(&[1, 2, 2, 3]),
    };
    let is_large = headcount >= 2000;
    let style = match random.below(100) {
        _ if is_large => Style::Usual,
        0..72 => Style::Usual,
        72..86 => Style::Light,
        _ => Style::TwoApps,
    };
    let weekend = match industry {
        1 | 9 => random.between(500, 800),
        0 | 4 | 6 => random.between(200, 450),
        _ => random.between(40, 160),
    };
    let (registered, opens, closes) = life(random, number, days, boom, is_large);
    let pause = if !is_large && random.chance(70) {
        let start = random.below_signed(days.max(40));
        (start, start + random.between(30, 60).cast_signed())
    } else {
        (NEVER, NEVER)
    };
    let own_house = number == 0;
    let boom_users =
        if own_house || opens == NEVER || !random.chance(450) { 0 } else { random.below(seats * 12 / 10 + 1) };
    let seats = if industry == EDUCATION { seats * 2 } else { seats };
    let path = path(seed, number, opens, days, headcount);
    let lowcode = if path.iter().any(|step| step.1 >= 3) || random.chance(80) { random.between(0, 4) } else { 0 };
    Org {
        number,
        is_listed: number % 211 != 17,
        headcount: if random.chance(20) { 0 } else { headcount },
        industry,
        region,
        edition,
        style,
        registered,
        opens,
        closes,
        pause,
        first_user,
        seats,
        boom: boom_users,
        path,
        weekend: u16::try_from(weekend).unwrap_or(0),
        lowcode: u8::try_from(lowcode).unwrap_or(0),
    }
}

// When an organisation signs up, begins and ends. The first three are there from the start to the end.
fn life(random: &mut Random, number: u32, days: i32, boom: Campaign, is_large: bool) -> (i32, i32, i32) {
    if number < 3 {
        return (-700, -690, NEVER);
    }
    let boom_length = boom.end - boom.start + 1;
    let (registered, leave_share, half_life) = match random.below(100) {
        0..76 => (-1 - random.decay(240).min(2400), 180, 90),
        76..88 => (random.below_signed(days), 300, 40),
        // The boom brings many who do not stay.
        _ => (boom.start + random.below_signed(boom_length).min(random.below_signed(boom_length)), 620, 22),
    };
    let never_begins = !is_large && random.chance(130);
    if never_begins {
        return (registered, NEVER, NEVER);
    }
    let opens = registered + if random.chance(700) { 0 } else { random.decay(4) };
    let leaves = random.chance(if is_large { 20 } else { leave_share });
    let closes = if leaves { opens.max(0) + random.decay(half_life) } else { NEVER };
    // Paperwork that comes late: in use before it is registered.
    let registered = if random.chance(6) { opens + random.between(3, 20).cast_signed() } else { registered };
    (registered, opens, closes)
}

// The larger, the further. Half of those that were there before climb during the range; some fall back.
fn path(seed: u64, number: u32, opens: i32, days: i32, headcount: u32) -> [(i32, u8); 4] {
    let random = &mut Random::keyed(seed, Topic::Path, u64::from(number), 0);
    let ambition = match headcount {
        2000.. => 130,
        500.. => 60,
        30.. => 10,
        _ => 0,
    };
    let target: u8 = match random.below(1000).saturating_sub(ambition) {
        _ if number < 2 => 5,
        0..32 => 5,
        32..75 => 4,
        75..170 => 3,
        170..720 => 2,
        _ => 1,
    };
    let mut path = [(-NEVER, 1), (NEVER, 1), (NEVER, 1), (NEVER, 1)];
    let is_settled = number < 1 || (opens < 0 && random.chance(550));
    if is_settled {
        path[0].1 = target;
    } else {
        // From one or two levels below the target, a step every few weeks.
        let first = target.saturating_sub(2).max(1);
        path[0].1 = first;
        let mut day = opens.max(0);
        for (step, level) in path[1..].iter_mut().zip(first + 1..=target) {
            day = day.saturating_add(random.between(14, 42).cast_signed());
            *step = (day, level);
        }
    }
    if target >= 3 && number > 2 && random.chance(130) {
        let fall = days / 3 + random.below_signed(days / 2);
        for step in &mut path {
            if step.0 > fall {
                *step = (NEVER, 1);
            }
        }
        path[3] = (fall, random.between(1, u32::from(target) - 1).try_into().unwrap_or(1));
    }
    path
}

fn personal_use(orgs: u32, first_user: u32) -> Org {
    Org {
        number: orgs,
        is_listed: false,
        headcount: 0,
        industry: 3,
        region: 0,
        edition: 0,
        style: Style::Usual,
        registered: NEVER,
        opens: -NEVER,
        closes: NEVER,
        pause: (NEVER, NEVER),
        first_user,
        seats: orgs / 2 + 1,
        boom: 0,
        path: [(-NEVER, 1), (NEVER, 1), (NEVER, 1), (NEVER, 1)],
        weekend: 900,
        lowcode: 0,
    }
}

/// A company's name; equal for all its rows.
pub(super) fn name(seed: u64, org: &Org) -> String {
    if org.is_own_house() {
        return "Orgpulse Platform (own staff)".to_owned();
    }
    words::company(&mut Random::keyed(seed, Topic::Dimension, u64::from(org.number), 1), org.industry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_grow_along_the_tail() {
        assert_eq!(size_at(0), (2, 2));
        assert_eq!(size_at(300_000), (10, 4));
        let sizes: Vec<_> = (0..1000).map(|i| size_at(i * 1000).0).collect();
        assert!(sizes.is_sorted());
        assert!(size_at(999_999).0 > 1_000_000);
    }

    #[test]
    fn the_demo_has_companies_of_every_size_and_fate() {
        let plan = Plan::demo();
        let landscape = Landscape::new(&plan, plan.orgs);
        let orgs = landscape.companies();
        let count = |test: &dyn Fn(&Org) -> bool| orgs.iter().filter(|org| test(org)).count();
        for (floor, at_least) in [(100, 600), (500, 280), (2_000, 90), (10_000, 20), (100_000, 2), (1_000_000, 1)] {
            assert!(count(&|o| o.headcount >= floor) >= at_least, "{floor}");
        }
        let last = landscape.days - 1;
        assert!(count(&|o| o.closes < last) > 300, "churned");
        assert!(count(&|o| o.opens == NEVER) > 200, "never used");
        assert!(count(&|o| o.pause.1 < last && o.opens < o.pause.0) > 50, "resurrected");
        assert!(count(&|o| o.registered >= 0) > 500, "new");
        assert!(count(&|o| o.registered > o.opens) > 5, "active before it is registered");
        assert!(count(&|o| !o.is_listed) > 5, "unknown");
        assert!(count(&|o| o.boom > 0) > 500, "boom");
        for level in 1..=5 {
            assert!(count(&|o| o.is_open(last) && o.level(last) == level) >= 50, "level {level}");
        }
        assert!(count(&|o| o.level(0) < o.level(last)) > 100, "climbing");
        assert!(count(&|o| o.level(0) > o.level(last)) > 10, "falling");
    }
}

//! Jobs with keys of their own over random events: the SQL that chooses the events and the folds that count them,
//! together against the words of the keys.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::Tz;
use datafusion::scalar::ScalarValue;
use orgpulse::engine::{Engine, Parameters};
use orgpulse::frames::{Frame, Inputs, Job, Jobs};
use orgpulse::period::{WeekStart, day_of_date};
use orgpulse::settings::EngineSettings;
use orgpulse::store::{Packing, TableFiles, write_files};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::model::rate;
use super::{date, job, lines, table, write};

/// Clocks go forward on 29 March 2026 there, and back on 25 October.
const ZONE: Tz = chrono_tz::Europe::Berlin;

#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) at: DateTime<Utc>,
    pub(super) action: &'static str,
}

impl Event {
    pub(super) fn day(&self) -> NaiveDate {
        self.at.with_timezone(&ZONE).date_naive()
    }
}

/// Events and the range in which they are looked at.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) events: Vec<Event>,
    pub(super) first: NaiveDate,
    pub(super) as_of: NaiveDate,
    pub(super) sunday: bool,
}

fn worlds() -> impl Strategy<Value = World> {
    let minutes = prop_oneof![
        3 => 0..600_i64, 4 => 1300..1600_i64, 2 => Just(1440_i64), 3 => 1440..8000_i64, 2 => 9000..90_000_i64
    ];
    let action = prop::sample::select(vec!["open", "close", "buy"]);
    let history = prop::collection::vec((minutes, action), 1..14);
    let start = prop_oneof![Just("2026-03-20"), Just("2026-10-14")];
    (start, prop::collection::vec((0..20_000_i64, history), 0..10), 0..150_u64, any::<bool>()).prop_map(
        |(start, ids, length, sunday)| {
            let first = date(start);
            let midnight = ZONE.from_local_datetime(&first.and_time(NaiveTime::MIN)).unwrap().to_utc();
            let mut events = Vec::new();
            for (number, (begins, history)) in ids.into_iter().enumerate() {
                let mut at = midnight + TimeDelta::minutes(begins);
                for (minutes, action) in history {
                    at += TimeDelta::minutes(minutes);
                    events.push(Event { id: format!("id-{number}"), at, action });
                }
            }
            World { events, first, as_of: first + Days::new(length), sunday }
        },
    )
}

// What the machine gives.

/// An engine that knows what the queries of jobs read.
struct Desk {
    runtime: Runtime,
    engine: Engine,
}

impl Desk {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let settings = EngineSettings { threads: 2, ..EngineSettings::default() };
        let engine = runtime.block_on(Engine::start(&settings)).expect("an engine");
        Self { runtime, engine }
    }

    fn register(&self, root: &Path, name: &str, columns: Vec<(&str, ArrayRef)>) {
        let batch = RecordBatch::try_from_iter(columns).expect("a table");
        let schema = batch.schema();
        let file = write_files(root, None, &schema, &[], Packing::Fast, [Ok(batch)]).expect("written");
        let (name, root) = (name.to_owned(), root.to_owned());
        let files = file.into_iter().collect();
        let table = TableFiles { name, root, schema, by_day: false, sort_key: Vec::new(), version: None, files };
        self.engine.register(&table).expect("registered");
    }

    fn answer(&self, job: &Job, world: &World) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let frame = Frame {
            first_day: day_of_date(world.first),
            as_of: day_of_date(world.as_of),
            week_start: if world.sunday { WeekStart::Sunday } else { WeekStart::Monday },
            time_zone: ZONE,
        };
        let mut inputs = Inputs::new();
        let queries = job.event_queries();
        if queries.is_empty() {
            let visits: Vec<_> = world.events.iter().map(|event| ("user", event.id.clone(), event.day())).collect();
            write(&root.join("calendar.parquet"), &table(&visits));
            inputs.insert("activity_calendar".to_owned(), vec![root.join("calendar.parquet")]);
        } else {
            self.register_events(root, &world.events);
        }
        for query in queries {
            let parameters = parameters(frame);
            let (schema, batches) = self.runtime.block_on(async {
                let schema = self.engine.prepare(&query.sql, &parameters).await.expect("a plan").schema().clone();
                (schema, self.engine.collect(&query.sql, &parameters).await.expect("an answer"))
            });
            let file = write_files(
                root,
                None,
                &schema,
                &["month", "entity", "id"],
                Packing::Fast,
                batches.into_iter().map(Ok),
            );
            let file = file.expect("written").map(|file| root.join(file.path));
            inputs.insert(query.table, file.into_iter().collect());
        }
        let batch = Jobs::default().run(job, &inputs, frame).expect("a result");
        assert_eq!(batch.schema(), job.schema());
        lines(&batch)
    }

    fn register_events(&self, root: &Path, events: &[Event]) {
        let texts = |text: &dyn Fn(&Event) -> String| -> ArrayRef {
            Arc::new(events.iter().map(|event| Some(text(event))).collect::<StringArray>())
        };
        let empty = || texts(&|_| String::new());
        let instants = TimestampMicrosecondArray::from_iter_values(events.iter().map(|e| e.at.timestamp_micros()));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![0; events.len()]));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("event_id", empty()),
            ("ts", Arc::new(instants.with_timezone("UTC"))),
            ("user_id", texts(&|event| event.id.clone())),
            ("org_id", empty()),
            ("app_id", texts(&|_| "app".to_owned())),
            ("action", texts(&|event| event.action.to_owned())),
            ("duration_ms", numbers),
            ("concurrent_id", empty()),
            ("extra", empty()),
            ("day", Arc::new(Date32Array::from_iter_values(events.iter().map(|event| day_of_date(event.day()))))),
        ];
        self.register(root, "events", columns);
        let none = || -> ArrayRef { Arc::new(StringArray::from(Vec::<&str>::new())) };
        self.register(root, "excluded_actions", vec![("action", none())]);
        self.register(root, "excluded_apps", vec![("app_id", none())]);
        let flags: ArrayRef = Arc::new(BooleanArray::from(Vec::<bool>::new()));
        self.register(root, "users", vec![("user_id", none()), ("is_internal", flags)]);
    }
}

thread_local! {
    // An engine costs more to start than a case to answer.
    static DESK: Desk = Desk::new();
}

/// The rows of a job over a world, as lines of CSV.
pub(super) fn answer(job: &Job, world: &World) -> Vec<String> {
    DESK.with(|desk| desk.answer(job, world))
}

fn parameters(frame: Frame) -> Parameters {
    let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
    let all = [
        ("first_day", ScalarValue::Date32(Some(frame.first_day))),
        ("as_of", ScalarValue::Date32(Some(frame.as_of))),
        ("week_start", text(frame.week_start.name())),
        ("time_zone", text(frame.time_zone.name())),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

// What the words say.

/// Conditions by what they are in SQL and what they are here.
type Condition = (&'static str, fn(&Event) -> bool);

const CONDITIONS: [Condition; 4] = [
    ("true", |_| true),
    ("action = 'open'", |event| event.action == "open"),
    ("action <> 'buy' and user_id <> 'id-0'", |event| event.action != "buy" && event.id != "id-0"),
    ("nullif(action, 'close') = 'buy'", |event| event.action == "buy"),
];

/// The first days of the periods that hold the range, and the day after the last of them.
fn periods(grain: &str, world: &World) -> Vec<NaiveDate> {
    let begins = |day: NaiveDate| match grain {
        "week" => {
            let first = if world.sunday { Weekday::Sun } else { Weekday::Mon };
            (0..7).map(|back| day - Days::new(back)).find(|d| d.weekday() == first).expect("a week has all days")
        }
        "month" => day.with_day(1).expect("every month has a first"),
        _ => day,
    };
    let next = |begins: NaiveDate| match grain {
        "week" => begins + Days::new(7),
        "month" => begins + Months::new(1),
        "5d" => begins + Days::new(5),
        _ => begins + Days::new(1),
    };
    // Periods of five days begin on an origin that is the day before the range.
    let first = if grain == "5d" { world.first - Days::new(1) } else { begins(world.first) };
    let mut all = vec![first];
    while *all.last().expect("a period") <= world.as_of {
        all.push(next(*all.last().expect("a period")));
    }
    all
}

fn place(periods: &[NaiveDate], day: NaiveDate) -> usize {
    periods.windows(2).position(|pair| pair[0] <= day && day < pair[1]).expect("a period of the range")
}

/// The events of each id that a condition lets through, up to the report day.
fn chosen(world: &World, is: impl Fn(&Event) -> bool) -> BTreeMap<String, Vec<Event>> {
    let mut all = BTreeMap::<String, Vec<Event>>::new();
    for event in world.events.iter().filter(|event| event.day() <= world.as_of) {
        let of_id = all.entry(event.id.clone()).or_default();
        of_id.extend(is(event).then(|| event.clone()));
    }
    all
}

/// What has at least so many of the places.
fn often(places: impl Iterator<Item = usize>, least: usize) -> BTreeSet<usize> {
    let mut counts = BTreeMap::<usize, usize>::new();
    places.for_each(|place| *counts.entry(place).or_default() += 1);
    counts.into_iter().filter(|(_, count)| *count >= least).map(|(place, _)| place).collect()
}

/// The periods of each id in which it has at least so many events that meet a condition.
fn active(world: &World, periods: &[NaiveDate], is: fn(&Event) -> bool, least: usize) -> Vec<BTreeSet<usize>> {
    let ids = chosen(world, is).into_values();
    ids.map(|events| often(events.iter().map(|event| place(periods, event.day())), least)).collect()
}

#[derive(Debug, Clone)]
struct Question {
    filter: Condition,
    start: Condition,
    returns: Condition,
    least: usize,
    cohort: &'static str,
    from: u64,
    until: u64,
}

fn questions() -> impl Strategy<Value = Question> {
    let condition = || prop::sample::select(CONDITIONS.to_vec());
    let cohort = prop::sample::select(vec!["first_ever", "first_in_range", "recurring"]);
    (condition(), condition(), condition(), 1..4_usize, cohort, 0..30_u64, 0..60_u64).prop_map(
        |(filter, start, returns, least, cohort, from, length)| Question {
            filter,
            start,
            returns,
            least,
            cohort,
            from,
            until: from + length,
        },
    )
}

fn retention(world: &World, question: &Question, grain: &str, last: usize) -> Vec<String> {
    let (start, returns, filter) = (question.start.1, question.returns.1, question.filter.1);
    let range = match question.cohort {
        "first_ever" => (NaiveDate::MIN, NaiveDate::MAX),
        _ => (world.first + Days::new(question.from), world.first + Days::new(question.until)),
    };
    let periods = periods(grain, world);
    let count = periods.len() - 1;
    // Each membership: the cohort's place, and the ages at which the member was seen.
    let mut members: Vec<(usize, BTreeSet<usize>)> = Vec::new();
    for events in chosen(world, filter).into_values() {
        let starts = events.iter().filter(|event| start(event) && range.0 <= event.day() && event.day() <= range.1);
        let back = events.iter().filter(|event| returns(event));
        if grain == "24h" {
            if let Some(first) = starts.min_by_key(|event| event.at) {
                let windows = back.filter(|event| event.at >= first.at).map(|event| (event.at - first.at).num_days());
                let windows = windows.map(|window| usize::try_from(window).expect("not before"));
                members.push((place(&periods, first.day()), often(windows, question.least)));
            }
            continue;
        }
        let seen = often(back.map(|event| place(&periods, event.day())), question.least);
        let mut cohorts: BTreeSet<usize> = starts.map(|event| place(&periods, event.day())).collect();
        if question.cohort != "recurring" {
            cohorts = cohorts.first().copied().into_iter().collect();
        }
        members.extend(
            cohorts
                .into_iter()
                .map(|cohort| (cohort, seen.iter().filter_map(|period| period.checked_sub(cohort)).collect())),
        );
    }
    let mut rows = Vec::new();
    for cohort in members.iter().map(|member| member.0).collect::<BTreeSet<_>>() {
        let ages: Vec<_> = members.iter().filter(|member| member.0 == cohort).map(|member| &member.1).collect();
        for age in 0..=last.min(count - 1 - cohort) {
            let mature_on = if grain == "24h" {
                let ends = (periods[cohort] + Days::new(1)).and_time(NaiveTime::MIN);
                let ends = ZONE.from_local_datetime(&ends).unwrap()
                    + TimeDelta::days(i64::try_from(age).expect("a small number") + 1);
                (ends - TimeDelta::microseconds(1)).date_naive()
            } else {
                periods[cohort + age + 1] - Days::new(1)
            };
            let size = ages.len();
            let count = |is: &dyn Fn(&BTreeSet<usize>) -> bool| ages.iter().filter(|ages| is(ages)).count();
            let on = count(&|ages| ages.contains(&age));
            let after = count(&|ages| ages.range(age..).next().is_some());
            let before = count(&|ages| age > 0 && ages.range(1..=age).next().is_some());
            let cells = if mature_on > world.as_of {
                ",,,,,,false".to_owned()
            } else {
                let before_cells =
                    if age == 0 { [String::new(), String::new()] } else { [before.to_string(), rate(before, size)] };
                let [before, before_rate] = before_cells;
                format!("{on},{after},{before},{},{},{before_rate},true", rate(on, size), rate(after, size))
            };
            rows.push(format!("{grain},{},{age},{size},{cells},{mature_on}", periods[cohort]));
        }
    }
    rows
}

fn growth(world: &World, filter: Condition, least: usize, grain: &str) -> Vec<String> {
    let reach: usize = grain.strip_prefix("trailing_").map_or(1, |days| days.parse().expect("a number"));
    let periods = periods(grain, world);
    let ids = active(world, &periods, filter.1, least);
    let near = |seen: &BTreeSet<usize>, period: usize| {
        seen.range((period + 1).saturating_sub(reach)..=period).next().is_some()
    };
    let row = |period: usize| {
        let count = |is: &dyn Fn(&BTreeSet<usize>) -> bool| ids.iter().filter(|seen| is(seen)).count();
        let before = |seen: &BTreeSet<usize>| period > 0 && near(seen, period - 1);
        let new = count(&|seen| seen.first() == Some(&period));
        let back = count(&|seen| seen.contains(&period) && seen.first() != Some(&period) && !before(seen));
        let gone = count(&|seen| before(seen) && !near(seen, period));
        let now = count(&|seen| near(seen, period));
        let begins = periods[period];
        let window = begins - Days::new(reach as u64 - 1);
        let is_complete = window >= world.first && periods[period + 1] <= world.as_of + Days::new(1);
        let kept = now - new - back;
        format!("user,{grain},{begins},{now},{new},{kept},{back},{gone},{},{is_complete}", rate(new + back, gone))
    };
    (0..periods.len() - 1).map(row).collect()
}

fn stickiness(world: &World, filter: Condition, least: usize, grain: &str, window: usize) -> Vec<String> {
    let periods = periods(grain, world);
    let count = periods.len() - 1;
    let first = count.saturating_sub(window);
    let active: Vec<usize> =
        active(world, &periods, filter.1, least).iter().map(|seen| seen.range(first..).count()).collect();
    // A window that begins before the range is not complete; one of months or weeks may begin within its first period.
    let is_complete =
        count >= window && periods[count - window] >= world.first && periods[count] <= world.as_of + Days::new(1);
    let row = |wanted: usize| {
        let exactly = active.iter().filter(|number| **number == wanted).count();
        let at_least = active.iter().filter(|number| **number >= wanted).count();
        format!("user,{wanted},{exactly},{at_least},{is_complete}")
    };
    (1..=window).map(row).collect()
}

fn streaks(world: &World, filter: Condition, least: usize, grain: &str, lengths: usize) -> Vec<String> {
    let periods = periods(grain, world);
    let last = periods.len() - 2;
    let is_over = periods[last + 1] <= world.as_of + Days::new(1);
    let ids = active(world, &periods, filter.1, least);
    let ending = |seen: &BTreeSet<usize>, period: usize| (0..=period).rev().take_while(|at| seen.contains(at)).count();
    let longest: Vec<usize> =
        ids.iter().map(|seen| (0..=last).map(|end| ending(seen, end)).max().unwrap_or(0)).collect();
    let current = ids.iter().map(|seen| match ending(seen, last) {
        0 if !is_over && last > 0 => ending(seen, last - 1),
        run => run,
    });
    let current: Vec<usize> = current.collect();
    let row = |length: usize| {
        let exactly = |runs: &[usize]| runs.iter().filter(|run| **run == length).count();
        let at_least = |runs: &[usize]| runs.iter().filter(|run| **run >= length).count();
        let (longest, current) = (longest.as_slice(), current.as_slice());
        let counts = [exactly(longest), at_least(longest), exactly(current), at_least(current)];
        format!("user,{length},{}", counts.map(|count| count.to_string()).join(","))
    };
    (1..=lengths).map(row).collect()
}

fn trailing(world: &World, filter: Condition, least: usize, windows: &[u64]) -> Vec<String> {
    let days = periods("day", world);
    let ids = active(world, &days, filter.1, least);
    let row = |day: usize| {
        let count = |window: u64| {
            let from = (day + 1).saturating_sub(usize::try_from(window).expect("a small number"));
            ids.iter().filter(|seen| seen.range(from..=day).next().is_some()).count().to_string()
        };
        let counts: Vec<String> = [1].iter().chain(windows).map(|window| count(*window)).collect();
        format!("{},user,{}", days[day], counts.join(","))
    };
    (0..days.len() - 1).map(row).collect()
}

/// The keys of which events count; none if all do, so that the shared calendars are read.
fn keys(filter: Condition, least: usize) -> String {
    let condition = if filter.0 == "true" { String::new() } else { format!("filter = \"{}\"\n", filter.0) };
    format!("{condition}min_events = {least}\n")
}

fn origin(world: &World) -> String {
    format!("origin = {}\n", world.first - Days::new(1))
}

const GRAINS: [&str; 4] = ["day", "week", "month", "5d"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn retention_follows_its_keys(
        worlds in prop::collection::vec((worlds(), questions()), 2),
        grain in prop::sample::select(vec!["day", "week", "month", "5d", "24h"]),
        last in prop_oneof![Just(3_usize), Just(31), Just(64), Just(130)],
    ) {
        for (world, question) in &worlds {
            let recurring_windows = question.cohort == "recurring" && grain == "24h";
            let question = Question { cohort: if recurring_windows { "first_in_range" } else { question.cohort }, ..question.clone() };
            let mut keys = vec![
                "name = 'retention'\nentity = 'user'".to_owned(),
                format!("grains = {{ {grain} = {last} }}\ncohort = '{}'", question.cohort),
                format!("min_events = {}", question.least),
            ];
            if question.cohort != "first_ever" {
                let day = |days| world.first + Days::new(days);
                keys.push(format!("from = {}\nuntil = '{}'", day(question.from), day(question.until)));
            }
            keys.extend((grain == "5d").then(|| origin(world)));
            let conditions = [("filter", question.filter), ("start", question.start), ("return", question.returns)];
            let conditions = conditions.iter().filter(|(_, condition)| condition.0 != "true");
            keys.extend(conditions.map(|(key, condition)| format!("{key} = \"{}\"", condition.0)));
            let keys = keys.join("\n");
            prop_assert_eq!(answer(&job(&keys), world), retention(world, &question, grain, last), "{}", keys);
        }
    }

    #[test]
    fn growth_follows_its_keys(
        world in worlds(), filter in prop::sample::select(CONDITIONS.to_vec()), least in 1..3_usize,
        days in prop_oneof![1..70_u32, 60..140_u32],
    ) {
        let trailing = format!("trailing_{days}");
        let grains = ["5d", "day", "month", trailing.as_str(), "week"];
        let keys = format!("name = 'growth_accounting'\nentities = ['user']\ngrains = {grains:?}\n{}{}", origin(&world), keys(filter, least));
        let expected: Vec<String> = grains.iter().flat_map(|grain| growth(&world, filter, least, grain)).collect();
        prop_assert_eq!(answer(&job(&keys), &world), expected, "{}", keys);
    }

    #[test]
    fn stickiness_and_streaks_follow_their_keys(
        world in worlds(), filter in prop::sample::select(CONDITIONS.to_vec()), least in 1..3_usize,
        grain in prop::sample::select(GRAINS.to_vec()), number in prop_oneof![1..6_usize, 60..130_usize],
    ) {
        let origin = if grain == "5d" { origin(&world) } else { String::new() };
        let keys = format!("entities = ['user']\ngrain = '{grain}'\n{origin}{}", keys(filter, least));
        let asked = job(&format!("name = 'stickiness'\nwindow = {number}\n{keys}"));
        prop_assert_eq!(answer(&asked, &world), stickiness(&world, filter, least, grain, number), "{}", keys);
        let asked = job(&format!("name = 'streaks'\nlengths = {number}\n{keys}"));
        prop_assert_eq!(answer(&asked, &world), streaks(&world, filter, least, grain, number), "{}", keys);
    }

    #[test]
    fn trailing_activity_follows_its_keys(
        world in worlds(), filter in prop::sample::select(CONDITIONS.to_vec()), least in 1..3_usize,
        windows in prop::collection::btree_set(prop_oneof![2..70_u64, 60..200_u64], 1..4),
    ) {
        let windows: Vec<u64> = windows.into_iter().collect();
        let keys = format!("name = 'trailing_activity'\nentities = ['user']\nwindows = {windows:?}\n{}", keys(filter, least));
        prop_assert_eq!(answer(&job(&keys), &world), trailing(&world, filter, least, &windows), "{}", keys);
    }
}

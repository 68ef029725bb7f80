//! What each organisation's apps of a day say of deep integration. See `queries/states/integration_day/query.sql`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{BooleanArray, Date32Array, RecordBatch, StringArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::days::{by_month, chunks};
use super::divided::Making;
use super::pairs::{FileOfPairs, PERSONAL, Pairs};
use super::parts::Halted;
use super::{Frame, Inputs, batch, coded, texts};
use crate::columns::Wanted;
use crate::error::{Error, Result};
use crate::names::Names;
use crate::period::{Day, format_day};

const APPS: Wanted =
    Wanted { table: "apps", texts: &["app_id", "category", "system", "stage"], others: &["valid_from", "valid_until"] };
const DEFINITIONS: Wanted = Wanted { table: "deep_definitions", texts: &["excluded_categories"], others: &["day"] };

// What an app says of a day of its use, as bits.
const ELIGIBLE: u8 = 1;
const PRODUCTION: u8 = 2;
const STORE: u8 = 4;
const PROCESS: u8 = 8;
const FLOW: u8 = 16;
const DECIDE: u8 = 32;
const STAGES: [(&str, u8); 4] = [("store", STORE), ("process", PROCESS), ("flow", FLOW), ("decide", DECIDE)];

/// A row of the apps file.
#[derive(Debug)]
struct App {
    from: Day,
    until: Day,
    // Escaped, as it stands in a list.
    category: String,
    // By its number; none counts for no app.
    system: u32,
    facts: u8,
}

/// What is known of apps, and what is excluded on which day.
struct Apps {
    rows: HashMap<String, Arc<[App]>>,
    // Escaped; number [`NONE`] is the empty text.
    systems: Names,
    excluded: HashMap<Day, Arc<BTreeSet<String>>>,
}

/// The facts of an app, and its system.
type Fact = (u8, u32);

// No system.
const NONE: u32 = 0;

/// A row of the result.
struct OrgDay {
    day: Day,
    org: u32,
    facts: u8,
    // The number of its list of systems.
    systems: u32,
}

/// What is found out of the shared ids from day to day.
struct Sweep {
    apps: Apps,
    // By the number of an app: its rows, and what it says until a day.
    rows: Vec<Arc<[App]>>,
    facts: Vec<Option<(Day, Fact)>>,
    // What is excluded where these hold.
    excluded: Option<Arc<BTreeSet<String>>>,
    // By pair: the organisation and the app.
    ids: Vec<(u32, u32)>,
    lists: Arc<Mutex<Lists>>,
}

/// Lists of systems, parted by `;`.
#[derive(Default)]
struct Lists {
    // By the systems, in the order of their names.
    numbers: HashMap<Box<[u32]>, u32>,
    texts: Vec<String>,
}

/// The organisations with an event on each day.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef, pairs: &Arc<Pairs>) -> Halted<Making> {
    let lists = Arc::default();
    let mut sweep = Sweep::new(Apps::read(inputs)?, Arc::clone(&lists));
    let (pairs, schema) = (Arc::clone(pairs), Arc::clone(schema));
    let is_wanted = move |day: Day| day >= frame.wanted.0 && day <= frame.wanted.1;
    let all_pairs = Arc::clone(&pairs);
    let days = pairs.days(inputs)?.filter_map(move |day| match day {
        Ok((day, files)) => is_wanted(day).then(|| {
            sweep.learn(&pairs);
            Ok(sweep.of_day(day, &files, &pairs)?)
        }),
        Err(error) => Some(Err(error)),
    });
    let rows = by_month(days, move |orgs| {
        let names = texts(&all_pairs.known().orgs);
        let lists = StringArray::from_iter_values(&lock(&lists).texts);
        of_month(orgs, &names, &lists, &schema)
    });
    Ok(Box::new(rows))
}

impl Apps {
    fn read(inputs: &Inputs) -> Result<Self> {
        let mut apps: HashMap<String, Vec<App>> = HashMap::new();
        let mut numbers = Names::default();
        numbers.number(0, "");
        for chunk in chunks(APPS, inputs)? {
            let chunk = chunk?;
            let text = |name| Ok::<_, Error>(chunk.texts(name)?.each(|text| text));
            let (ids, categories) = (text("app_id")?, text("category")?);
            let systems = chunk.texts("system")?.each(|system| numbers.number(0, &escaped(system)));
            let facts = chunk.texts("stage")?.each(facts_of_stages);
            let (from, until) = (chunk.days("valid_from")?, chunk.days("valid_until")?);
            for row in 0..chunk.rows() {
                apps.entry_ref(ids.of(row)).or_default().push(App {
                    from: from[row],
                    until: until[row],
                    category: escaped(categories.of(row)),
                    system: systems.of(row),
                    facts: facts.of(row),
                });
            }
        }
        let mut excluded = HashMap::new();
        let mut last: Option<(String, Arc<BTreeSet<String>>)> = None;
        for chunk in chunks(DEFINITIONS, inputs)? {
            let chunk = chunk?;
            let lists = chunk.texts("excluded_categories")?.each(|list| list);
            for (row, &day) in chunk.days("day")?.iter().enumerate() {
                let list = lists.of(row);
                let set = match &last {
                    Some((known, set)) if known == list => Arc::clone(set),
                    _ => Arc::new(list.split(';').map(str::to_owned).collect()),
                };
                last = Some((list.to_owned(), Arc::clone(&set)));
                excluded.insert(day, set);
            }
        }
        let rows = apps.into_iter().map(|(app, rows)| (app, rows.into())).collect();
        Ok(Self { rows, systems: numbers, excluded })
    }
}

impl Sweep {
    fn new(apps: Apps, lists: Arc<Mutex<Lists>>) -> Self {
        Self { apps, rows: Vec::new(), facts: Vec::new(), excluded: None, ids: Vec::new(), lists }
    }

    /// Looks up the apps that were met since.
    fn learn(&mut self, pairs: &Pairs) {
        pairs.learn(&mut self.ids);
        let rows = |app: &str| self.apps.rows.get(app).cloned().unwrap_or_default();
        self.rows.extend(pairs.known().others.texts_after(self.rows.len()).map(rows));
        self.facts.resize(self.rows.len(), None);
    }

    fn of_day(&mut self, day: Day, files: &[Arc<FileOfPairs>], pairs: &Pairs) -> Result<(Day, Vec<OrgDay>)> {
        let unknown = || Error::Internal(format!("no definition of deep integration holds on {}", format_day(day)));
        let excluded = self.apps.excluded.get(&day).ok_or_else(unknown)?;
        if self.excluded.as_ref().is_none_or(|before| before != excluded) {
            self.facts.fill(None);
            self.excluded = Some(Arc::clone(excluded));
        }
        let mut orgs: Vec<OrgDay> = Vec::new();
        let (mut systems, mut lists) = (Vec::new(), lock(&self.lists));
        for (org, rows) in files.iter().flat_map(|file| file.by_org()).filter(|(org, _)| *org != PERSONAL) {
            let mut facts = None;
            systems.clear();
            for row in rows.iter().filter(|row| row.is_human() || row.is_marked()) {
                let app = self.ids[row.pair()].1 as usize;
                let (fact, system) = match self.facts[app] {
                    Some((until, fact)) if day <= until => fact,
                    _ => self.facts[app].insert(fact(&self.rows[app], day, excluded)).1,
                };
                facts = Some(facts.unwrap_or(0) | fact);
                if system != NONE && !systems.contains(&system) {
                    systems.push(system);
                }
            }
            if let Some(facts) = facts {
                orgs.push(OrgDay { day, org, facts, systems: lists.number(&mut systems, &self.apps.systems) });
            }
        }
        // A large day has several files, and no organisation is in two of them.
        if files.len() > 1 {
            let known = pairs.known();
            orgs.sort_unstable_by_key(|org| known.orgs.text(org.org));
        }
        Ok((day, orgs))
    }
}

// What an app says on a day, and the last day on which it says so.
fn fact(rows: &[App], day: Day, excluded: &BTreeSet<String>) -> (Day, Fact) {
    let Some(row) = rows.iter().find(|row| row.from <= day && day <= row.until) else {
        // An app that nothing is known of is no sign of chat or payroll only.
        let until = rows.iter().filter(|row| row.from > day).map(|row| row.from - 1).min().unwrap_or(Day::MAX);
        return (until, (ELIGIBLE, NONE));
    };
    let fact = match row {
        row if row.category.is_empty() => (ELIGIBLE, NONE),
        row if excluded.contains(&row.category) => (0, NONE),
        row if row.system == NONE => (ELIGIBLE | row.facts, NONE),
        row => (ELIGIBLE | PRODUCTION | row.facts, row.system),
    };
    (row.until, fact)
}

impl Lists {
    /// The number of the list of some systems.
    fn number(&mut self, systems: &mut [u32], names: &Names) -> u32 {
        systems.sort_unstable_by_key(|system| names.text(*system));
        *self.numbers.entry_ref(&*systems).or_insert_with(|| {
            self.texts.push(systems.iter().map(|system| names.text(*system)).collect::<Vec<_>>().join(";"));
            u32::try_from(self.texts.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

fn lock(lists: &Mutex<Lists>) -> MutexGuard<'_, Lists> {
    lists.lock().unwrap_or_else(PoisonError::into_inner)
}

fn of_month(orgs: &[OrgDay], names: &StringArray, lists: &StringArray, schema: &SchemaRef) -> Result<RecordBatch> {
    let has = |bit: u8| {
        let has = |place: usize| orgs[place].facts & bit != 0;
        Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(orgs.len(), has), None))
    };
    batch(
        schema,
        vec![
            Arc::new(Date32Array::from_iter_values(orgs.iter().map(|org| org.day))),
            Arc::new(coded(names, orgs.iter().map(|org| org.org))?),
            has(ELIGIBLE),
            has(PRODUCTION),
            has(STORE),
            has(PROCESS),
            has(FLOW),
            has(DECIDE),
            Arc::new(coded(lists, orgs.iter().map(|org| org.systems))?),
        ],
    )
}

fn facts_of_stages(stages: &str) -> u8 {
    let named = STAGES.iter().filter(|(name, _)| stages.split(';').any(|stage| stage == *name));
    named.fold(0, |facts, (_, bit)| facts | bit)
}

// A name as it stands in a list whose entries are parted by `;`.
fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace(';', "%3B")
}

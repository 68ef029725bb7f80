//! What each organisation's apps of a day say of deep integration. See `queries/states/integration_day/query.sql`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{BooleanArray, Date32Array, RecordBatch, StringArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::days::read;
use super::pairs::{FileOfPairs, Known, PERSONAL, Row};
use super::{Frame, Inputs, Rows, Shared, batch, files_of};
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
    rows: HashMap<String, Vec<App>>,
    // Escaped; number [`NONE`] is the empty text.
    systems: Names,
    excluded: HashMap<Day, Arc<BTreeSet<String>>>,
}

/// The facts of an app on a day, and its system.
type Fact = (u8, u32);

// No system.
const NONE: u32 = 0;

/// A row of the result.
struct OrgDay<'a> {
    org: u32,
    facts: u8,
    systems: Cow<'a, str>,
}

/// The organisations with an event on each day.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef, shared: &Shared) -> Result<Option<Rows>> {
    let apps = Apps::read(inputs)?;
    let (pairs, schema) = (Arc::clone(&shared.apps), Arc::clone(schema));
    let is_wanted = move |day: Day| day >= frame.wanted.0 && day <= frame.wanted.1;
    let rows = pairs.days(inputs)?.filter_map(move |day| match day {
        Ok((day, files)) => is_wanted(day).then(|| apps.of_day(day, &files, &pairs.known(), &schema)),
        Err(error) => Some(Err(error)),
    });
    Ok(Some(Box::new(rows)))
}

impl Apps {
    fn read(inputs: &Inputs) -> Result<Self> {
        let mut apps: HashMap<String, Vec<App>> = HashMap::new();
        let mut numbers = Names::default();
        numbers.number(0, "");
        for chunk in read(APPS, files_of(inputs, APPS.table)?)? {
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
        for chunk in read(DEFINITIONS, files_of(inputs, DEFINITIONS.table)?)? {
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
        Ok(Self { rows: apps, systems: numbers, excluded })
    }

    fn fact(&self, app: &str, day: Day, excluded: &BTreeSet<String>) -> Fact {
        let rows = self.rows.get(app).map(Vec::as_slice).unwrap_or_default();
        match rows.iter().find(|row| row.from <= day && day <= row.until) {
            // An app that nothing is known of is no sign of chat or payroll only.
            None => (ELIGIBLE, NONE),
            Some(row) if row.category.is_empty() => (ELIGIBLE, NONE),
            Some(row) if excluded.contains(&row.category) => (0, NONE),
            Some(row) if row.system == NONE => (ELIGIBLE | row.facts, NONE),
            Some(row) => (ELIGIBLE | PRODUCTION | row.facts, row.system),
        }
    }

    fn of_day(&self, day: Day, files: &[Arc<FileOfPairs>], known: &Known, schema: &SchemaRef) -> Result<RecordBatch> {
        let unknown = || Error::Internal(format!("no definition of deep integration holds on {}", format_day(day)));
        let excluded = self.excluded.get(&day).ok_or_else(unknown)?;
        let mut facts_of: Vec<Option<Fact>> = vec![None; known.others.len()];
        let mut orgs: Vec<OrgDay> = Vec::new();
        let mut systems: Vec<u32> = Vec::new();
        for file in files {
            let same_org = |one: &Row, next: &Row| known.ids[one.pair()].0 == known.ids[next.pair()].0;
            for rows in file.rows.chunk_by(same_org) {
                let mut facts = None;
                systems.clear();
                for row in rows.iter().filter(|row| row.is_human() || row.is_marked()) {
                    let app = known.ids[row.pair()].1;
                    let fact = || self.fact(known.others.text(app), day, excluded);
                    let (fact, system) = *facts_of[app as usize].get_or_insert_with(fact);
                    facts = Some(facts.unwrap_or(0) | fact);
                    if system != NONE && !systems.contains(&system) {
                        systems.push(system);
                    }
                }
                let org = rows.first().map_or(PERSONAL, |row| known.ids[row.pair()].0);
                if let Some(facts) = facts.filter(|_| org != PERSONAL) {
                    orgs.push(OrgDay { org, facts, systems: self.joined(&systems) });
                }
            }
        }
        // A large day has several files, and no organisation is in two of them.
        if files.len() > 1 {
            orgs.sort_unstable_by_key(|org| known.orgs.text(org.org));
        }
        let has = |bit: u8| {
            let has = |place: usize| orgs[place].facts & bit != 0;
            Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(orgs.len(), has), None))
        };
        batch(
            schema,
            vec![
                Arc::new(Date32Array::from_value(day, orgs.len())),
                Arc::new(StringArray::from_iter_values(orgs.iter().map(|org| known.orgs.text(org.org)))),
                has(ELIGIBLE),
                has(PRODUCTION),
                has(STORE),
                has(PROCESS),
                has(FLOW),
                has(DECIDE),
                Arc::new(StringArray::from_iter_values(orgs.iter().map(|org| &org.systems))),
            ],
        )
    }

    fn joined(&self, systems: &[u32]) -> Cow<'_, str> {
        match systems {
            [] => Cow::Borrowed(""),
            [system] => Cow::Borrowed(self.systems.text(*system)),
            many => {
                let mut names = many.iter().map(|system| self.systems.text(*system)).collect::<Vec<_>>();
                names.sort_unstable();
                Cow::Owned(names.join(";"))
            }
        }
    }
}

fn facts_of_stages(stages: &str) -> u8 {
    let named = STAGES.iter().filter(|(name, _)| stages.split(';').any(|stage| stage == *name));
    named.fold(0, |facts, (_, bit)| facts | bit)
}

// A name as it stands in a list whose entries are parted by `;`.
fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace(';', "%3B")
}

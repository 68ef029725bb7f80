//! What each organisation's apps of a day say of deep integration. See `queries/states/integration_day/query.sql`.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{BooleanArray, Date32Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::days::{days, read, side_by_side};
use super::orgs::{numbers, runs};
use super::{Frame, Input, Inputs, Rows, batch, files_of};
use crate::columns::Wanted;
use crate::error::{Error, Result};
use crate::period::{Day, format_day};

const USE: Wanted =
    Wanted { table: "org_app_day", texts: &["org_id", "app_id"], others: &["human_events", "machine_events"] };
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
    category: String,
    // Escaped, as it stands in a list.
    system: String,
    facts: u8,
}

/// What is known of apps, and what is excluded on which day.
struct Known {
    apps: HashMap<String, Vec<App>>,
    excluded: HashMap<Day, Arc<BTreeSet<String>>>,
}

/// A row of the result.
struct OrgDay<'a> {
    org: &'a str,
    facts: u8,
    systems: String,
}

/// The organisations with an event on each day.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef) -> Result<Option<Rows>> {
    let known = Known::read(inputs)?;
    let mut work = days(files_of(inputs, USE.table)?)?;
    work.retain(|(day, _)| *day >= frame.wanted.0 && *day <= frame.wanted.1);
    let schema = Arc::clone(schema);
    Ok(Some(Box::new(side_by_side(work, move |(day, files)| known.of_day(*day, files, &schema)))))
}

impl Known {
    fn read(inputs: &Inputs) -> Result<Self> {
        let mut apps: HashMap<String, Vec<App>> = HashMap::new();
        for chunk in read(APPS, files_of(inputs, APPS.table)?)? {
            let text = |name| Ok::<_, Error>(chunk.texts(name)?.each(|text| text));
            let (ids, categories, systems) = (text("app_id")?, text("category")?, text("system")?);
            let facts = chunk.texts("stage")?.each(facts_of_stages);
            let (from, until) = (chunk.days("valid_from")?, chunk.days("valid_until")?);
            for row in 0..chunk.rows() {
                apps.entry_ref(ids.of(row)).or_default().push(App {
                    from: from[row],
                    until: until[row],
                    category: categories.of(row).to_owned(),
                    system: escaped(systems.of(row)),
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
        Ok(Self { apps, excluded })
    }

    /// The facts of an app on a day, and its system if that counts.
    fn fact(&self, app: &str, day: Day, excluded: &BTreeSet<String>) -> (u8, &str) {
        let rows = self.apps.get(app).map(Vec::as_slice).unwrap_or_default();
        match rows.iter().find(|row| row.from <= day && day <= row.until) {
            // An app that nothing is known of is no sign of chat or payroll only.
            None => (ELIGIBLE, ""),
            Some(row) if row.category.is_empty() => (ELIGIBLE, ""),
            Some(row) if excluded.contains(&escaped(&row.category)) => (0, ""),
            Some(row) if row.system.is_empty() => (ELIGIBLE | row.facts, ""),
            Some(row) => (ELIGIBLE | PRODUCTION | row.facts, &row.system),
        }
    }

    fn of_day(&self, day: Day, files: &[Input], schema: &SchemaRef) -> Result<RecordBatch> {
        let unknown = || Error::Internal(format!("no definition of deep integration holds on {}", format_day(day)));
        let excluded = self.excluded.get(&day).ok_or_else(unknown)?;
        let chunks = read(USE, files)?;
        let apps = chunks.iter().map(|chunk| Ok(chunk.texts("app_id")?.each(|app| self.fact(app, day, excluded))));
        let apps = apps.collect::<Result<Vec<_>>>()?;
        let (human, machine) = (numbers(&chunks, "human_events")?, numbers(&chunks, "machine_events")?);
        let mut orgs = Vec::new();
        let mut systems: Vec<&str> = Vec::new();
        for same in runs(&chunks)?.chunk_by(|one, other| one.org == other.org) {
            let mut facts = None;
            systems.clear();
            for run in same {
                let (human, machine, apps) = (human[run.chunk], machine[run.chunk], &apps[run.chunk]);
                for row in run.rows.clone() {
                    if human[row] + machine[row] == 0 {
                        continue;
                    }
                    let (fact, system) = apps.of(row);
                    facts = Some(facts.unwrap_or(0) | fact);
                    if !system.is_empty() && !systems.contains(&system) {
                        systems.push(system);
                    }
                }
            }
            if let (Some(facts), Some(run)) = (facts, same.first()) {
                systems.sort_unstable();
                orgs.push(OrgDay { org: run.org, facts, systems: systems.join(";") });
            }
        }
        let has = |bit: u8| Arc::new(orgs.iter().map(|org| Some(org.facts & bit != 0)).collect::<BooleanArray>());
        batch(
            schema,
            vec![
                Arc::new(Date32Array::from_value(day, orgs.len())),
                Arc::new(StringArray::from_iter_values(orgs.iter().map(|org| org.org))),
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
}

fn facts_of_stages(stages: &str) -> u8 {
    let named = STAGES.iter().filter(|(name, _)| stages.split(';').any(|stage| stage == *name));
    named.fold(0, |facts, (_, bit)| facts | bit)
}

// A name as it stands in a list whose entries are parted by `;`.
fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace(';', "%3B")
}

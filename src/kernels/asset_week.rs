//! The connectors and low-code apps that organisations used in each week. See `queries/states/asset_week/query.sql`.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Date32Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::days::{FilesOfDay, periods, read, side_by_side};
use super::orgs::{numbers, runs};
use super::{Frame, Inputs, Rows, batch, files_of};
use crate::columns::Wanted;
use crate::error::Result;
use crate::period::{Day, Grain};

const USE: Wanted =
    Wanted { table: "org_app_day", texts: &["org_id", "app_id"], others: &["human_events", "machine_events"] };
const APPS: Wanted = Wanted { table: "apps", texts: &["app_id", "category"], others: &["valid_from", "valid_until"] };
const KINDS: [&str; 2] = ["connector", "lowcode"];

/// The days on which an app is of a kind.
type Stretch = (Day, Day, &'static str);

/// An organisation, a kind and an app of it.
type Asset<'a> = (String, &'static str, &'a str);

/// The assets of each week.
pub(super) fn run(inputs: &Inputs, frame: Frame, schema: &SchemaRef) -> Result<Option<Rows>> {
    let mut apps: HashMap<String, Vec<Stretch>> = HashMap::new();
    for chunk in read(APPS, files_of(inputs, APPS.table)?)? {
        let ids = chunk.texts("app_id")?.each(|id| id);
        let kinds = chunk.texts("category")?.each(|category| KINDS.into_iter().find(|kind| *kind == category));
        let (from, until) = (chunk.days("valid_from")?, chunk.days("valid_until")?);
        for row in 0..chunk.rows() {
            if let Some(kind) = kinds.of(row) {
                apps.entry_ref(ids.of(row)).or_default().push((from[row], until[row], kind));
            }
        }
    }
    let mut work = periods(files_of(inputs, USE.table)?, Grain::Week(frame.week_start))?;
    work.retain(|week, _| *week >= frame.wanted.0 && *week <= frame.wanted.1);
    let (work, schema) = (work.into_iter().collect(), Arc::clone(schema));
    Ok(Some(Box::new(side_by_side(work, move |(week, days)| of_week(*week, days, &apps, &schema)))))
}

fn of_week(
    week: Day,
    days: &[FilesOfDay],
    apps: &HashMap<String, Vec<Stretch>>,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let mut assets: BTreeSet<Asset<'_>> = BTreeSet::new();
    for (day, files) in days {
        let chunks = read(USE, files)?;
        let asset = |app: &str| {
            let (app, stretches) = apps.get_key_value(app)?;
            let of_day = stretches.iter().find(|(from, until, _)| from <= day && day <= until);
            of_day.map(|&(_, _, kind)| (kind, app.as_str()))
        };
        let known = chunks.iter().map(|chunk| Ok(chunk.texts("app_id")?.each(asset))).collect::<Result<Vec<_>>>()?;
        let (human, machine) = (numbers(&chunks, "human_events")?, numbers(&chunks, "machine_events")?);
        for run in runs(&chunks)? {
            let (human, machine, known) = (human[run.chunk], machine[run.chunk], &known[run.chunk]);
            let used = run.rows.filter(|&row| human[row] + machine[row] > 0);
            assets.extend(used.filter_map(|row| known.of(row)).map(|(kind, app)| (run.org.to_owned(), kind, app)));
        }
    }
    batch(
        schema,
        vec![
            Arc::new(Date32Array::from_value(week, assets.len())),
            Arc::new(StringArray::from_iter_values(assets.iter().map(|(org, _, _)| org))),
            Arc::new(StringArray::from_iter_values(assets.iter().map(|(_, kind, _)| kind))),
            Arc::new(StringArray::from_iter_values(assets.iter().map(|(_, _, app)| app))),
        ],
    )
}

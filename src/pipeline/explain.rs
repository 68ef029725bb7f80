//! From a number of a report down to events: the row, the settings that it depends on, and the evidence behind it, each
//! step tied to the one before.

use std::collections::BTreeMap;

use arrow::array::{Array, RecordBatch};
use arrow::util::display::array_value_to_string;
use datafusion::scalar::ScalarValue;

use super::org::{KNOWN, check_known};
use super::run::{Ground, lay_ground};
use super::{RunOrder, prepare};
use crate::catalog::{Catalog, Column, Group, IN_REPORT, Query};
use crate::engine::{Engine, Parameters};
use crate::error::{Error, Result};
use crate::evidence::{self, Address, Cell, Held, Question, Rows, Step};
use crate::metrics;
use crate::period::{Day, format_day};
use crate::settings::Settings;

// So many keys are named where one does not exist.
const NEAREST: usize = 5;

/// A number and what it is made of.
#[derive(Debug)]
pub struct Explanation<'a> {
    /// The metric.
    pub metric: &'a Query,
    /// The column asked for.
    pub number: &'a Column,
    /// The columns that tell the row, and their values.
    pub key: Vec<(String, String)>,
    /// What narrows the steps beyond the row.
    pub narrowed: Vec<(String, Cell)>,
    /// The report day.
    pub as_of: String,
    /// The row of the report; none if the evidence says why it is not there.
    pub row: Rows<'a>,
    /// The value asked for, as the report shows it; `None` without a row.
    pub value: Option<Cell>,
    /// The settings that the metric depends on, as they hold on `settings_day`.
    pub settings: Vec<Setting>,
    /// The last day of the row's period.
    pub settings_day: String,
    /// The evidence, from the report down.
    pub steps: Vec<Explained<'a>>,
    /// Evidence that is shown when more is pinned.
    pub open: Vec<Open<'a>>,
}

/// A setting in force.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    /// Its name, as in the settings file.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The first day on which this value holds; `None` = from the beginning.
    pub since: Option<String>,
}

/// A step with its rows, and how they add up to the step before.
#[derive(Debug)]
pub struct Explained<'a> {
    /// The rows.
    pub rows: Rows<'a>,
    /// What was held against what it is behind of.
    pub ties: Vec<Held>,
}

/// A step that was not taken.
#[derive(Debug)]
pub struct Open<'a> {
    /// The evidence.
    pub query: &'a Query,
    /// What must be pinned for it.
    pub needs: Vec<&'a str>,
}

/// Explains a number. Computes what it needs through the kept results, and publishes nothing.
///
/// `Error::Usage` if the question picks no row, `Error::Data` if a step does not add up to the one before.
pub async fn explain<'a>(
    settings: &Settings,
    engine: &Engine,
    catalog: &'a Catalog,
    question: &Question,
) -> Result<Explanation<'a>> {
    let metric = catalog.metric(&question.metric)?;
    let number = question.number(metric)?.to_owned();
    let order = RunOrder { as_of: question.report_day(metric)?, ..RunOrder::default() };
    let mut ground = lay_ground(settings, engine, &order).await?;
    let (_, as_of) = ground.range.ok_or_else(|| {
        Error::Usage("no day is observed up to the report day, so there is no number to explain".to_owned())
    })?;
    let steps = evidence::chain(catalog, metric, &number);
    let address = question.address(metric, &steps, as_of, settings.report.week_start)?;
    let (steps, open) = within_reach(steps, &address);
    let wanted = steps.iter().map(|step| step.query.name.as_str()).chain([metric.name.as_str(), KNOWN]);
    let here = prepare(settings, engine, catalog, &wanted.collect::<Vec<_>>(), &mut ground.metrics).await?;
    let engine = here.as_ref().unwrap_or(engine);

    if let Some(Cell::Text(org_id)) = address.get("org_id")
        && !org_id.is_empty()
    {
        check_known(engine, catalog, &ground.metrics.parameters, org_id).await?;
    }
    let row = report_row(engine, metric, &steps, &address, &ground).await?;
    let explained = follow(engine, &steps, &row, &address, &ground.metrics.parameters).await?;
    let day = address.last_day(metric, as_of, settings.report.week_start);
    let pinned = |name: &String| address.get(name).map(|cell| (name.clone(), cell.clone()));
    let value = if row.batch.num_rows() == 0 { None } else { row.cells(&number)?.pop() };
    Ok(Explanation {
        metric,
        number: metric
            .columns
            .iter()
            .find(|column| column.name == number)
            .ok_or_else(|| Error::Internal(format!("`{}` lost its column `{number}`", metric.name)))?,
        key: metric.key.iter().filter_map(pinned).map(|(name, cell)| (name, cell.to_string())).collect(),
        narrowed: address.beyond(&metric.key),
        as_of: format_day(as_of),
        value,
        row,
        settings: in_force(settings, engine, catalog, metric, day).await?,
        settings_day: format_day(day),
        steps: explained,
        open,
    })
}

/// The rows of a query that is asked with arguments, given as text by their names.
pub async fn answer(
    settings: &Settings,
    engine: &Engine,
    catalog: &Catalog,
    query: &Query,
    arguments: &BTreeMap<String, String>,
    as_of: Option<Day>,
) -> Result<RecordBatch> {
    let order = RunOrder { as_of, ..RunOrder::default() };
    let mut ground = lay_ground(settings, engine, &order).await?;
    let address = Address::of_arguments(query, arguments)?;
    let here = prepare(settings, engine, catalog, &[query.name.as_str()], &mut ground.metrics).await?;
    let engine = here.as_ref().unwrap_or(engine);
    metrics::answer(engine, query, &address.bind(query, &ground.metrics.parameters)?).await
}

// The steps whose arguments are all pinned, with what they lead to; a step behind one that is not taken is not named.
fn within_reach<'a>(steps: Vec<Step<'a>>, address: &Address) -> (Vec<Step<'a>>, Vec<Open<'a>>) {
    let (mut taken, mut open): (Vec<Step>, Vec<Open>) = (Vec::new(), Vec::new());
    for mut step in steps {
        step.links.retain(|link| {
            link.of.group == Group::Metric || taken.iter().any(|taken| taken.query.name == link.of.name)
        });
        if step.links.is_empty() {
            continue;
        }
        let needs = address.open(step.query);
        if needs.is_empty() {
            taken.push(step);
        } else {
            open.push(Open { query: step.query, needs });
        }
    }
    (taken, open)
}

async fn report_row<'a>(
    engine: &Engine,
    metric: &'a Query,
    steps: &[Step<'a>],
    address: &Address,
    ground: &Ground,
) -> Result<Rows<'a>> {
    let (condition, parameters) = address.condition(&metric.key);
    let sql = format!("SELECT * FROM {} WHERE {condition}", metric.name);
    let batch = metrics::select(engine, metric, &sql, &parameters).await?;
    let mut links = steps.iter().flat_map(|step| &step.links).filter(|link| link.of.name == metric.name);
    let may_be_absent = links.any(|link| link.behind.ties.iter().any(|tie| tie.column == IN_REPORT));
    let is_observed = match (address.get("day"), ground.range) {
        (Some(Cell::Day(day)), Some((first, last))) => (first..=last).contains(day),
        _ => true,
    };
    if batch.num_rows() > 0 || may_be_absent && is_observed {
        return Ok(Rows { query: metric, batch });
    }
    Err(no_such_row(engine, metric, address).await?)
}

// The first column of the key whose value does not occur beside those before it, with the closest that do.
async fn no_such_row(engine: &Engine, metric: &Query, address: &Address) -> Result<Error> {
    for (place, name) in metric.key.iter().enumerate() {
        let (condition, parameters) = address.condition(&metric.key[..place]);
        let known = distinct(engine, metric, name, &condition, &parameters).await?;
        let wanted = address.get(name).unwrap_or(&Cell::Empty);
        if known.contains(wanted) {
            continue;
        }
        let nearest: Vec<String> =
            evidence::nearest(wanted, known, NEAREST).iter().map(|cell| format!("`{cell}`")).collect();
        let before: Vec<String> =
            metric.key[..place].iter().filter_map(|name| Some(format!("{name}=`{}`", address.get(name)?))).collect();
        let beside = if before.is_empty() { String::new() } else { format!(" with {}", before.join(", ")) };
        let nearest =
            if nearest.is_empty() { "it has no row".to_owned() } else { format!("nearest are {}", nearest.join(", ")) };
        return Ok(Error::Usage(format!("`{}` has no row of {name}=`{wanted}`{beside}; {nearest}", metric.name)));
    }
    Ok(Error::Usage(format!("`{}` has no such row", metric.name)))
}

async fn distinct(
    engine: &Engine,
    query: &Query,
    name: &str,
    condition: &str,
    parameters: &Parameters,
) -> Result<Vec<Cell>> {
    let sql = format!("SELECT DISTINCT \"{name}\" FROM {} WHERE {condition}", query.name);
    let Some(column) = query.columns.iter().find(|column| column.name == name) else { return Ok(Vec::new()) };
    let mut known = Vec::new();
    for batch in engine.collect(&sql, parameters).await? {
        known.extend(Cell::values(batch.column(0), column.kind)?);
    }
    Ok(known)
}

// Computes the steps in order and holds each against what it is behind of.
async fn follow<'a>(
    engine: &Engine,
    steps: &[Step<'a>],
    row: &Rows<'a>,
    address: &Address,
    parameters: &Parameters,
) -> Result<Vec<Explained<'a>>> {
    let mut taken: Vec<Explained> = Vec::with_capacity(steps.len());
    for step in steps {
        let batch = metrics::answer(engine, step.query, &address.bind(step.query, parameters)?).await?;
        let rows = Rows { query: step.query, batch };
        // The step shows what the tie to the step before looks at.
        let on = step.links.first().map_or(&[][..], |link| &link.behind.on);
        let rows = rows.shown(on, address, &address.beyond(&row.query.key))?;
        taken.push(Explained { rows, ties: Vec::new() });
    }
    for (place, step) in steps.iter().enumerate() {
        for link in &step.links {
            let before = taken.iter().find(|taken| taken.rows.query.name == link.of.name);
            let of = before.map_or(row, |before| &before.rows);
            let held = taken[place].rows.tie(of, *link, address)?;
            taken[place].ties.extend(held);
        }
    }
    Ok(taken)
}

// The settings that a metric depends on, through all that it is made from. Definitions that may change over time lie in
// tables `<section>_definitions`, a row for each day.
async fn in_force(
    settings: &Settings,
    engine: &Engine,
    catalog: &Catalog,
    metric: &Query,
    day: Day,
) -> Result<Vec<Setting>> {
    let tables = catalog.lineage(metric);
    let plain = |name: &str, value: String| Setting { name: name.to_owned(), value, since: None };
    let mut found = vec![plain("report.time_zone", settings.report.time_zone.name().to_owned())];
    if catalog.order(&[metric.name.as_str()])?.iter().any(|query| query.parameters().contains("week_start")) {
        found.push(plain("report.week_start", settings.report.week_start.name().to_owned()));
    }
    if tables.contains("excluded_actions") {
        found.push(plain("who.exclude_actions", settings.who.exclude_actions.join(", ")));
    }
    if tables.contains("excluded_apps") {
        found.push(plain("who.exclude_apps", settings.who.exclude_apps.join(", ")));
    }
    for (table, section) in tables.iter().filter_map(|table| Some((table, table.strip_suffix("_definitions")?))) {
        let parameters = Parameters::from([("day".to_owned(), ScalarValue::Date32(Some(day)))]);
        let rows = engine.collect(&format!("SELECT * FROM {table} WHERE day = $day"), &parameters).await?;
        for batch in rows {
            found.extend(definition(section, &batch)?);
        }
    }
    Ok(found)
}

// The columns of a day's definition as settings, durations as they are written.
fn definition(section: &str, batch: &RecordBatch) -> Result<Vec<Setting>> {
    let mut found = Vec::new();
    let schema = batch.schema();
    let text = |column: usize| -> Result<String> {
        let shown = array_value_to_string(batch.column(column), 0);
        shown.map_err(|e| Error::Internal(format!("cannot show a setting: {e}")))
    };
    let since = match schema.index_of("since") {
        Ok(column) if batch.column(column).is_valid(0) => Some(text(column)?),
        _ => None,
    };
    for (place, field) in
        schema.fields().iter().enumerate().filter(|(_, field)| !matches!(field.name().as_str(), "day" | "since"))
    {
        let value = text(place)?;
        let (name, value) = match (field.name().strip_suffix("_ms"), value.parse()) {
            (Some(name), Ok(ms)) => (name, duration(ms)),
            _ => (field.name().as_str(), value),
        };
        found.push(Setting { name: format!("{section}.{name}"), value, since: since.clone() });
    }
    Ok(found)
}

// The largest unit of the settings file that says it in whole numbers.
fn duration(ms: i64) -> String {
    let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.iter().find(|(length, _)| ms != 0 && ms % length == 0);
    unit.map_or_else(|| format!("{ms}ms"), |(length, name)| format!("{}{name}", ms / length))
}

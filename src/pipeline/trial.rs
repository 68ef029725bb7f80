//! What another definition would do to the past: the metrics under the present definitions and under others, side by
//! side over the same state of the store. Nothing is published, and what is kept of runs stays as it is.

use std::fmt::{Display, Formatter};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use datafusion::scalar::ScalarValue;
use serde::{Serialize, Serializer};

use super::run::{RunOrder, lay_ground};
use crate::catalog::{Catalog, Query};
use crate::dimensions;
use crate::engine::{Engine, Parameters};
use crate::error::{Error, Result};
use crate::metrics::{self, Computed, Source};
use crate::period::{Day, format_day};
use crate::settings::Settings;
use crate::store::TableFiles;

/// The two sides of a trial, and where they differ.
#[derive(Debug, Serialize)]
pub struct Trial {
    /// The first and last observed day; none without any event.
    pub observed: Option<(String, String)>,
    /// The months in order.
    pub months: Vec<MonthTrial>,
    /// Organisations that were DAG on one of the 28 days to the report day on one side only.
    pub dag: OrgTrial,
    /// Deep-integration customers at the report day on one side only.
    pub deep: OrgTrial,
    /// The reports that are not the same on both sides, by name.
    pub reports: Vec<ReportTrial>,
    /// The number of all reports.
    pub report_count: usize,
    /// What else was done, in sentences.
    pub notes: Vec<String>,
}

/// A number under the present definitions and under the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pair<T> {
    /// As it is.
    pub before: T,
    /// As it would be.
    pub after: T,
}

/// A month, as far as it was observed.
#[derive(Debug, Serialize)]
pub struct MonthTrial {
    /// The ISO date of its first day.
    pub month: String,
    /// Observed days.
    pub days: i64,
    /// The mean of the days' DAG.
    pub mean_daily_dag: Pair<Millionths>,
    /// The difference of the means by the one before; none if that is 0.
    pub dag_change: Option<Millionths>,
    /// Organisations DAG in the 28 days to the month's last observed day.
    pub dag_28d: Pair<i64>,
    /// Deep-integration customers on that day.
    pub deep_orgs: Pair<i64>,
}

/// Organisations that would come or go.
#[derive(Debug, Default, Serialize)]
pub struct OrgTrial {
    /// Those that would no longer be it.
    pub lost: Vec<Org>,
    /// Those that would newly be it.
    pub gained: Vec<Org>,
}

/// An organisation.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Org {
    /// Its id.
    pub org_id: String,
    /// Its name as at the report day; empty if unknown.
    pub name: String,
}

/// A report that would change.
#[derive(Debug, Serialize)]
pub struct ReportTrial {
    /// The metric.
    pub name: String,
    /// Its rows.
    pub rows: Pair<i64>,
    /// Rows by key that are on one side only, or not the same on both.
    pub different_rows: i64,
}

/// A number with six decimals, as a rate in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Millionths(pub i128);

impl Display for Millionths {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let size = self.0.unsigned_abs();
        write!(formatter, "{sign}{}.{:06}", size / 1_000_000, size % 1_000_000)
    }
}

impl Serialize for Millionths {
    #[expect(clippy::cast_precision_loss, reason = "the nearest float is written with the same decimals")]
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1e6)
    }
}

/// Computes all metrics under the definitions of `settings` and of `other`, and compares them. The two may differ in
/// definitions only. Of `order`, the report day and the first day shown are looked at.
pub async fn trial(
    settings: &Settings,
    other: &Settings,
    engine: &Engine,
    catalog: &Catalog,
    order: &RunOrder,
) -> Result<Trial> {
    let wanted: Vec<&str> = catalog.metrics().map(|query| query.name.as_str()).collect();
    let queries = catalog.order(&wanted)?;
    let mut ground = lay_ground(settings, engine, order).await?;
    ground.metrics.keep.only_read();
    let before = metrics::compute(engine, &queries, &mut ground.metrics, &mut |_, _| {}).await?;
    let folder = ground.work.path().join("other");
    for table in dimensions::write_definitions(other, ground.range, &folder)? {
        ground.metrics.sources.insert(table.name.clone(), Source::hashed(table)?);
    }
    let after = metrics::compute(engine, &queries, &mut ground.metrics, &mut |_, _| {}).await?;
    metrics::register(engine, &queries, &ground.metrics).await?;

    let mut trial = Trial {
        observed: ground.range.map(|(first, last)| (format_day(first), format_day(last))),
        months: Vec::new(),
        dag: OrgTrial::default(),
        deep: OrgTrial::default(),
        reports: Vec::new(),
        report_count: wanted.len(),
        notes: ground.notes,
    };
    if let Some((first_day, _)) = ground.range {
        let mut parameters = ground.metrics.parameters;
        parameters.insert("from".to_owned(), ScalarValue::Date32(Some(order.from.unwrap_or(first_day))));
        let sides = Sides { engine, parameters, from: order.from };
        for table in &before {
            engine.register(&TableFiles { name: earlier(&table.name), ..table.table.clone() })?;
        }
        trial.months = sides.months().await?;
        trial.dag = sides.orgs("dag_orgs", "day > $as_of - 28").await?;
        trial.deep = sides.orgs("deep_integration_orgs", "level = 5").await?;
        for query in catalog.metrics() {
            trial.reports.extend(sides.report(query, &before, &after).await?);
        }
    }
    // What was computed here is kept by nobody.
    ground.metrics.keep.clear(&catalog.queries().map(|query| query.name.as_str()).collect())?;
    Ok(trial)
}

// What a result is called in SQL that compares it with the other side. No query can have a name with a blank.
fn earlier(name: &str) -> String {
    format!("{name} before")
}

/// Both sides as tables of the engine.
struct Sides<'a> {
    engine: &'a Engine,
    parameters: Parameters,
    from: Option<Day>,
}

impl Sides<'_> {
    async fn months(&self) -> Result<Vec<MonthTrial>> {
        let sql = format!(
            "SELECT
                cast(period_start('month', one.day, $week_start) AS varchar) AS month,
                count(*) AS days,
                rate(sum(one.dag), count(*)) AS mean_before,
                rate(sum(other.dag), count(*)) AS mean_after,
                rate(sum(other.dag) - sum(one.dag), sum(one.dag)) AS change,
                first_value(one.dag_28d ORDER BY one.day DESC) AS dag_28d_before,
                first_value(other.dag_28d ORDER BY one.day DESC) AS dag_28d_after,
                first_value(one.deep_orgs ORDER BY one.day DESC) AS deep_before,
                first_value(other.deep_orgs ORDER BY one.day DESC) AS deep_after
            FROM \"{}\" AS one
            INNER JOIN daily_activity AS other ON one.day = other.day
            WHERE one.day >= $from
            GROUP BY 1
            ORDER BY 1",
            earlier("daily_activity")
        );
        let mut months = Vec::new();
        for batch in self.engine.collect(&sql, &self.parameters).await? {
            let texts = texts(&batch, 0)?;
            let integer = |column: usize, row: usize| batch.column(column).as_primitive::<Int64Type>().value(row);
            let integers = |column, row| Pair { before: integer(column, row), after: integer(column + 1, row) };
            let rate = |column: usize, row: usize| {
                batch.column(column).as_primitive::<Decimal128Type>().iter().nth(row).flatten().map(Millionths)
            };
            let zero = Millionths(0);
            months.extend(texts.into_iter().enumerate().map(|(row, month)| MonthTrial {
                month,
                days: integer(1, row),
                mean_daily_dag: Pair { before: rate(2, row).unwrap_or(zero), after: rate(3, row).unwrap_or(zero) },
                dag_change: rate(4, row),
                dag_28d: integers(5, row),
                deep_orgs: integers(7, row),
            }));
        }
        Ok(months)
    }

    // The organisations that a metric lists, under a condition, on one side only.
    async fn orgs(&self, metric: &str, condition: &str) -> Result<OrgTrial> {
        let sql = format!(
            "WITH one AS (SELECT DISTINCT org_id FROM \"{}\" WHERE {condition}),
            other AS (SELECT DISTINCT org_id FROM {metric} WHERE {condition}),
            differing AS (
                SELECT coalesce(one.org_id, other.org_id) AS org_id, one.org_id IS NULL AS is_gained
                FROM one
                FULL OUTER JOIN other ON one.org_id = other.org_id
                WHERE one.org_id IS NULL OR other.org_id IS NULL
            )
            SELECT differing.org_id, coalesce(orgs.name, '') AS name, differing.is_gained
            FROM differing
            LEFT JOIN orgs
                ON differing.org_id = orgs.org_id AND $as_of >= orgs.valid_from AND $as_of <= orgs.valid_until
            ORDER BY org_id",
            earlier(metric)
        );
        let mut trial = OrgTrial::default();
        for batch in self.engine.collect(&sql, &self.parameters).await? {
            let rows = texts(&batch, 0)?.into_iter().zip(texts(&batch, 1)?).zip(batch.column(2).as_boolean());
            for ((org_id, name), is_gained) in rows {
                let side = if is_gained == Some(true) { &mut trial.gained } else { &mut trial.lost };
                side.push(Org { org_id, name });
            }
        }
        Ok(trial)
    }

    async fn report(&self, query: &Query, before: &[Computed], after: &[Computed]) -> Result<Option<ReportTrial>> {
        let files = |side: &[Computed]| {
            let result = side.iter().find(|result| result.name == query.name);
            result.map(|result| result.table.files.iter().map(|file| file.path.clone()).collect::<Vec<_>>())
        };
        // What was taken as it is kept on both sides lies in the same files.
        if files(before) == files(after) {
            return Ok(None);
        }
        let list = |names: &mut dyn Iterator<Item = &String>| {
            names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
        };
        let columns = list(&mut query.columns.iter().map(|column| &column.name));
        let shown = match (&query.from, self.from) {
            (Some(day), Some(_)) => format!("\"{day}\" IS NULL OR \"{day}\" >= $from"),
            _ => "true".to_owned(),
        };
        let select = |table: String| format!("(SELECT {columns} FROM \"{table}\" WHERE {shown})");
        let (one, other) = (select(earlier(&query.name)), select(query.name.clone()));
        let sql = format!(
            "SELECT
                (SELECT count(*) FROM {one}) AS rows_before,
                (SELECT count(*) FROM {other}) AS rows_after,
                (SELECT count(*) FROM (
                    SELECT DISTINCT {} FROM (({one} EXCEPT {other}) UNION ALL ({other} EXCEPT {one}))
                )) AS different_rows",
            list(&mut query.key.iter())
        );
        let batches = self.engine.collect(&sql, &self.parameters).await?;
        let counts = batches.iter().find(|batch| batch.num_rows() > 0).ok_or_else(|| {
            Error::Internal(format!("the two sides of `{}` were compared and nothing came out", query.name))
        })?;
        let count = |column: usize| counts.column(column).as_primitive::<Int64Type>().value(0);
        let different_rows = count(2);
        Ok((different_rows > 0).then(|| ReportTrial {
            name: query.name.clone(),
            rows: Pair { before: count(0), after: count(1) },
            different_rows,
        }))
    }
}

fn texts(batch: &RecordBatch, column: usize) -> Result<Vec<String>> {
    let texts = arrow::compute::cast(batch.column(column), &DataType::Utf8)
        .map_err(|e| Error::Internal(format!("a text is none: {e}")))?;
    Ok(texts.as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned()).collect())
}

//! A source's SQL `select`: rows of the raw file, table `raw`, become rows with the event fields, each with the number
//! of the row that it came from. It knows SQL; it does not know files or what makes a record an event.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::collect;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Ident, SelectItem, SetExpr, Statement as SqlStatement, TableFactor,
};
use datafusion::sql::sqlparser::dialect::DuckDbDialect;

use crate::error::{Error, Result};

const TABLE: &str = "raw";
// The number of the row, before and after the select. Not a name that a log has.
const ROW: &str = "__orgpulse_row";
const ROW_OUT: &str = "__orgpulse_source_row";
const ALLOWED: &str = "allowed is one `SELECT ... FROM raw [WHERE ...]`, row by row: no joins, groups, aggregates, \
                       window functions, ordering, limits, subqueries, or functions of the clock or of chance";
// Planning nests deeply, in builds without optimisation above all.
const STACK_BYTES: usize = 16 << 20;

/// A select, planned for one raw schema. It can run in many threads at once.
pub(super) struct Mapping {
    state: SessionState,
    plan: LogicalPlan,
    schema: SchemaRef,
    columns: Vec<usize>,
}

impl Mapping {
    /// Plans a select over a raw file with these columns.
    pub(super) fn new(select: &str, raw: &Schema) -> Result<Self> {
        let config = SessionConfig::new()
            .with_target_partitions(1)
            // Names of foreign logs are taken as written: `userId` needs no quotes.
            .set_bool("datafusion.sql_parser.enable_ident_normalization", false);
        let state = SessionContext::new_with_config(config).state();
        let statement = parse(select)?;
        let all: Vec<usize> = (0..raw.fields().len()).collect();
        let failed = |error: DataFusionError| Error::Definition(explain(&error, raw));
        let columns = alone(async {
            let plan = plan(&state, &statement, &with_row(raw, &all)).await?;
            read_columns(&plan, raw)
        })?
        .map_err(failed)?;
        let schema = with_row(raw, &columns);
        let plan = alone(plan(&state, &statement, &schema))?.map_err(failed)?;
        check_rows(&plan)?;
        check_output(&plan)?;
        Ok(Self { state, plan, schema, columns })
    }

    /// The places of the raw columns that the select reads, ascending.
    pub(super) fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// Runs the select over rows with the columns that it reads. Beside the result: from which row, from 0, each came.
    pub(super) fn run(&self, batch: &RecordBatch) -> Result<(RecordBatch, Int64Array)> {
        let rows = i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
        let mut arrays = batch.columns().to_vec();
        arrays.push(Arc::new(Int64Array::from_iter_values(0..rows)));
        let failed = |error: DataFusionError| {
            Error::Data(format!("select: {error}; a cast that can fail may be written as try_cast"))
        };
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(|e| failed(e.into()))?;
        let result = alone(self.execute(batch))?.map_err(failed)?;
        let place = result.schema().index_of(ROW_OUT).map_err(|e| failed(e.into()))?;
        let rows = result.column(place).as_primitive::<Int64Type>().clone();
        Ok((result, rows))
    }

    async fn execute(&self, batch: RecordBatch) -> std::result::Result<RecordBatch, DataFusionError> {
        let table = MemTable::try_new(Arc::clone(&self.schema), vec![vec![batch]])?;
        let source = provider_as_source(Arc::new(table));
        let plan = self.plan.clone().transform_down(|node| {
            Ok(match node {
                LogicalPlan::TableScan(mut scan) => {
                    scan.source = Arc::clone(&source);
                    Transformed::yes(LogicalPlan::TableScan(scan))
                }
                node => Transformed::no(node),
            })
        })?;
        let physical = self.state.create_physical_plan(&plan.data).await?;
        let schema = physical.schema();
        let batches = collect(physical, self.state.task_ctx()).await?;
        Ok(concat_batches(&schema, &batches)?)
    }
}

fn parse(select: &str) -> Result<Statement> {
    let refused = || Error::Definition(format!("select: `{}` is not such a select; {ALLOWED}", select.trim()));
    // Unlike the generic dialect, this one takes `payload.user.id` for a path: `user` is no function there.
    let mut statements = DFParser::parse_sql_with_dialect(select, &DuckDbDialect {})
        .map_err(|e| Error::Definition(format!("select: {}; {ALLOWED}", message(&e))))?;
    let (Some(mut statement), None) = (statements.pop_front(), statements.pop_front()) else { return Err(refused()) };
    let Statement::Statement(inner) = &mut statement else { return Err(refused()) };
    let SqlStatement::Query(query) = inner.as_mut() else { return Err(refused()) };
    let SetExpr::Select(select) = query.body.as_mut() else { return Err(refused()) };
    let [from] = select.from.as_slice() else { return Err(refused()) };
    let is_raw = matches!(&from.relation, TableFactor::Table { name, args: None, .. } if name.to_string() == TABLE);
    if !is_raw || !from.joins.is_empty() || query.with.is_some() {
        return Err(refused());
    }
    let row = SqlExpr::Identifier(Ident::new(ROW));
    select.projection.push(SelectItem::ExprWithAlias { expr: row, alias: Ident::new(ROW_OUT) });
    Ok(statement)
}

async fn plan(
    state: &SessionState,
    statement: &Statement,
    schema: &SchemaRef,
) -> std::result::Result<LogicalPlan, DataFusionError> {
    // The plan names its table by itself; the session is this source's alone.
    let context = SessionContext::new_with_state(state.clone());
    context.deregister_table(TABLE)?;
    context.register_table(TABLE, Arc::new(MemTable::try_new(Arc::clone(schema), vec![vec![]])?))?;
    context.state().statement_to_plan(statement.clone()).await
}

fn with_row(raw: &Schema, columns: &[usize]) -> SchemaRef {
    let nullable = |place: &usize| raw.field(*place).clone().with_nullable(true);
    let row = Field::new(ROW, DataType::Int64, false);
    Arc::new(Schema::new(columns.iter().map(nullable).chain([row]).collect::<Vec<_>>()))
}

// The places of the raw columns that a plan names.
fn read_columns(plan: &LogicalPlan, raw: &Schema) -> std::result::Result<Vec<usize>, DataFusionError> {
    let mut columns = BTreeSet::new();
    plan.apply(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::Column(column) = part {
                    columns.extend(raw.index_of(&column.name).ok());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(columns.into_iter().collect())
}

// Each row must stand for itself, because the select runs over parts of a file.
fn check_rows(plan: &LogicalPlan) -> Result<()> {
    let mut refusal = None;
    let mut refuse = |what: String| refusal = Some(Error::Definition(format!("select: {what}; {ALLOWED}")));
    let walked = plan.apply_with_subqueries(|node| {
        let is_by_row = matches!(
            node,
            LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::TableScan(_)
                | LogicalPlan::SubqueryAlias(_)
        );
        if !is_by_row {
            refuse(format!("`{}` is more than row by row", node.display()));
        }
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::ScalarFunction(call) = part
                    && call.func.signature().volatility != Volatility::Immutable
                {
                    refuse(format!("`{}` gives another value on another run", call.func.name()));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(TreeNodeRecursion::Continue)
    });
    walked.map_err(|e| Error::Definition(format!("select: {e}")))?;
    refusal.map_or(Ok(()), Err)
}

fn check_output(plan: &LogicalPlan) -> Result<()> {
    let schema = plan.schema();
    for (place, field) in schema.fields().iter().enumerate() {
        if schema.fields().iter().take(place).any(|other| other.name() == field.name()) {
            return Err(Error::Definition(format!("select: it gives column `{}` twice", field.name())));
        }
    }
    let named = |name: &str| schema.fields().iter().find(|field| field.name() == name);
    for name in ["ts", "app_id"] {
        if named(name).is_none() {
            return Err(Error::Definition(format!("select: it gives no column `{name}`; end one with `AS {name}`")));
        }
    }
    if let Some(DataType::Timestamp(_, None)) = named("ts").map(|field| field.data_type()) {
        return Err(Error::Definition(
            "select: `ts` is a timestamp without a zone; write `arrow_cast(..., 'Timestamp(Microsecond, Some(\"UTC\"))')`, \
             or give text or a number and say its form with `ts = ...` in the source"
                .into(),
        ));
    }
    Ok(())
}

fn explain(error: &DataFusionError, raw: &Schema) -> String {
    let columns: Vec<_> = raw.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    format!("select: {}; the columns of `raw` are: {}", message(error), columns.join(", "))
}

fn message(error: &DataFusionError) -> String {
    error.strip_backtrace().trim_end_matches('.').to_owned()
}

// Runs async work on a thread of its own, so that it works inside and outside of an async caller.
fn alone<T: Send>(work: impl Future<Output = T> + Send) -> Result<T> {
    let failed = |cause: &dyn std::fmt::Display| Error::Internal(format!("cannot run a select: {cause}"));
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|e| failed(&e))?;
                Ok(runtime.block_on(work))
            })
            .map_err(|e| failed(&e))?
            .join()
            .map_err(|_| failed(&"the thread panicked"))?
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, ArrayRef, StringArray, StructArray};

    use super::*;

    fn raw() -> RecordBatch {
        let text = |values: &[&str]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
        let id = Arc::new(Field::new("id", DataType::Utf8, true));
        let user = StructArray::from(vec![(id, text(&["u1", "u2", "u3"]))]);
        let payload = StructArray::from(vec![(
            Arc::new(Field::new("user", user.data_type().clone(), true)),
            Arc::new(user) as ArrayRef,
        )]);
        RecordBatch::try_from_iter([
            ("time", text(&["1", "2", "3"])),
            ("appName", text(&["chat", "erp", "chat"])),
            ("payload", Arc::new(payload) as ArrayRef),
            ("unused", text(&["", "", ""])),
        ])
        .expect("a batch")
    }

    fn check(select: &str, column: &str, expected: &[(i64, &str)]) {
        let raw = raw();
        let mapping = Mapping::new(select, &raw.schema()).unwrap_or_else(|e| panic!("{select}: {e}"));
        let batch = raw.project(mapping.columns()).expect("columns");
        let (result, rows) = mapping.run(&batch).expect("a result");
        let values = result.column_by_name(column).expect("the column");
        let values = arrow::compute::cast(values, &DataType::Utf8).expect("text");
        let found: Vec<_> = rows.values().iter().copied().zip(values.as_string::<i32>().iter().flatten()).collect();
        assert_eq!(found, expected, "{select}");
    }

    #[test]
    fn rows_keep_their_number() {
        let all = [(0, "u1"), (1, "u2"), (2, "u3")];
        check("select time as ts, appName as app_id, payload['user']['id'] as user_id from raw", "user_id", &all);
        check("SELECT time AS ts, appName AS app_id, raw.payload['user']['id'] AS user_id FROM raw", "user_id", &all);
        check("select r.time as ts, appName as app_id, payload.user.id as user_id from raw as r", "user_id", &all);
        check(
            "select time || '000' as ts, UPPER(appName) as app_id from raw where appName = 'chat'",
            "app_id",
            &[(0, "CHAT"), (2, "CHAT")],
        );
        check("select *, time as ts, 'x' as app_id from raw where time > '2'", "unused", &[(2, "")]);
        check("select time as ts, appName as app_id from raw where false", "ts", &[]);
        check("select 1 as ts, 'x' as app_id from raw", "ts", &[(0, "1"), (1, "1"), (2, "1")]);
    }

    #[test]
    fn only_what_is_read_is_asked_for() {
        let mapping = Mapping::new("select time as ts, appName as app_id from raw", &raw().schema()).expect("a plan");
        assert_eq!(mapping.columns(), [0, 1]);
    }

    fn check_refused(select: &str, expected: &str) {
        let Err(error) = Mapping::new(select, &raw().schema()) else { panic!("{select} must be refused") };
        assert_eq!(error.exit_code(), 4, "{error}");
        assert!(error.to_string().contains(expected), "{expected:?} is not in: {error}");
    }

    #[test]
    fn what_is_not_row_by_row_is_refused() {
        for select in [
            "delete from raw",
            "select 1; select 2",
            "select time as ts from other",
            "select a.time as ts from raw a join raw b on a.time = b.time",
            "select a.time as ts from raw a, raw b",
            "with x as (select 1) select time as ts, appName as app_id from raw",
            "select time as ts, appName as app_id from raw order by time",
            "select time as ts, appName as app_id from raw limit 1",
            "select distinct time as ts, appName as app_id from raw",
            "select max(time) as ts, appName as app_id from raw group by appName",
            "select time as ts, appName as app_id from raw union all select time, appName from raw",
            "select row_number() over () as ts, appName as app_id from raw",
            "select time as ts, appName as app_id from raw where time in (select time from raw)",
            "select time as ts, appName as app_id, now() as action from raw",
            "select time as ts, appName as app_id, random() as action from raw",
            "selec",
        ] {
            check_refused(select, "select:");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        check_refused("select tme as ts, appName as app_id from raw", "tme");
        check_refused("select tme as ts, appName as app_id from raw", "time Utf8");
        check_refused("select time as ts from raw", "AS app_id");
        check_refused("select time, appName as app_id from raw", "AS ts");
        check_refused("select to_timestamp(time) as ts, appName as app_id from raw", "without a zone");
        check_refused("select time as ts, 'a' as app_id, 'b' as app_id from raw", "app_id");
    }
}

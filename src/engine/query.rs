//! From SQL text and parameters to a plan that may run, and its result in the types that were planned.
//! It does not know which engine will run it.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, DecimalType, Field, Fields, Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, WindowFrameBound, WindowFrameUnits};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Value, visit_expressions_mut};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use futures::StreamExt;

use crate::engine::{Parameters, failure};
use crate::error::{Error, Result};
use crate::period::format_day;

/// Rows that one thread reads in some tens of milliseconds: sharing them out costs as much.
pub const FEW_ROWS: u64 = 500_000;

/// Plans a query with its parameters in place, optimised. Refuses everything that is no query.
pub(super) async fn plan(state: &SessionState, sql: &str, parameters: &Parameters) -> Result<LogicalPlan> {
    let dialect = state.config_options().sql_parser.dialect;
    let mut statement = state.sql_to_statement(sql, &dialect).map_err(definition)?;
    bind(&mut statement, parameters)?;
    let plan = state.statement_to_plan(statement).await.map_err(definition)?;
    let only_queries = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    only_queries.verify_plan(&plan).map_err(|e| definition(e).within("only queries may run here"))?;
    refuse_bare_ranges(&plan).map_err(definition)?;
    state.optimize(&plan).map_err(definition)
}

/// Whether the tables that a plan reads have so few rows that one thread is enough.
pub(super) fn reads_little(plan: &LogicalPlan) -> Result<bool> {
    let mut rows = 0_usize;
    let mut is_known = true;
    let counted = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let statistics = source_as_provider(&scan.source)?.statistics();
            match statistics.and_then(|statistics| statistics.num_rows.get_value().copied()) {
                Some(count) => rows = rows.saturating_add(count),
                None => is_known = false,
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    counted.map_err(definition)?;
    Ok(is_known && rows as u64 <= FEW_ROWS)
}

/// The columns that a plan gives. Planning and running differ on which of them can be null, so all can.
pub(super) fn result_schema(plan: &LogicalPlan) -> SchemaRef {
    let fields = plan.schema().fields().iter().map(|field| Field::new(field.name(), field.data_type().clone(), true));
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

/// An error of planning: the query is wrong, unless the machine failed.
pub(super) fn definition(error: DataFusionError) -> Error {
    match failure(error) {
        Error::Internal(message) => Error::Definition(message),
        other => other,
    }
}

/// Gives every batch the planned schema. A cluster may answer with other encodings of the same values.
pub(super) fn conform(schema: SchemaRef, stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let planned = Arc::clone(&schema);
    let conformed = stream.map(move |batch| {
        let batch = batch?;
        if batch.schema() == planned {
            return Ok(batch);
        }
        let pairs = batch.columns().iter().zip(planned.fields());
        let columns: Vec<_> =
            pairs.map(|(column, field)| cast(column, field.data_type())).collect::<std::result::Result<_, _>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&planned), columns)?)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, conformed))
}

/// Puts literals in the place of `$name`. Done before planning, so that types follow from the values.
fn bind(statement: &mut Statement, parameters: &Parameters) -> Result<()> {
    let statement = match statement {
        Statement::Statement(statement) => statement,
        Statement::Explain(explain) => return bind(&mut explain.statement, parameters),
        _ => return Ok(()),
    };
    let bound = visit_expressions_mut(statement, |expression| match bind_one(expression, parameters) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    });
    match bound {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn bind_one(expression: &mut SqlExpr, parameters: &Parameters) -> Result<()> {
    let SqlExpr::Value(value) = expression else { return Ok(()) };
    let Value::Placeholder(name) = &value.value else { return Ok(()) };
    let given = parameters.get(name.trim_start_matches('$')).ok_or_else(|| {
        let known: Vec<_> = parameters.keys().map(|name| format!("${name}")).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Error::Definition(format!("parameter {name} has no value; these have one: {known}"))
    })?;
    *expression = literal(name, given)?;
    Ok(())
}

fn literal(name: &str, value: &ScalarValue) -> Result<SqlExpr> {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let text = match value {
        ScalarValue::Date32(Some(day)) => format!("DATE {}", quoted(&format_day(*day))),
        ScalarValue::Date32(None) => "CAST(NULL AS DATE)".to_owned(),
        ScalarValue::Int64(Some(number)) if *number < 0 => format!("CAST('{number}' AS BIGINT)"),
        ScalarValue::Int64(Some(number)) => number.to_string(),
        ScalarValue::Int64(None) => "CAST(NULL AS BIGINT)".to_owned(),
        ScalarValue::Decimal128(value, precision, scale) => {
            let digits = |value| Decimal128Type::format_decimal(value, *precision, *scale);
            let number = value.map_or_else(|| "NULL".to_owned(), |value| quoted(&digits(value)));
            format!("CAST({number} AS DECIMAL({precision}, {scale}))")
        }
        ScalarValue::Boolean(Some(truth)) => truth.to_string(),
        ScalarValue::Boolean(None) => "CAST(NULL AS BOOLEAN)".to_owned(),
        ScalarValue::Utf8(Some(text)) => quoted(text),
        ScalarValue::Utf8(None) => "CAST(NULL AS VARCHAR)".to_owned(),
        other => {
            let kind = other.data_type();
            return Err(Error::Internal(format!("parameter {name} is a {kind}, which has no literal here")));
        }
    };
    let parser = Parser::new(&GenericDialect {}).try_with_sql(&text);
    parser
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|error| Error::Internal(format!("parameter {name} cannot be written as a literal: {error}")))
}

/// Refuses `RANGE 27 PRECEDING` over dates, which DataFusion takes as 27 months without a word.
fn refuse_bare_ranges(plan: &LogicalPlan) -> DataFusionResult<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Window(window) = node {
            for expression in &window.window_expr {
                expression.apply(|part| {
                    refuse_bare_range(part, window.input.schema())?;
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn refuse_bare_range(expression: &Expr, schema: &datafusion::common::DFSchema) -> DataFusionResult<()> {
    let Expr::WindowFunction(function) = expression else { return Ok(()) };
    let frame = &function.params.window_frame;
    let Some(order) = function.params.order_by.first() else { return Ok(()) };
    if frame.units != WindowFrameUnits::Range {
        return Ok(());
    }
    let kind = order.expr.get_type(schema)?;
    let over_time = matches!(kind, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..));
    for bound in [&frame.start_bound, &frame.end_bound] {
        let (WindowFrameBound::Preceding(distance) | WindowFrameBound::Following(distance)) = bound else { continue };
        let bare = matches!(distance, ScalarValue::Utf8(Some(text)) if text.trim().parse::<i64>().is_ok());
        if over_time && bare {
            return Err(DataFusionError::Plan(format!(
                "RANGE {distance} over {} counts months; write `interval '{distance} days'`",
                order.expr
            )));
        }
    }
    Ok(())
}

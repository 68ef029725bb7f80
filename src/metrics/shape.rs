//! Whether a result has the columns that its query declares, and the difference in words.

use arrow::datatypes::{DataType, Schema};

use crate::catalog::{ColumnType, Query};
use crate::error::{Error, Result};

/// `Error::Definition` unless names, types and order of the columns are the declared ones.
/// How text is laid out in memory is the engine's affair and no difference.
pub(super) fn compare(query: &Query, found: &Schema) -> Result<()> {
    let differences = differences(query, found);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::Definition(format!(
        "{}/{}: the result is not what query.toml declares: {}; change the query, or the columns in query.toml",
        query.group.folder(),
        query.name,
        differences.join("; ")
    )))
}

/// Whether a type is text, however it is laid out.
pub(super) fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

fn differences(query: &Query, found: &Schema) -> Vec<String> {
    let mut differences = Vec::new();
    for column in &query.columns {
        match found.field_with_name(&column.name) {
            Err(_) => differences.push(format!("column `{}` ({}) is missing", column.name, column.kind.name())),
            Ok(field) if !matches(column.kind, field.data_type()) => differences.push(format!(
                "column `{}` is {}, declared is {} ({})",
                column.name,
                field.data_type(),
                column.kind.name(),
                column.kind.data_type()
            )),
            Ok(_) => {}
        }
    }
    let declared: Vec<&str> = query.columns.iter().map(|column| column.name.as_str()).collect();
    let names: Vec<&str> = found.fields().iter().map(|field| field.name().as_str()).collect();
    for (place, name) in names.iter().enumerate() {
        if !declared.contains(name) {
            differences.push(format!("column `{name}` is not declared"));
        } else if names.iter().take(place).any(|before| before == name) {
            differences.push(format!("column `{name}` comes twice"));
        }
    }
    if differences.is_empty() && names != declared {
        differences.push(format!("the order is {}, declared is {}", names.join(", "), declared.join(", ")));
    }
    differences
}

fn matches(declared: ColumnType, found: &DataType) -> bool {
    if declared == ColumnType::Text { is_text(found) } else { declared.data_type() == *found }
}

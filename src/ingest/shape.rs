//! The raw table of a JSON Lines file: its columns and types as the whole file shows them, and its lines as rows.
//! It does not know the event fields.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListArray, NullArray, StringBuilder, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::error::ArrowError;

use super::json::{Token, elements, members, unescape};

// Nested deeper, or with more members, a value stays JSON text: such objects are maps, not records.
const MAX_DEPTH: usize = 32;
const MAX_MEMBERS: usize = 2_000;

/// What is known of the values in one place.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Shape {
    /// Only nulls.
    #[default]
    Null,
    Bool,
    /// Whole numbers of 64 bits.
    Integer,
    /// Numbers.
    Float,
    /// Text, and what has no one type.
    Text,
    Record(Members),
    List(Box<Shape>),
}

/// The members of objects, in the order in which they were seen first.
#[derive(Debug, Clone, Default)]
pub(super) struct Members {
    shapes: Vec<(String, Shape)>,
    places: HashMap<String, usize>,
}

impl PartialEq for Members {
    fn eq(&self, other: &Self) -> bool {
        self.shapes == other.shapes
    }
}

impl Members {
    /// Adds what one line shows. A line that is no object shows nothing.
    pub(super) fn add_line(&mut self, line: &str) {
        let mut seen = Self::default();
        if seen.add_object(line, 0).is_some() {
            self.merge(seen);
        }
    }

    /// Adds what another part of the file showed.
    pub(super) fn merge(&mut self, other: Self) {
        for (name, shape) in other.shapes {
            self.add(&name, shape);
        }
    }

    /// The columns.
    pub(super) fn schema(&self) -> Schema {
        Schema::new(self.fields())
    }

    fn fields(&self) -> Fields {
        self.shapes.iter().map(|(name, shape)| Field::new(name, shape.data_type(), true)).collect()
    }

    fn add_object(&mut self, text: &str, depth: usize) -> Option<()> {
        members(text, |key, value, _| {
            if let Some(name) = key_text(key) {
                self.add(&name, Shape::of(value, depth + 1));
            }
        })
    }

    fn add(&mut self, name: &str, shape: Shape) {
        if let Some(place) = self.places.get(name) {
            if let Some((_, known)) = self.shapes.get_mut(*place) {
                known.merge(shape);
            }
        } else {
            self.places.insert(name.to_owned(), self.shapes.len());
            self.shapes.push((name.to_owned(), shape));
        }
    }
}

impl Shape {
    fn of(token: Token, depth: usize) -> Self {
        match token {
            Token::Null => Self::Null,
            Token::Bool(_) => Self::Bool,
            Token::Integer(digits) if digits.parse::<i64>().is_ok() => Self::Integer,
            Token::Decimal(_) => Self::Float,
            Token::Integer(_) | Token::Text(_) | Token::Escaped(_) => Self::Text,
            Token::Object(_) | Token::Array(_) if depth > MAX_DEPTH => Self::Text,
            Token::Object(text) => {
                let mut inner = Members::default();
                let is_read = inner.add_object(text, depth).is_some();
                if is_read && inner.shapes.len() <= MAX_MEMBERS { Self::Record(inner) } else { Self::Text }
            }
            Token::Array(text) => {
                let mut inner = Self::Null;
                let read = elements(text, |value, _| inner.merge(Self::of(value, depth + 1)));
                if read.is_some() { Self::List(Box::new(inner)) } else { Self::Text }
            }
        }
    }

    fn merge(&mut self, other: Self) {
        let present = std::mem::take(self);
        *self = match (present, other) {
            (known, Self::Null) | (Self::Null, known) => known,
            (Self::Integer | Self::Float, Self::Float) | (Self::Float, Self::Integer) => Self::Float,
            (Self::Record(mut known), Self::Record(more)) => {
                known.merge(more);
                if known.shapes.len() <= MAX_MEMBERS { Self::Record(known) } else { Self::Text }
            }
            (Self::List(mut known), Self::List(more)) => {
                known.merge(*more);
                Self::List(known)
            }
            (known, more) if known == more => known,
            _ => Self::Text,
        };
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Text => DataType::Utf8,
            // What was never seen with a value may be asked for as anything, a member of a record among them.
            Self::Null => DataType::Null,
            Self::Record(members) if members.shapes.is_empty() => DataType::Null,
            Self::Record(members) => DataType::Struct(members.fields()),
            Self::List(inner) => DataType::List(Arc::new(Field::new_list_field(inner.data_type(), true))),
        }
    }
}

/// Builds the rows of some top-level columns.
pub(super) struct Rows(Record);

impl Rows {
    /// Columns of a schema that [`Members`] gave.
    pub(super) fn new(fields: &Fields) -> Self {
        Self(Record::new(fields))
    }

    /// Adds a line; `None`, and nothing is added, if it is not a JSON object.
    pub(super) fn push(&mut self, line: &str) -> Option<()> {
        self.0.push(line)
    }

    /// The columns.
    pub(super) fn finish(self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.0.columns.into_iter().map(Column::finish).collect()
    }
}

struct Record {
    fields: Fields,
    places: HashMap<String, usize>,
    columns: Vec<Column>,
}

enum Column {
    Null(usize),
    Bool(BooleanBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Record(Record, Vec<bool>),
    List(Box<Column>, Arc<Field>, Vec<usize>, Vec<bool>),
}

impl Record {
    fn new(fields: &Fields) -> Self {
        let places = fields.iter().enumerate().map(|(place, field)| (field.name().clone(), place)).collect();
        let columns = fields.iter().map(|field| Column::new(field.data_type())).collect();
        Self { fields: fields.clone(), places, columns }
    }

    // The last of several members of one name is the one that counts.
    fn push(&mut self, text: &str) -> Option<()> {
        let mut found = vec![(Token::Null, ""); self.columns.len()];
        members(text, |key, value, raw| {
            let place = key_text(key).and_then(|name| self.places.get(name.as_ref()));
            if let Some(slot) = place.and_then(|place| found.get_mut(*place)) {
                *slot = (value, raw);
            }
        })?;
        for (column, (value, raw)) in self.columns.iter_mut().zip(found) {
            column.push(value, raw);
        }
        Some(())
    }

    fn push_null(&mut self) {
        for column in &mut self.columns {
            column.push(Token::Null, "");
        }
    }
}

impl Column {
    fn new(kind: &DataType) -> Self {
        match kind {
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Int64 => Self::Integer(Int64Builder::new()),
            DataType::Float64 => Self::Float(Float64Builder::new()),
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Struct(fields) => Self::Record(Record::new(fields), Vec::new()),
            DataType::List(field) => {
                Self::List(Box::new(Self::new(field.data_type())), Arc::clone(field), Vec::new(), Vec::new())
            }
            _ => Self::Null(0),
        }
    }

    // Values of another type than the file showed cannot be; they would be null.
    fn push(&mut self, token: Token, raw: &str) {
        match self {
            Self::Null(rows) => *rows += 1,
            Self::Bool(column) => column.append_option(if let Token::Bool(value) = token { Some(value) } else { None }),
            Self::Integer(column) => column.append_option(number(token).and_then(|text| text.parse().ok())),
            Self::Float(column) => column.append_option(number(token).and_then(|text| text.parse().ok())),
            Self::Text(column) => match token {
                Token::Null => column.append_null(),
                Token::Text(text) => column.append_value(text),
                Token::Escaped(_) => column.append_option(key_text(token)),
                _ => column.append_value(raw),
            },
            Self::Record(record, validity) => {
                let is_read = matches!(token, Token::Object(text) if record.push(text).is_some());
                if !is_read {
                    record.push_null();
                }
                validity.push(is_read);
            }
            Self::List(inner, _, lengths, validity) => {
                let mut length = 0;
                let is_list = if let Token::Array(text) = token {
                    let read = elements(text, |value, raw| {
                        inner.push(value, raw);
                        length += 1;
                    });
                    read.is_some()
                } else {
                    false
                };
                lengths.push(length);
                validity.push(is_list);
            }
        }
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Null(rows) => Arc::new(NullArray::new(rows)),
            Self::Bool(mut column) => Arc::new(column.finish()),
            Self::Integer(mut column) => Arc::new(column.finish()),
            Self::Float(mut column) => Arc::new(column.finish()),
            Self::Text(mut column) => Arc::new(column.finish()),
            Self::Record(record, validity) => {
                let columns = record.columns.into_iter().map(Self::finish).collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new(record.fields, columns, Some(NullBuffer::from(validity)))?)
            }
            Self::List(inner, field, lengths, validity) => {
                let offsets = OffsetBuffer::from_lengths(lengths);
                Arc::new(ListArray::try_new(field, offsets, inner.finish()?, Some(NullBuffer::from(validity)))?)
            }
        })
    }
}

fn number(token: Token<'_>) -> Option<&str> {
    match token {
        Token::Integer(text) | Token::Decimal(text) => Some(text),
        _ => None,
    }
}

// The text of a string token, if it is text.
fn key_text(token: Token<'_>) -> Option<std::borrow::Cow<'_, str>> {
    match token {
        Token::Text(text) => Some(text.into()),
        Token::Escaped(escaped) => {
            let mut text = String::new();
            unescape(escaped, &mut text)?;
            Some(text.into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(lines: &[&str]) -> Members {
        let mut shape = Members::default();
        for line in lines {
            shape.add_line(line);
        }
        shape
    }

    fn check(lines: &[&str], types: &str, rows: &[&str]) {
        let shape = shape(lines);
        let schema = shape.schema();
        let found: Vec<_> = schema.fields().iter().map(|f| format!("{}: {}", f.name(), f.data_type())).collect();
        assert_eq!(found.join("; "), types, "{lines:?}");
        let mut built = Rows::new(schema.fields());
        for line in lines {
            assert_eq!(built.push(line).is_some(), line.starts_with('{'), "{line}");
        }
        let batch =
            arrow::array::RecordBatch::try_new(Arc::new(schema), built.finish().expect("columns")).expect("a batch");
        assert_eq!(super::super::table::rows_as_json(&batch).expect("JSON"), rows);
    }

    #[test]
    fn the_whole_file_tells_the_types() {
        check(
            &[r#"{"a":1,"b":null,"c":true}"#, "nonsense", r#"{"a":2.5,"d":"x\ty"}"#],
            "a: Float64; b: Null; c: Boolean; d: Utf8",
            &[r#"{"a":1.0,"c":true}"#, r#"{"a":2.5,"d":"x\ty"}"#],
        );
        check(
            &[r#"{"a":1}"#, r#"{"a":{"x":[1, 2]}}"#, r#"{"a":"t"}"#, r#"{"a":18446744073709551615}"#],
            "a: Utf8",
            &[r#"{"a":"1"}"#, r#"{"a":"{\"x\":[1, 2]}"}"#, r#"{"a":"t"}"#, r#"{"a":"18446744073709551615"}"#],
        );
        check(
            &[r#"{"a":9223372036854775808}"#, r#"{"a":1}"#],
            "a: Utf8",
            &[r#"{"a":"9223372036854775808"}"#, r#"{"a":"1"}"#],
        );
    }

    #[test]
    fn nested_values_are_records_and_lists() {
        check(
            &[
                r#"{"p":{"u":{"id":"x"}}}"#,
                r#"{"p":{"u":null,"n":[1,null]}}"#,
                r#"{"p":null}"#,
                r#"{"p":{"n":[],"n":[7]}}"#,
            ],
            r#"p: Struct("u": Struct("id": Utf8), "n": List(Int64))"#,
            &[r#"{"p":{"u":{"id":"x"}}}"#, r#"{"p":{"n":[1,null]}}"#, "{}", r#"{"p":{"n":[7]}}"#],
        );
        check(&[r#"{"p":{}}"#], "p: Null", &["{}"]);
    }

    #[test]
    fn the_order_of_parts_does_not_matter_for_types() {
        let (left, right) = (r#"{"a":1,"b":[{"x":1}]}"#, r#"{"a":"t","b":[{"y":2.5}]}"#);
        let mut merged = shape(&[left]);
        merged.merge(shape(&[right]));
        assert_eq!(merged, shape(&[left, right]));
    }

    #[test]
    fn deep_values_stay_text() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let shape = shape(&[&deep]);
        let mut rows = Rows::new(shape.schema().fields());
        assert!(rows.push(&deep).is_some());
        rows.finish().expect("columns");
    }
}

//! The other fields of a record that a source keeps: they become one JSON object, the column `extra`.
//! It does not know formats.

/// The other fields that a source keeps, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Keep {
    names: Vec<String>,
    // `"name":`, ready to be written.
    labels: Vec<String>,
}

impl Keep {
    /// Fields of these names.
    pub(super) fn new(names: &[String]) -> Self {
        let labels = names.iter().map(|name| format!("{}:", serde_json::Value::from(name.as_str()))).collect();
        Self { names: names.to_vec(), labels }
    }

    /// The names.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The JSON object of those values (as JSON) that are there; `None` if none is.
    pub(super) fn object<'a>(
        &self,
        values: impl Iterator<Item = Option<&'a str>>,
        out: &'a mut String,
    ) -> Option<&'a str> {
        out.clear();
        for (label, value) in self.labels.iter().zip(values) {
            if let Some(value) = value {
                out.push(if out.is_empty() { '{' } else { ',' });
                out.push_str(label);
                out.push_str(value);
            }
        }
        if out.is_empty() {
            return None;
        }
        out.push('}');
        Some(out)
    }
}

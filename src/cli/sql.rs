//! `orgpulse sql`: a question to the store.

use std::io::Read;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use clap::{Args, ValueEnum};

use crate::catalog::Catalog;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::pipeline;
use crate::settings::Settings;

use super::terminal::Terminal;

/// Ask the store in SQL.
///
/// Tables are the stored ones (`events`, `user_day`, `org_app_day`, `org_users_day`, `room_day`, `app_user_day`,
/// `concurrency_day`, `rejects`, `batches`, `batch_days`), the dimension files, and every state and metric of the catalog
/// by its name, computed when it is asked for.
#[derive(Debug, Args)]
pub(super) struct Sql {
    /// The query
    #[arg(short, long, value_name = "SQL", conflicts_with = "file")]
    command: Option<String>,
    /// A file with the query; `-` is stdin
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How the answer is printed [default: table]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Aligned, for people
    Table,
    /// Comma-separated values with a header
    Csv,
    /// One JSON array
    Json,
    /// One JSON object a line
    Ndjson,
    /// A table for a Markdown page
    Markdown,
}

impl Sql {
    pub(super) async fn carry_out(&self, settings: &Settings, terminal: &Terminal) -> Result<()> {
        let sql = self.text()?;
        let catalog = Catalog::read(settings.queries.path.as_deref())?;
        let engine = Engine::start(&settings.engine).await?;
        let (schema, batches) = pipeline::ask(settings, &engine, &catalog, &sql).await?;
        let format = self.format.unwrap_or(if terminal.wants_json() { Format::Json } else { Format::Table });
        let empty = [RecordBatch::new_empty(schema)];
        let batches = if batches.is_empty() { &empty[..] } else { &batches[..] };
        Terminal::print(render(format, batches)?.trim_end_matches('\n'))
    }

    fn text(&self) -> Result<String> {
        match (&self.command, &self.file) {
            (Some(sql), _) => Ok(sql.clone()),
            (None, Some(path)) if path.as_os_str() != "-" => {
                std::fs::read_to_string(path).map_err(|e| Error::Usage(format!("cannot read {}: {e}", path.display())))
            }
            (None, Some(_)) => {
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .map_err(|e| Error::Usage(format!("cannot read the query from stdin: {e}")))?;
                Ok(text)
            }
            (None, None) => Err(Error::Usage("no query; write it after -c, or name a file with -f".into())),
        }
    }
}

fn render(format: Format, batches: &[RecordBatch]) -> Result<String> {
    let broken = |e: arrow::error::ArrowError| Error::Internal(format!("cannot print the answer: {e}"));
    let mut bytes = Vec::new();
    match format {
        Format::Table => {
            return arrow::util::pretty::pretty_format_batches(batches).map(|table| table.to_string()).map_err(broken);
        }
        Format::Markdown => return markdown(batches).map_err(broken),
        Format::Csv => {
            let mut writer = arrow::csv::Writer::new(&mut bytes);
            batches.iter().try_for_each(|batch| writer.write(batch)).map_err(broken)?;
        }
        Format::Json => {
            let mut writer = arrow::json::ArrayWriter::new(&mut bytes);
            batches.iter().try_for_each(|batch| writer.write(batch)).map_err(broken)?;
            writer.finish().map_err(broken)?;
        }
        Format::Ndjson => {
            let mut writer = arrow::json::LineDelimitedWriter::new(&mut bytes);
            batches.iter().try_for_each(|batch| writer.write(batch)).map_err(broken)?;
            writer.finish().map_err(broken)?;
        }
    }
    String::from_utf8(bytes).map_err(|e| Error::Internal(format!("the answer is not text: {e}")))
}

fn markdown(batches: &[RecordBatch]) -> std::result::Result<String, arrow::error::ArrowError> {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let escaped = |cell: String| cell.replace('|', "\\|").replace('\n', " ");
    let Some(first) = batches.first() else { return Ok(String::new()) };
    let names: Vec<String> = first.schema().fields().iter().map(|field| escaped(field.name().clone())).collect();
    let mut text = line(names.clone()) + &line(vec!["---".to_owned(); names.len()]);
    let options = FormatOptions::default();
    for batch in batches {
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            text += &line(columns.iter().map(|column| escaped(column.value(row).to_string())).collect());
        }
    }
    Ok(text)
}

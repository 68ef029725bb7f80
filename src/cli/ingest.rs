//! `orgpulse ingest`: logs into the store.

use chrono::{DateTime, Utc};
use clap::Args;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ingest::Input;
use crate::pipeline::{self, IngestReport};
use crate::settings::{LogFormat, Settings};

use super::terminal::{Terminal, align, grouped};

/// Read event logs into the store.
///
/// Everything named in one call is one batch: all of it is committed, or nothing. A file whose bytes were ingested
/// before is skipped, so a call can be repeated.
#[derive(Debug, Args)]
pub(super) struct Ingest {
    /// Files, folders or globs (JSONL, CSV, Parquet; plain, gzip, zstd); `-` is stdin [default: the sources in the settings]
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// The format of stdin
    #[arg(long, value_enum)]
    format: Option<LogFormat>,
}

impl Ingest {
    pub(super) async fn carry_out(&self, settings: &Settings, now: DateTime<Utc>, terminal: &Terminal) -> Result<()> {
        let inputs = self.inputs(settings)?;
        let report = ingest_with_bar(settings, &inputs, now, terminal).await?;
        if terminal.wants_json() {
            return Terminal::print_json(&report);
        }
        Terminal::print(describe(&report))
    }

    fn inputs(&self, settings: &Settings) -> Result<Vec<Input>> {
        let paths = if self.paths.is_empty() {
            settings.ingest.sources.iter().filter_map(|source| source.path.clone()).collect()
        } else {
            self.paths.clone()
        };
        if paths.is_empty() {
            return Err(Error::Usage(
                "nothing to ingest; name files or folders, or give [[ingest.source]] a path in the settings".into(),
            ));
        }
        let input = |path: String| match (path.as_str(), self.format) {
            ("-", Some(format)) => Ok(Input::Stdin(format)),
            ("-", None) => Err(Error::Usage("stdin has no name to tell its format; add --format".into())),
            _ => Ok(Input::Path(path)),
        };
        paths.into_iter().map(input).collect()
    }
}

/// Ingests while a bar shows how far reading is.
pub(super) async fn ingest_with_bar(
    settings: &Settings,
    inputs: &[Input],
    now: DateTime<Utc>,
    terminal: &Terminal,
) -> Result<IngestReport> {
    let engine = Engine::start(&settings.engine).await?;
    let bar = terminal.bar("reading", 0);
    let progress = |done: u64, total: u64| {
        bar.set_length(total);
        bar.set_position(done);
        if done >= total {
            bar.set_message("sealing");
        }
    };
    let report = pipeline::ingest(settings, &engine, inputs, now, &progress).await;
    bar.finish_and_clear();
    report
}

fn describe(report: &IngestReport) -> String {
    let mut rows = vec![["file", "read", "accepted", "duplicate", "rejected"].map(str::to_owned).to_vec()];
    let row =
        |name: String, counts: [u64; 4]| -> Vec<String> { std::iter::once(name).chain(counts.map(grouped)).collect() };
    for file in &report.files {
        rows.push(if file.skipped {
            vec![file.source.clone(), "ingested before, skipped".into()]
        } else {
            row(file.source.clone(), [file.read, file.accepted, file.duplicate, file.rejected])
        });
    }
    let total = &report.total;
    if report.files.len() > 1 && report.batch.is_some() {
        rows.push(row("total".into(), [total.read, total.accepted, total.duplicate, total.rejected]));
    }
    let mut lines = vec![align(&rows, 1)];
    lines.extend(
        report.passed_over.iter().map(|path| format!("passed over {}: its name tells no format", path.display())),
    );
    lines.extend(report.notes.iter().cloned());
    lines.push(match (&report.batch, &report.days) {
        (None, _) => "nothing new".to_owned(),
        (Some(batch), None) => format!("batch {batch}: no new event"),
        (Some(batch), Some((first, last))) => format!("batch {batch}: sealed, days {first} to {last}"),
    });
    if total.rejected > 0 {
        let sql = "SELECT source, line, reason, raw FROM rejects";
        lines.push(format!("why records were rejected: orgpulse sql -c \"{sql}\""));
    }
    lines.join("\n")
}

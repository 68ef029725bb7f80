//! `orgpulse status`: what is in the store.

use clap::Args;

use crate::engine::Engine;
use crate::error::Result;
use crate::pipeline::{self, StoreStatus};
use crate::settings::Settings;

use super::terminal::{Terminal, align, grouped, size};

/// What is in the store: tables, days, rows, bytes, versions, the last batches.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// How many of the last batches to show
    #[arg(long, default_value_t = 5, value_name = "N")]
    batches: u32,
}

impl Status {
    pub(super) async fn carry_out(&self, settings: &Settings, terminal: &Terminal) -> Result<()> {
        let engine = Engine::start(&settings.engine).await?;
        let status = pipeline::status(settings, &engine, self.batches).await?;
        if terminal.wants_json() {
            return Terminal::print_json(&status);
        }
        Terminal::print(describe(&status))
    }
}

fn describe(status: &StoreStatus) -> String {
    let mut rows = vec![
        ["table", "first day", "last day", "days", "files", "rows", "size", "version"].map(str::to_owned).to_vec(),
    ];
    for table in &status.tables {
        let (first, last) = table.days.clone().unwrap_or_default();
        rows.push(vec![
            table.name.clone(),
            first,
            last,
            table.day_count.map_or(String::new(), grouped),
            grouped(table.files),
            grouped(table.rows),
            size(table.bytes),
            table.version.to_string(),
        ]);
    }
    let mut lines = vec![
        format!("store {} in {}", status.path.display(), status.time_zone),
        align(&rows, 3),
        status.rollups.clone(),
    ];
    if !status.batches.is_empty() {
        let mut rows = vec![
            ["batch", "ingested at", "files", "read", "accepted", "duplicate", "rejected"].map(str::to_owned).to_vec(),
        ];
        rows.extend(status.batches.iter().map(|batch| {
            let counts = [batch.files, batch.read, batch.accepted, batch.duplicate, batch.rejected].map(grouped);
            [batch.batch.to_string(), batch.ingested_at.clone()].into_iter().chain(counts).collect()
        }));
        lines.push(format!("\nlast batches\n{}", align(&rows, 2)));
    }
    lines.join("\n")
}

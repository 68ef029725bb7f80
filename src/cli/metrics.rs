//! `orgpulse metrics`: the catalog for people, its golden cases, and other definitions tried out.

use clap::{Args, Subcommand};

use crate::catalog::{Catalog, Query};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::golden;
use crate::settings::Settings;

use super::terminal::{Terminal, align};
use super::trial::Try;

/// The metrics: what they mean, whether they still hold, and what other thresholds would do.
#[derive(Debug, Args)]
pub(super) struct Metrics {
    #[command(subcommand)]
    question: Option<Question>,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// All metrics, a line each
    List,
    /// One query: what it means, its columns, its SQL
    Show {
        /// The name of a metric, or of another folder of queries
        name: String,
    },
    /// Run the golden cases: the whole chain on small logs, compared byte by byte
    Check {
        /// Only this query's cases
        name: Option<String>,
        /// Keep what comes out as what is expected, and renew docs/metrics.md; read the difference before you commit it
        #[arg(long)]
        accept: bool,
    },
    Try(Try),
}

impl Metrics {
    pub(super) async fn carry_out(&self, settings: &Settings, terminal: &Terminal) -> Result<()> {
        let catalog = Catalog::read(settings.queries.path.as_deref())?;
        match self.question.as_ref().unwrap_or(&Question::List) {
            Question::List => list(&catalog, terminal),
            Question::Show { name } => show(&catalog, name),
            Question::Check { name, accept } => {
                let engine = Engine::start(&settings.engine).await?;
                check(&engine, &catalog, name.as_deref(), *accept, terminal).await
            }
            Question::Try(command) => command.carry_out(settings, &catalog, terminal).await,
        }
    }
}

fn list(catalog: &Catalog, terminal: &Terminal) -> Result<()> {
    if terminal.wants_json() {
        let names: Vec<_> = catalog
            .metrics()
            .map(|query| serde_json::json!({"name": query.name, "title": query.title, "owner": query.owner}))
            .collect();
        return Terminal::print_json(&names);
    }
    let row = |query: &Query| vec![query.name.clone(), query.title.clone()];
    Terminal::print(align(&catalog.metrics().map(row).collect::<Vec<_>>(), 2))
}

fn show(catalog: &Catalog, name: &str) -> Result<()> {
    let query = catalog.get(name).ok_or_else(|| {
        Error::Usage(format!("no query is named `{name}`; `orgpulse metrics list` names the metrics"))
    })?;
    Terminal::print(catalog.describe(query).trim_end())
}

async fn check(
    engine: &Engine,
    catalog: &Catalog,
    name: Option<&str>,
    accept: bool,
    terminal: &Terminal,
) -> Result<()> {
    let results = golden::check(engine, catalog, name, accept).await?;
    let failed: Vec<_> = results.iter().filter_map(|result| result.failure.as_ref().map(|f| (result, f))).collect();
    if terminal.wants_json() {
        Terminal::print_json(&results)?;
    } else {
        for (result, failure) in &failed {
            Terminal::print(format!("{}/{}: {}\n{failure}", result.query, result.case, result.why))?;
        }
        Terminal::print(format!("{} cases, {} failed", results.len(), failed.len()))?;
    }
    if accept {
        catalog.write_dictionary()?;
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Error::Data(format!("{} of {} golden cases failed", failed.len(), results.len())))
    }
}

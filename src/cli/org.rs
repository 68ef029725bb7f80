//! `orgpulse org`: one page about one organisation.

use clap::Args;
use serde_json::{Map, Value};

use crate::catalog::Catalog;
use crate::engine::Engine;
use crate::error::Result;
use crate::period::Day;
use crate::pipeline::{self, OrgCard};
use crate::settings::Settings;

use super::page::{self, Format, Table};
use super::terminal::Terminal;

/// One page about one organisation: who it is, how it works on the platform, what it lacks for deep integration, and how it
/// stands beside its peers.
#[derive(Debug, Args)]
pub(super) struct Org {
    /// The organisation's id
    id: String,
    /// The report day [default: the last observed day, at most the day before the newest ingest]
    #[arg(long, value_name = "DAY", value_parser = super::day)]
    as_of: Option<Day>,
    /// How it is printed [default: text]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

impl Org {
    pub(super) async fn carry_out(&self, settings: &Settings, terminal: &Terminal) -> Result<()> {
        let catalog = Catalog::read(settings.queries.path.as_deref())?;
        let engine = Engine::start(&settings.engine).await?;
        let card = pipeline::org(settings, &engine, &catalog, &self.id, self.as_of).await?;
        match Format::chosen(self.format, terminal) {
            Format::Text => Terminal::print(text(&card)?),
            Format::Csv => {
                let tables = card.sections.iter().map(Table::of).collect::<Result<Vec<_>>>()?;
                Terminal::print(page::csv("section", &tables)?.trim_end_matches('\n'))
            }
            Format::Json => Terminal::print_json(&json(&card)?),
        }
    }
}

fn text(card: &OrgCard) -> Result<String> {
    let mut parts = vec![format!("Organisation {} as at {}", card.org_id, card.as_of)];
    let pins = [("org_id".to_owned(), card.org_id.clone())];
    for section in &card.sections {
        parts.push(format!("{}\n{}", section.query.title, Table::of(section)?.without(&pins).text()));
    }
    Ok(parts.join("\n\n"))
}

fn json(card: &OrgCard) -> Result<Value> {
    let mut sections = Map::new();
    for section in &card.sections {
        sections.insert(section.query.name.clone(), Table::of(section)?.json());
    }
    Ok(serde_json::json!({"org_id": card.org_id, "as_of": card.as_of, "sections": sections}))
}

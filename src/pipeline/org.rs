//! One organisation as the store knows it: the sections of its card, over the same tables as the reports.

use super::run::lay_ground;
use super::{RunOrder, prepare};
use crate::catalog::Catalog;
use crate::engine::{Engine, Parameters};
use crate::error::{Error, Result};
use crate::evidence::{Address, Cell, Rows, nearest};
use crate::metrics;
use crate::period::{Day, format_day};
use crate::settings::Settings;

// The view that says which organisations there are.
pub(super) const KNOWN: &str = "known_orgs";
// So many ids are named where one does not exist.
const NEAREST: usize = 5;

/// The card of an organisation.
#[derive(Debug)]
pub struct OrgCard<'a> {
    /// Its id.
    pub org_id: String,
    /// The report day.
    pub as_of: String,
    /// The sections, in their order.
    pub sections: Vec<Rows<'a>>,
}

/// Computes the card of an organisation through the kept results, and publishes nothing.
///
/// `Error::Usage` names the nearest ids if there is no such organisation.
pub async fn org<'a>(
    settings: &Settings,
    engine: &Engine,
    catalog: &'a Catalog,
    org_id: &str,
    as_of: Option<Day>,
) -> Result<OrgCard<'a>> {
    let mut ground = lay_ground(settings, engine, &RunOrder { as_of, ..RunOrder::default() }).await?;
    let (_, as_of) = ground.range.ok_or_else(|| {
        Error::Usage(
            "no day is observed up to the report day, so there is nothing to say of an organisation".to_owned(),
        )
    })?;
    let sections = catalog.org_card();
    let wanted = sections.iter().map(|section| section.name.as_str()).chain([KNOWN]);
    let here = prepare(settings, engine, catalog, &wanted.collect::<Vec<_>>(), &mut ground.metrics).await?;
    let engine = here.as_ref().unwrap_or(engine);
    check_known(engine, catalog, &ground.metrics.parameters, org_id).await?;
    let address = Address::of_org(org_id);
    let mut card = Vec::with_capacity(sections.len());
    for query in sections {
        let batch = metrics::answer(engine, query, &address.bind(query, &ground.metrics.parameters)?).await?;
        card.push(Rows { query, batch });
    }
    Ok(OrgCard { org_id: org_id.to_owned(), as_of: format_day(as_of), sections: card })
}

pub(super) async fn check_known(
    engine: &Engine,
    catalog: &Catalog,
    parameters: &Parameters,
    org_id: &str,
) -> Result<()> {
    let view = catalog.get(KNOWN).ok_or_else(|| Error::Internal(format!("there is no view `{KNOWN}`")))?;
    let known = metrics::answer(engine, view, parameters).await?;
    let known = Rows { query: view, batch: known }.cells("org_id")?;
    let wanted = Cell::Text(org_id.to_owned());
    if known.contains(&wanted) {
        return Ok(());
    }
    let nearest: Vec<String> = nearest(&wanted, known, NEAREST).iter().map(|cell| format!("`{cell}`")).collect();
    let nearest =
        if nearest.is_empty() { "there is none".to_owned() } else { format!("nearest are {}", nearest.join(", ")) };
    Err(Error::Usage(format!("there is no organisation org_id=`{org_id}`, in the orgs file or in an event; {nearest}")))
}

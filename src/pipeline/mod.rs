//! The flows: logs into the store, reports and answers out of it. Each reads like its own table of contents;
//! the work is done by the stages below.

mod ask;
mod explain;
mod ingest;
mod org;
mod run;
mod status;
mod trial;

pub use ask::ask;
pub use explain::{Explained, Explanation, Open, Setting, answer, explain};
pub use ingest::{IngestReport, Total, ingest};
pub use org::{OrgCard, org};
pub use run::{Plan, QueryReport, RunOrder, RunReport, plan, run};
pub use status::{BatchStatus, StoreStatus, TableStatus, status};
pub use trial::{Millionths, MonthTrial, Org, OrgTrial, Pair, ReportTrial, Trial, trial};

use futures::join;

use crate::catalog::Catalog;
use crate::dimensions::{self, Users};
use crate::engine::Engine;
use crate::error::Result;
use crate::event::Table;
use crate::metrics::{self, blocking};
use crate::seal::{self, Limits, Who};
use crate::settings::{EngineKind, EngineSettings, Settings};
use crate::store::{Snapshot, Stale, Store, WriterLock};

/// Computes what these queries stand on, and gives the engine to ask them of, if it is another one: what is asked about one
/// row or one organisation reads little, wherever the reports are computed, and is answered in this process.
async fn prepare(
    settings: &Settings,
    engine: &Engine,
    catalog: &Catalog,
    asked: &[&str],
    ground: &mut metrics::Ground,
) -> Result<Option<Engine>> {
    let order = catalog.order(asked)?;
    metrics::compute(engine, &order, ground, &mut |_, _| {}).await?;
    let here = if engine.is_local() {
        None
    } else {
        Some(Engine::start(&EngineSettings { kind: EngineKind::Local, ..settings.engine.clone() }).await?)
    };
    metrics::register(here.as_ref().unwrap_or(engine), &order, ground).await?;
    Ok(here)
}

/// The users whom the settings name, and the present state of the store. The two are read side by side: a list of users is
/// long, and the logs of the store are many.
async fn users_and_snapshot(settings: &Settings, store: &Store) -> Result<(Users, Snapshot)> {
    let (files, zone) = (settings.dimensions.clone(), settings.report.time_zone);
    let (users, snapshot) = join!(blocking(move || dimensions::read_users(&files, zone)), store.snapshot());
    Ok((users?, snapshot?))
}

/// Who counts under these settings.
fn who_counts(settings: &Settings, users: &Users) -> Who {
    Who {
        exclude_actions: settings.who.exclude_actions.iter().cloned().collect(),
        exclude_apps: settings.who.exclude_apps.iter().cloned().collect(),
        internal_users: users.internal().into_iter().collect(),
    }
}

/// Half of the memory is for sealing; the rest is for what surrounds it: staging, buffers, the engine's caches.
fn limits(settings: &Settings) -> Limits {
    Limits { memory: settings.engine.memory / 2 }
}

/// Derives again what does not follow from the present events: after a kill, when who counts has changed, or when an
/// earlier version made the store.
/// Gives the new snapshot and a sentence for the user, if anything was done.
async fn refresh_rollups(
    store: &Store,
    lock: &WriterLock,
    snapshot: Snapshot,
    who: &Who,
    limits: Limits,
) -> Result<(Snapshot, Option<String>)> {
    let hash = who.hash();
    let all_days = || snapshot.table(Table::Events).days();
    let (days, why) = match store.stale_rollups(&snapshot, &hash).await? {
        Stale::Nothing => return Ok((snapshot, None)),
        Stale::Days(days) => (days, "an earlier run did not finish"),
        Stale::All if snapshot.rollups_who.as_ref().is_some_and(|who| *who != hash) => {
            (all_days(), "who counts has changed")
        }
        // A store of an earlier version lacks tables that this one has.
        Stale::All => (all_days(), "this version has other rollups than the store, or an earlier run did not finish"),
    };
    let rollups = seal::rebuild(store, &snapshot, &days, who, limits)?;
    let note = format!("derived the rollups of {} days again: {why}", days.len());
    store.commit_rollups(lock, &snapshot, rollups, &hash).await?;
    Ok((store.snapshot().await?, (!days.is_empty()).then_some(note)))
}

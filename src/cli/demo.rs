//! `orgpulse demo`: from nothing to reports in one go.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::Args;

use crate::catalog::Catalog;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::generate::{self, Plan};
use crate::ingest::Input;
use crate::period::date_of_day;
use crate::pipeline::{self, RunOrder};
use crate::settings::Settings;

use super::summary::summary;
use super::terminal::{Terminal, grouped, size};

/// See it all at once: a made-up platform with thousands of organisations, from raw logs to reports.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Where logs, store and reports go; it can be deleted at any time
    #[arg(long, value_name = "DIR", default_value = "orgpulse-demo")]
    folder: PathBuf,
}

// Six in the morning (UTC) two days after the last one: all of the demo's days are over in every zone.
fn morning_after(plan: &Plan) -> Result<DateTime<Utc>> {
    let day = date_of_day(plan.first_day.saturating_add_unsigned(plan.days + 1));
    let morning = day.and_hms_opt(6, 0, 0).ok_or_else(|| Error::Internal("there is no such morning".into()))?;
    Ok(morning.and_utc())
}

// Marks a folder as a demo's, so that no other folder is ever written into.
const SETTINGS_HEAD: &str =
    "# Settings of a demo made by `orgpulse demo`; delete the folder when you have seen enough.\n";

impl Demo {
    pub(super) async fn carry_out(
        &self,
        given: Settings,
        now: Option<DateTime<Utc>>,
        terminal: &Terminal,
    ) -> Result<()> {
        let plan = Plan::demo();
        let path = self.folder.join("orgpulse.toml");
        self.claim_folder(&path)?;

        self.make_logs(&plan, terminal)?;
        let mut settings = Settings::read(&path)?;
        settings.engine = given.engine;
        // The made-up platform ends on a fixed day, and its clock stands still on the morning after.
        let now = match now {
            Some(now) => now,
            None => morning_after(&plan)?,
        };
        let logs = Input::Path(self.folder.join("logs").to_string_lossy().into_owned());
        let ingested = super::ingest::ingest_with_bar(&settings, &[logs], now, terminal).await?;
        if ingested.batch.is_some() {
            terminal.say(format!(
                "ingested {} records: {} accepted, {} duplicate, {} rejected with their reasons kept",
                grouped(ingested.total.read),
                grouped(ingested.total.accepted),
                grouped(ingested.total.duplicate),
                grouped(ingested.total.rejected)
            ));
        } else {
            terminal.say("the logs were ingested before; nothing is counted twice");
        }

        let engine = Engine::start(&settings.engine).await?;
        let catalog = Catalog::read(settings.queries.path.as_deref())?;
        let report = pipeline::run(&settings, &engine, &catalog, &RunOrder::default()).await?;
        if terminal.wants_json() {
            return Terminal::print_json(&report);
        }
        let latest = settings.reports.path.join("latest");
        Terminal::print(format!("\n{}\n\n{}", summary(&latest)?, self.next_steps(&path)))
    }

    fn claim_folder(&self, settings: &Path) -> Result<()> {
        let is_ours = std::fs::read_to_string(settings).is_ok_and(|text| text.starts_with(SETTINGS_HEAD));
        let is_free = std::fs::read_dir(&self.folder).map_or(true, |mut entries| entries.next().is_none());
        if !is_ours && !is_free {
            return Err(Error::Usage(format!(
                "{} is in use and is no demo's folder; choose another with --folder",
                self.folder.display()
            )));
        }
        std::fs::create_dir_all(&self.folder).map_err(|e| Error::path("create folder", &self.folder, e))?;
        let text = format!(
            "{SETTINGS_HEAD}
[store]
path = \"store\"

[reports]
path = \"reports\"

[report]
time_zone = \"{}\"

[dimensions]
orgs = \"orgs.csv\"
users = \"users.csv\"
apps = \"apps.csv\"
campaigns = \"campaigns.csv\"
account_lists = \"account_lists.csv\"
calendar = \"calendar.csv\"
",
            Plan::demo().time_zone.name()
        );
        std::fs::write(settings, text).map_err(|e| Error::path("write", settings, e))
    }

    // A second demo in the same folder finds its logs; they are the same bytes.
    fn make_logs(&self, plan: &Plan, terminal: &Terminal) -> Result<()> {
        let logs = self.folder.join("logs");
        if std::fs::read_dir(&logs).is_ok_and(|mut entries| entries.next().is_some()) {
            return Ok(());
        }
        let bar = terminal.bar("making", 0);
        let made = generate::generate(plan, &self.folder, &|done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })?;
        bar.finish_and_clear();
        terminal.say(format!(
            "made {} records of {} organisations over {} days: {} of logs in {}",
            grouped(made.records),
            grouped(made.orgs),
            plan.days,
            size(made.bytes),
            logs.display()
        ));
        Ok(())
    }

    fn next_steps(&self, settings: &Path) -> String {
        let (folder, settings) = (self.folder.display(), settings.display());
        format!(
            "The reports are in {folder}/reports/latest/. Next:
  orgpulse --settings {settings} status
  orgpulse --settings {settings} metrics list
  orgpulse --settings {settings} sql -c 'SELECT reason, count(*) AS records FROM rejects GROUP BY reason'
  orgpulse --settings {settings} sql -c 'SELECT * FROM dag_near_misses WHERE day = $as_of LIMIT 10'
  orgpulse --settings {settings} explain daily_activity --org o00001
  orgpulse --settings {settings} org o00001
  orgpulse init      begins a settings file for your own logs
(with cargo: `cargo run --release --` in place of `orgpulse`)"
        )
    }
}

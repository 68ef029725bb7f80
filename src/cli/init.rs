//! `orgpulse init`: a settings file to begin with.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::error::{Error, Result};

use super::terminal::Terminal;

/// Every setting with its default and what it means. `docs/settings.md` shows the same text.
const TEMPLATE: &str = include_str!("orgpulse.toml");

/// Write a commented settings file: every setting, its default, what it means.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

impl Init {
    pub(super) fn carry_out(&self, path: Option<PathBuf>) -> Result<()> {
        let path = path.unwrap_or_else(|| PathBuf::from("orgpulse.toml"));
        let mut options = std::fs::OpenOptions::new();
        if self.force {
            options.create(true).truncate(true)
        } else {
            options.create_new(true)
        };
        let mut file = options.write(true).open(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::Usage(format!("{} is there already; --force replaces it", path.display()))
            }
            _ => Error::path("write", &path, e),
        })?;
        file.write_all(TEMPLATE.as_bytes()).map_err(|e| Error::path("write", &path, e))?;
        Terminal::print(format!("wrote {}; next: orgpulse ingest LOGS", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn the_template_says_the_defaults() {
        let template = Settings::parse(TEMPLATE).expect("the template is valid");
        assert_eq!(template.numbers_hash(), Settings::default().numbers_hash());
    }

    #[test]
    fn the_settings_page_shows_the_template() {
        let page = include_str!("../../docs/settings.md");
        assert!(
            page.ends_with(&format!("```toml\n{TEMPLATE}```\n")),
            "copy src/cli/orgpulse.toml into docs/settings.md"
        );
    }

    #[test]
    fn each_commented_setting_is_one_that_exists() {
        // A line such as `# threads = 0` is a setting that is off; with all of them on, the file must still be valid.
        let switched_on = |line: &'static str| {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            let is_key = |key: &str| key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            let is_setting = bare.starts_with('[') || bare.split_once(" = ").is_some_and(|(key, _)| is_key(key));
            if is_setting { bare } else { line }
        };
        let on = TEMPLATE.lines().map(switched_on).collect::<Vec<_>>().join("\n");
        let settings = Settings::parse(&on).expect("every setting exists");
        assert_eq!(settings.ingest.sources.len(), 1);
        assert!(settings.dimensions.account_lists.is_some() && settings.dimensions.calendar.is_some());
    }
}

//! The report of a day: a folder of CSV files and a manifest that says what they were made from.
//! It turns finished tables into files; it does not compute a number.

mod csv;
mod manifest;
mod publish;
mod texts;

pub use csv::write_csv;
pub use manifest::{FileEntry, Head, Manifest};

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::catalog::Query;
use crate::error::{Error, Result};
use crate::period::Day;
use crate::store::TableFiles;
use publish::{Desk, Watch};
use texts::{Hashed, Part, Text, Texts};

/// The name of the manifest in a report.
pub const MANIFEST: &str = "manifest.json";

/// One table of a report.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// What the table is.
    pub query: &'a Query,
    /// Its rows, sorted by the query's key. A file of it never changes under its name.
    pub table: &'a TableFiles,
    /// The hash of the query's definition and of all that it reads (`Catalog::hash` of its `order`).
    pub definition: &'a str,
}

/// A table as a file of a report that is not yet published.
#[derive(Debug)]
pub struct Written {
    name: String,
    entry: FileEntry,
    parts: Vec<Part>,
}

/// What a report says of itself, beside its tables.
#[derive(Debug, Clone)]
pub struct Order {
    /// What the numbers depend on.
    pub head: Head,
    /// The hash of each metric's definition, as in [`Page`], by name. Metrics that are not in here have left the catalog.
    pub definitions: BTreeMap<String, String>,
    /// Whether only some metrics were asked for: the other files of the same day's report then stay, if they were made
    /// from the same inputs.
    pub partial: bool,
}

/// Where a report went.
#[derive(Debug, Clone)]
pub struct Published {
    /// `<reports>/<name>`.
    pub folder: PathBuf,
    /// What is in it.
    pub manifest: Manifest,
}

/// A report whose files are being written, where nobody sees them. What is not published goes when this is dropped.
pub struct Draft {
    folder: TempDir,
    from: Option<Day>,
    // What reports before it were put together from.
    texts: Texts,
    reports: PathBuf,
    desk: Desk,
}

impl Draft {
    /// Begins a report in this folder, without rows before the day `from`. Waits until no other program writes one there.
    pub fn open(reports: &Path, from: Option<Day>) -> Result<Self> {
        let desk = Desk::open(reports)?;
        Ok(Self { folder: desk.draft()?, from, texts: Texts::read(&desk.texts()), reports: reports.to_owned(), desk })
    }

    /// Writes the file of a table, and syncs it. Several may be written at once.
    ///
    /// Where an earlier report began with the rows of the same files, its text is copied: most of a report is about months
    /// that are over.
    pub fn write(&self, page: Page) -> Result<Written> {
        let Page { query, definition, .. } = page;
        let name = format!("{}.csv", query.name);
        let path = self.folder.path().join(&name);
        let mut sink = Hashed::create(&path).map_err(|e| Error::path("create", &path, e))?;
        let parts = self.write_text(page, &name, &mut sink).map_err(|e| e.within(path.display()))?;
        sink.sync().map_err(|e| Error::path("sync", &path, e))?;
        let rows = parts.last().map_or(0, |part| part.rows);
        let entry = FileEntry::new(query, rows, sink.bytes(), sink.sha256(), definition.to_owned());
        // What `from` leaves out is no beginning of a report that shows it.
        let parts = if self.from.is_none() { parts } else { Vec::new() };
        Ok(Written { name, entry, parts })
    }

    fn write_text(&self, Page { query, table, .. }: Page, name: &str, sink: &mut Hashed) -> Result<Vec<Part>> {
        let failed = |e| Error::Storage(format!("cannot write: {e}"));
        let files = table.files.iter().map(|file| file.path.as_str());
        let earlier = self.texts.beginning(name, files).filter(|_| self.from.is_none());
        let mut parts = Vec::new();
        if let Some(Text { folder, parts: same }) = earlier
            && let Some(last) = same.last()
            && sink.begin(&self.desk.shelved(&folder).join(name), last).map_err(failed)?
        {
            parts = same;
        } else {
            csv::write_header(query, sink)?;
        }
        for file in table.files.iter().skip(parts.len()) {
            let rows = csv::rows_of(table.root.join(&file.path))?;
            let rows = csv::write_rows(query, rows, self.from, sink)?;
            let rows = parts.last().map_or(0, |before: &Part| before.rows) + rows;
            parts.push(Part { file: file.path.clone(), rows, bytes: sink.bytes(), sha256: sink.sha256() });
        }
        Ok(parts)
    }

    /// Moves the report to `<reports>/<name>/`, where the name is its day, and points `<reports>/latest` to the newest day.
    /// A report over no day at all has another name, and is the latest only while there is none of a day.
    ///
    /// A reader sees the report as it was before or as it is after, never a mix, also if the program is killed (see
    /// `publish`). A full report replaces all files of its day. A partial one keeps the files it does not replace if they
    /// were made from the same inputs and definitions, so that the folder equals that of one run over both; otherwise it is
    /// refused with `Error::Usage`, because old and new numbers side by side could not be told apart.
    pub fn publish(self, name: &str, order: &Order, pages: Vec<Written>) -> Result<Published> {
        self.publish_watched(name, order, pages, &mut |_| Ok(()))
    }

    fn publish_watched(self, name: &str, order: &Order, pages: Vec<Written>, watch: Watch) -> Result<Published> {
        let mut manifest = Manifest { head: order.head.clone(), files: BTreeMap::new() };
        let mut parts = BTreeMap::new();
        for page in pages {
            manifest.files.insert(page.name.clone(), page.entry);
            parts.insert(page.name, page.parts);
        }
        let draft = self.folder.path();
        let before = self.desk.present(name).filter(|_| order.partial);
        if let Some(present) = &before {
            keep_others(present, draft, order, &mut manifest)
                .map_err(|e| e.within(self.reports.join(name).display()))?;
        }
        write_synced(&draft.join(MANIFEST), &manifest.bytes()?)?;
        let folder = self.desk.publish(self.folder, name, watch)?;
        let text = |(name, parts)| (name, Text { folder: folder.clone(), parts });
        let before = before.as_deref().and_then(Path::file_name).and_then(OsStr::to_str).unwrap_or_default();
        let texts = if order.partial { self.texts.moved(before, &folder) } else { Texts::default() };
        texts.remember(parts.into_iter().map(text).collect(), &self.desk.texts());
        Ok(Published { folder: self.reports.join(name), manifest })
    }
}

// Files of the day's present report that this run did not make: all of them stay, or the run is refused.
fn keep_others(present: &Path, draft: &Path, order: &Order, manifest: &mut Manifest) -> Result<()> {
    let before = Manifest::read(&present.join(MANIFEST))?;
    let others = before.files.iter().filter(|(name, _)| !manifest.files.contains_key(*name));
    let others: Vec<_> = others.map(|(name, entry)| (name.clone(), entry.clone())).collect();
    for (name, entry) in others {
        let metric = name.strip_suffix(".csv").unwrap_or(&name);
        let reason = if let Some(difference) = before.head.difference(&order.head) {
            Some(format!("its {difference} is another"))
        } else if order.definitions.get(metric) != Some(&entry.definition) {
            Some(format!("the definition of `{metric}` is another"))
        } else {
            None
        };
        if let Some(reason) = reason {
            return Err(Error::Usage(format!(
                "these metrics cannot join the report that is there: {reason}; run all metrics, or give another \
                 --reports folder"
            )));
        }
        copy_unchanged(&present.join(&name), &draft.join(&name), &entry)?;
        manifest.files.insert(name, entry);
    }
    Ok(())
}

fn copy_unchanged(from: &Path, to: &Path, entry: &FileEntry) -> Result<()> {
    let bytes = fs::read(from).map_err(|e| Error::path("read", from, e))?;
    if format!("{:x}", Sha256::digest(&bytes)) != entry.sha256 {
        return Err(Error::Data(format!(
            "{}: it is not the file that was published (sha256 differs from {MANIFEST}); run all metrics",
            from.display()
        )));
    }
    write_synced(to, &bytes)
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create_new(path).map_err(|e| Error::path("create", path, e))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| Error::path("write", path, e))
}

#[cfg(test)]
mod tests;

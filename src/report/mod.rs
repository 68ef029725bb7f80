//! The report of a day: a folder of CSV files and a manifest that says what they were made from.
//! It turns finished tables into files; it does not compute a number.

mod csv;
mod manifest;
mod publish;

pub use csv::write_csv;
pub use manifest::{FileEntry, Head, Manifest};

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::catalog::Query;
use crate::error::{Error, Result};
use crate::store::TableFiles;

/// The name of the manifest in a report.
pub const MANIFEST: &str = "manifest.json";

/// One table of a report.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// What the table is.
    pub query: &'a Query,
    /// Its rows, sorted by the query's key.
    pub table: &'a TableFiles,
}

/// What is put into a report.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// What the numbers depend on.
    pub head: Head,
    /// The tables that were computed.
    pub pages: Vec<Page<'a>>,
    /// The hash of each metric's definition and of all that it reads (`Catalog::hash` of its `order`), by name.
    /// Metrics that are not in here have left the catalog.
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

/// Writes a report to `<reports>/<name>/`, where the name is its day, and points `<reports>/latest` to the newest day.
/// A report over no day at all has another name, and is the latest only while there is none of a day.
///
/// A reader sees the report as it was before or as it is after, never a mix, also if the program is killed (see
/// `publish`). A full report replaces all files of its day. A partial one keeps the files it does not replace if they
/// were made from the same inputs and definitions, so that the folder equals that of one run over both; otherwise it is
/// refused with `Error::Usage`, because old and new numbers side by side could not be told apart.
pub fn publish(reports: &Path, name: &str, order: &Order) -> Result<Published> {
    publish_watched(reports, name, order, &mut |_| Ok(()))
}

fn publish_watched(reports: &Path, name: &str, order: &Order, watch: publish::Watch) -> Result<Published> {
    let desk = publish::Desk::open(reports)?;
    let draft = desk.draft()?;
    let mut manifest = Manifest { head: order.head.clone(), files: BTreeMap::new() };
    let written: Vec<_> = order.pages.par_iter().map(|page| write_page(&draft, page, order)).collect();
    for page in written {
        let (file, entry) = page?;
        manifest.files.insert(file, entry);
    }
    if order.partial
        && let Some(present) = desk.present(name)
    {
        keep_others(&present, &draft, order, &mut manifest).map_err(|e| e.within(reports.join(name).display()))?;
    }
    write_synced(&draft.join(MANIFEST), &manifest.bytes()?)?;
    let folder = desk.publish(name, watch)?;
    Ok(Published { folder, manifest })
}

fn write_page(draft: &Path, page: &Page, order: &Order) -> Result<(String, FileEntry)> {
    let query = page.query;
    let definition = order.definitions.get(&query.name).cloned().ok_or_else(|| {
        Error::Internal(format!("metric `{}` goes into a report without the hash of its definition", query.name))
    })?;
    let name = format!("{}.csv", query.name);
    let path = draft.join(&name);
    let file = File::create_new(&path).map_err(|e| Error::path("create", &path, e))?;
    let mut sink = Hashed { file, hasher: Sha256::new(), bytes: 0 };
    let rows =
        write_csv(query, csv::rows_of(page.table), order.head.from, &mut sink).map_err(|e| e.within(path.display()))?;
    sink.file.sync_all().map_err(|e| Error::path("sync", &path, e))?;
    let sha256 = format!("{:x}", sink.hasher.finalize());
    Ok((name, FileEntry::new(query, rows, sink.bytes, sha256, definition)))
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

// A file that is hashed while it is written.
struct Hashed {
    file: File,
    hasher: Sha256,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests;

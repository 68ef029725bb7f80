//! Making a finished folder visible in one step. It knows folders and links, not what a report is.
//!
//! Files land in a draft folder under `<reports>/.published/`, are synced, and the folder gets a number that no report
//! of its name has. `<reports>/<name>` is a relative symbolic link to it. A link is replaced by renaming another one over
//! it, which is atomic on every Unix file system, while a non-empty folder cannot be renamed over. So whoever resolves
//! the link once reads one report, old or new, and a kill at any point leaves one or the other. What a killed run left
//! behind is not linked to and is cleared by the next one; a lock keeps two runs apart.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempDir};

use crate::error::{Error, Result};
use crate::period::parse_day;

/// The folder of the real folders.
const SHELF: &str = ".published";
/// The folder that is being filled.
const DRAFT: &str = "draft";
/// The file for what the next report may begin with.
const TEXTS: &str = "texts.json";
/// A link before it takes its place.
const NEXT_LINK: &str = "link";
/// The link to the newest report.
const LATEST: &str = "latest";

/// What has just been done; in tests an error here plays a kill, because nothing is cleaned up on the way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// All files are written, in the draft folder.
    Drafted,
    /// The draft has its final place, and no link.
    Shelved,
    /// The report's link points to it.
    Linked,
    /// `latest` is right.
    Latest,
}

/// Told after each step.
pub(super) type Watch<'a> = &'a mut dyn FnMut(Step) -> Result<()>;

/// The reports folder, held for writing; the lock ends with this value or the process.
pub(super) struct Desk {
    reports: PathBuf,
    shelf: PathBuf,
    _lock: File,
}

impl Desk {
    /// Waits until no other program publishes here.
    pub(super) fn open(reports: &Path) -> Result<Self> {
        let shelf = reports.join(SHELF);
        fs::create_dir_all(&shelf).map_err(|e| Error::path("create folder", &shelf, e))?;
        let path = shelf.join("lock");
        let failed = |e| Error::path("lock", &path, e);
        let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(Self { reports: reports.to_owned(), shelf, _lock: lock })
    }

    /// An empty folder to fill, which goes when it is dropped.
    pub(super) fn draft(&self) -> Result<TempDir> {
        let path = self.shelf.join(DRAFT);
        remove_if_there(&path)?;
        let draft = Builder::new().prefix(DRAFT).rand_bytes(0).tempdir_in(&self.shelf);
        draft.map_err(|e| Error::path("create folder", &path, e))
    }

    /// A folder on the shelf.
    pub(super) fn shelved(&self, folder: &str) -> PathBuf {
        self.shelf.join(folder)
    }

    /// The file for what the next report may begin with. Nothing depends on it.
    pub(super) fn texts(&self) -> PathBuf {
        self.shelf.join(TEXTS)
    }

    /// The folder of the present report of this name.
    pub(super) fn present(&self, name: &str) -> Option<PathBuf> {
        link::read(&self.reports.join(name)).ok().map(|target| self.reports.join(target))
    }

    /// Puts the draft, whose files are synced, in the place of the report of this name, and gives the name that its
    /// folder then has on the shelf.
    pub(super) fn publish(&self, draft: TempDir, name: &str, watch: Watch) -> Result<String> {
        let draft = draft.keep();
        sync_folder(&draft)?;
        watch(Step::Drafted)?;
        let numbered = format!("{name}.{}", self.last_number(name)? + 1);
        let shelved = self.shelf.join(&numbered);
        fs::rename(&draft, &shelved).map_err(|e| Error::path("rename to", &shelved, e))?;
        sync_folder(&self.shelf)?;
        watch(Step::Shelved)?;
        self.point(name, &format!("{SHELF}/{numbered}"))?;
        watch(Step::Linked)?;
        let newest = self.days()?.pop().unwrap_or_else(|| name.to_owned());
        self.point(LATEST, &newest)?;
        watch(Step::Latest)?;
        self.clear()?;
        Ok(numbered)
    }

    // The days that have a report, in order.
    fn days(&self) -> Result<Vec<String>> {
        let mut days = names_in(&self.reports)?;
        days.retain(|name| parse_day(name).is_some());
        days.sort();
        Ok(days)
    }

    fn last_number(&self, name: &str) -> Result<u64> {
        let names = names_in(&self.shelf)?;
        let numbers = names.iter().filter_map(|shelf_name| shelved(shelf_name)).filter(|(of, _)| *of == name);
        Ok(numbers.map(|(_, number)| number).max().unwrap_or(0))
    }

    // Makes `<reports>/<name>` a link to `target`, which is relative to the reports folder.
    fn point(&self, name: &str, target: &str) -> Result<()> {
        let place = self.reports.join(name);
        if let Ok(found) = fs::symlink_metadata(&place)
            && !link::is_link(&found)
        {
            return Err(Error::Storage(format!(
                "{}: it is not a report of this program, which would be a link; move it away and run again",
                place.display()
            )));
        }
        let next = self.shelf.join(NEXT_LINK);
        remove_if_there(&next)?;
        link::create(target, &next).map_err(|e| Error::path("create link", &next, e))?;
        fs::rename(&next, &place).map_err(|e| Error::path("replace", &place, e))?;
        sync_folder(&self.reports)
    }

    // Removes the folders that no link leads to.
    fn clear(&self) -> Result<()> {
        for name in names_in(&self.shelf)? {
            let Some((report, _)) = shelved(&name) else { continue };
            let present = link::read(&self.reports.join(report)).ok();
            if present.as_deref() != Some(&format!("{SHELF}/{name}")) {
                remove_if_there(&self.shelf.join(&name))?;
            }
        }
        Ok(())
    }
}

// The report and the number of a folder on the shelf.
fn shelved(name: &str) -> Option<(&str, u64)> {
    let (report, number) = name.rsplit_once('.')?;
    Some((report, number.parse().ok()?))
}

fn names_in(folder: &Path) -> Result<Vec<String>> {
    let failed = |e| Error::path("read folder", folder, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        // A name that is not UTF-8 is none of ours.
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

fn remove_if_there(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => return Ok(()),
    };
    removed.map_err(|e| Error::path("remove", path, e))
}

// A new name in a folder lasts only when the folder is synced. Windows cannot open a folder as a file.
fn sync_folder(path: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(path).and_then(|folder| folder.sync_all()).map_err(|e| Error::path("sync", path, e))?;
    }
    Ok(())
}

#[cfg(unix)]
mod link {
    use std::fs::Metadata;
    use std::io::{Error, ErrorKind, Result};
    use std::path::Path;

    pub(super) fn create(target: &str, at: &Path) -> Result<()> {
        std::os::unix::fs::symlink(target, at)
    }

    pub(super) fn read(at: &Path) -> Result<String> {
        let target = std::fs::read_link(at)?;
        target.into_os_string().into_string().map_err(|_| Error::from(ErrorKind::InvalidData))
    }

    pub(super) fn is_link(found: &Metadata) -> bool {
        found.is_symlink()
    }
}

// Without links that anyone may make, a text file holds the path of the folder.
#[cfg(not(unix))]
mod link {
    use std::fs::Metadata;
    use std::io::Result;
    use std::path::Path;

    pub(super) fn create(target: &str, at: &Path) -> Result<()> {
        std::fs::write(at, target)
    }

    pub(super) fn read(at: &Path) -> Result<String> {
        std::fs::read_to_string(at)
    }

    pub(super) fn is_link(found: &Metadata) -> bool {
        found.is_file()
    }
}

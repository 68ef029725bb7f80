//! The store's folder: what marks it, who may write, and where work in progress lies.
//! It does not know tables or their logs.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use tempfile::TempPath;
use uuid::Uuid;

use super::files::{create_folder, sync_folder};
use crate::error::{Error, Result};

/// The layout that this program writes.
const FORMAT: u64 = 1;
const MARK: &str = "store.json";
// Beginnings of the names of files that a killed program may leave in a folder that is no store yet.
const UNFINISHED: &str = ".store-";
const WRITER: &str = "writer.lock";
const WORK: &str = "_work";
const GATE: &str = "gate.lock";
const ALIVE: &str = "alive.lock";

// `store.json`. Fields of later formats are not read, because their number is looked at first.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    format: u64,
    time_zone: String,
}

/// Makes the folder a store of this zone, unless it is one. A folder with anything else in it is refused.
pub(super) fn mark(root: &Path, zone: Tz) -> Result<()> {
    find(root)?;
    create_folder(root)?;
    let path = root.join(MARK);
    if path.exists() {
        return Ok(());
    }
    let stranger = fs::read_dir(root)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>())
        .map_err(|error| Error::path("read folder", root, error))?
        .into_iter()
        .find(|name| name != MARK && !name.to_string_lossy().starts_with(UNFINISHED));
    if let Some(name) = stranger {
        let (root, name) = (root.display(), name.display());
        let advice = "give an empty or missing folder as the store's path";
        return Err(Error::Usage(format!("{root} is not empty and no store (it holds {name}): {advice}")));
    }
    let mark = Mark { format: FORMAT, time_zone: zone.name().to_owned() };
    let text = serde_json::to_string(&mark).map_err(|error| Error::Internal(error.to_string()))? + "\n";
    // Somebody else may mark it at the same time; whose zone holds is seen when the mark is read.
    place(root.join(format!("{UNFINISHED}{}", Uuid::new_v4())), &path, text.as_bytes()).map(drop)
}

/// The absolute path of a store's folder, which may not exist yet. A percent sign in it is refused: the Delta reader
/// takes `%25` for an escape and then finds nothing.
pub(super) fn find(root: &Path) -> Result<PathBuf> {
    let found = fs::canonicalize(root).or_else(|_| std::path::absolute(root));
    let found = found.map_err(|error| Error::path("find", root, error))?;
    if found.to_string_lossy().contains('%') {
        let place = found.display();
        return Err(Error::Usage(format!("the store's path {place} contains a percent sign: choose a path without")));
    }
    Ok(found)
}

/// Refuses a folder that is no store, one of a later format, and one of another zone.
pub(super) fn check_mark(root: &Path, zone: Tz) -> Result<()> {
    let path = root.join(MARK);
    let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Error::Usage(format!("there is no store at {}: run `orgpulse ingest` first", root.display()))
        }
        _ => Error::path("read", &path, error),
    })?;
    let broken = |error: &dyn std::fmt::Display| Error::path("read", &path, error);
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| broken(&error))?;
    let format = value.get("format").and_then(serde_json::Value::as_u64);
    let format = format.ok_or_else(|| broken(&"it has no number `format`"))?;
    if format > FORMAT {
        let place = root.display();
        let known = format!("this orgpulse knows up to format={FORMAT}: use a newer one");
        return Err(Error::Usage(format!("the store {place} has format={format}, {known}")));
    }
    let mark: Mark = serde_json::from_value(value).map_err(|error| broken(&error))?;
    if mark.time_zone == zone.name() {
        return Ok(());
    }
    let (place, found, wanted) = (root.display(), mark.time_zone, zone.name());
    let advice = "set another [store] path and ingest the logs again, or set [report] time_zone back";
    Err(Error::Definition(format!(
        "the store {place} counts days in time_zone={found}, the settings say time_zone={wanted}; days cannot be cut anew: \
         {advice}"
    )))
}

/// Waits for the right to write. It ends with the file.
pub(super) fn lock_writer(root: &Path) -> Result<File> {
    locked(&root.join(WRITER))
}

/// The part of the work folder that belongs to one opened store. As long as it lives, `clear_work` of no process
/// touches it, because the file `alive.lock` in it is locked.
#[derive(Debug)]
pub(super) struct Session {
    folder: PathBuf,
    // Held for its lock.
    _alive: File,
}

impl Session {
    /// Makes a new session below `root`.
    pub(super) fn start(root: &Path) -> Result<Self> {
        let work = root.join(WORK);
        create_folder(&work)?;
        // Behind the gate nobody looks at sessions, so that none is cleared between its making and its locking.
        let _gate = locked(&work.join(GATE))?;
        let folder = work.join(format!("session-{}", Uuid::new_v4()));
        fs::create_dir(&folder).map_err(|error| Error::path("create folder", &folder, error))?;
        let alive = locked(&folder.join(ALIVE))?;
        Ok(Self { folder, _alive: alive })
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Best effort: what cannot be removed, `clear_work` of a later writer removes.
        let _ = fs::remove_file(self.folder.join(ALIVE));
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Removes the sessions of processes that are gone.
pub(super) fn clear_work(root: &Path) -> Result<()> {
    let work = root.join(WORK);
    if !work.is_dir() {
        return Ok(());
    }
    let _gate = locked(&work.join(GATE))?;
    let entries = fs::read_dir(&work).map_err(|error| Error::path("read folder", &work, error))?;
    for entry in entries {
        let path = entry.map_err(|error| Error::path("read folder", &work, error))?.path();
        if path.is_dir() && is_dead(&path) {
            // Best effort: a leftover takes space, it does no harm.
            let _ = fs::remove_dir_all(&path);
        }
    }
    Ok(())
}

fn is_dead(session: &Path) -> bool {
    match File::open(session.join(ALIVE)) {
        Ok(alive) => !matches!(alive.try_lock(), Err(TryLockError::WouldBlock)),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn locked(path: &Path) -> Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path);
    file.and_then(|file| file.lock().map(|()| file)).map_err(|error| Error::path("lock", path, error))
}

/// Writes a file such that it is there whole or not at all, also after a power cut, and never in place of another:
/// `false` if the name is taken. `draft` is where it is written before, on the same file system.
pub(super) fn place(draft: PathBuf, path: &Path, bytes: &[u8]) -> Result<bool> {
    let broken = |error: io::Error| Error::path("write", path, error);
    let mut file = File::create_new(&draft).map_err(|error| Error::path("create", &draft, error))?;
    let draft = TempPath::try_from_path(draft).map_err(broken)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(broken)?;
    match draft.persist_noclobber(path) {
        Ok(()) => {}
        Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(refused) => return Err(broken(refused.error)),
    }
    sync_folder(path.parent().unwrap_or(Path::new("."))).map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Tz {
        name.parse().expect("a zone of the test")
    }

    #[test]
    fn a_folder_is_marked_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("a/b");
        fs::create_dir_all(&root).expect("a folder");
        fs::write(root.join(".store-leftover"), "").expect("what a killed program left");
        mark(&root, zone("Asia/Shanghai")).expect("marked");
        mark(&root, zone("UTC")).expect("nothing to do");
        check_mark(&root, zone("Asia/Shanghai")).expect("its zone");
        let text = fs::read_to_string(root.join(MARK)).expect("the mark");
        assert_eq!(text, "{\"format\":1,\"time_zone\":\"Asia/Shanghai\"}\n");
    }

    fn check_refused(mark_text: Option<&str>, matches: fn(&Error) -> bool, says: &[&str]) {
        let folder = tempfile::tempdir().expect("a folder");
        if let Some(text) = mark_text {
            fs::write(folder.path().join(MARK), text).expect("a mark");
        }
        let error = check_mark(folder.path(), zone("UTC")).expect_err("refused");
        assert!(matches(&error), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(&*folder.path().to_string_lossy()), "{message}");
        for part in says {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn strange_marks_are_refused() {
        let other_zone = r#"{"format":1,"time_zone":"Asia/Shanghai"}"#;
        let advice = ["time_zone=Asia/Shanghai", "time_zone=UTC", "[store] path", "ingest"];
        check_refused(Some(other_zone), |error| matches!(error, Error::Definition(_)), &advice);
        let newer = r#"{"format":2,"zone":"UTC"}"#;
        check_refused(Some(newer), |error| matches!(error, Error::Usage(_)), &["format=2", "newer"]);
        check_refused(None, |error| matches!(error, Error::Usage(_)), &["orgpulse ingest"]);
        for broken in ["", "{}", "[]", r#"{"format":1}"#] {
            check_refused(Some(broken), |error| matches!(error, Error::Storage(_)), &[MARK]);
        }
    }

    #[test]
    fn a_percent_sign_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("100%25");
        let error = mark(&root, zone("UTC")).expect_err("refused");
        assert!(matches!(error, Error::Usage(_)), "{error:?}");
        assert!(!root.exists());
    }

    #[test]
    fn another_folder_is_no_store() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("thesis.doc"), "").expect("a file");
        let error = mark(folder.path(), zone("UTC")).expect_err("refused");
        assert!(matches!(error, Error::Usage(_)), "{error:?}");
        assert!(error.to_string().contains("thesis.doc"), "{error}");
        assert!(!folder.path().join(MARK).exists());
    }

    #[test]
    fn only_the_work_of_the_dead_is_cleared() {
        let root = tempfile::tempdir().expect("a folder");
        let alive = Session::start(root.path()).expect("a session");
        fs::write(alive.folder().join("spill"), "live").expect("a file");
        let dead = root.path().join("_work/session-dead");
        fs::create_dir_all(dead.join("deeper")).expect("a folder");
        fs::write(dead.join(ALIVE), "").expect("a lock that nobody holds");
        let half_made = root.path().join("_work/session-half");
        fs::create_dir(&half_made).expect("a folder");
        clear_work(root.path()).expect("cleared");
        assert!(!dead.exists() && !half_made.exists());
        assert!(alive.folder().join("spill").exists());
        fs::remove_file(alive.folder().join("spill")).expect("removed");
        let folder = alive.folder().to_owned();
        drop(alive);
        assert!(!folder.exists());
    }

    #[test]
    fn a_file_is_placed_whole_or_not_at_all() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("file");
        assert!(place(root.path().join("draft"), &path, b"first").expect("written"));
        assert!(!place(root.path().join("draft"), &path, b"second").expect("taken"));
        assert_eq!(fs::read(&path).expect("the file"), b"first");
        assert_eq!(fs::read_dir(root.path()).expect("a folder").count(), 1, "a draft stays behind");
    }
}

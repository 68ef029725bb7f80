//! Making written files outlive a power cut, begun while others are still being written. It knows files and folders; what
//! they belong to it does not know.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::files::{DataFile, sync};
use crate::error::{Error, Result};

// Syncing waits for the disk, not for a processor; many at once share what the file system writes for one.
const SYNCS_AT_ONCE: usize = 16;

/// Files and folders on their way to the disk.
#[derive(Debug, Default)]
pub(super) struct Syncs(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    // Told when a thread ends.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<PathBuf>,
    // The threads at work. They end when nothing waits any more.
    threads: usize,
    // Files that were begun and not yet asked for.
    begun: HashSet<PathBuf>,
    // What the disk refused first. From then on nothing is committed: a second try may succeed and yet have lost what the
    // first one should have written.
    refused: Option<String>,
}

impl Syncs {
    /// Begins with files of the table in `root`, which are written to no more, and the folders that they are in.
    pub(super) fn begin(&self, root: &Path, files: &[DataFile]) {
        let mut queue = self.0.queue();
        let paths = files.iter().map(|file| root.join(&file.path)).filter(|path| queue.begun.insert(path.clone()));
        let paths = paths.collect::<Vec<_>>();
        let folders = paths.iter().filter_map(|path| path.parent()).filter(|folder| *folder != root);
        let folders = folders.map(Path::to_owned).collect::<BTreeSet<_>>();
        self.0.add(&mut queue, paths.into_iter().chain(folders));
    }

    /// Waits until files of the table in `root` outlive a power cut, and their names in the folders up to `root`. An error
    /// may be one of other files.
    pub(super) fn finish(&self, root: &Path, files: &[DataFile]) -> Result<()> {
        self.begin(root, files);
        let mut queue = self.0.queue();
        for file in files {
            queue.begun.remove(&root.join(&file.path));
        }
        if !files.is_empty() {
            self.0.add(&mut queue, [root.to_owned()]);
        }
        queue.threads += 1;
        drop(queue);
        self.0.work();
        let is_at_work = |queue: &mut Queue| queue.threads > 0;
        let queue = self.0.ended.wait_while(self.0.queue(), is_at_work).unwrap_or_else(PoisonError::into_inner);
        queue.refused.clone().map_or(Ok(()), |refused| Err(Error::Storage(refused)))
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(self: &Arc<Self>, queue: &mut Queue, paths: impl IntoIterator<Item = PathBuf>) {
        queue.waiting.extend(paths);
        while queue.threads < queue.waiting.len().min(SYNCS_AT_ONCE) {
            let shared = Arc::clone(self);
            // What no thread can be had for is left to who waits in the end.
            if thread::Builder::new().spawn(move || shared.work()).is_err() {
                break;
            }
            queue.threads += 1;
        }
    }

    fn work(&self) {
        loop {
            let mut queue = self.queue();
            let Some(path) = queue.waiting.pop_front() else {
                queue.threads -= 1;
                self.ended.notify_all();
                return;
            };
            drop(queue);
            if let Err(error) = sync("sync", &path) {
                self.queue().refused.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> DataFile {
        DataFile { path: path.to_owned(), bytes: 0, rows: 0, day: None, stats: String::new() }
    }

    #[test]
    fn what_was_begun_is_waited_for() {
        let root = tempfile::tempdir().expect("a folder");
        let files = (0..100).map(|number| file(&format!("{}/{number}", number % 7))).collect::<Vec<_>>();
        let syncs = Syncs::default();
        for file in &files {
            let path = root.path().join(&file.path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, "").expect("written");
            syncs.begin(root.path(), std::slice::from_ref(file));
        }
        syncs.finish(root.path(), &files).expect("synced");
        let queue = syncs.0.queue();
        assert_eq!((queue.waiting.len(), queue.threads, queue.begun.len()), (0, 0, 0));
    }

    #[test]
    fn nothing_is_committed_after_the_disk_refused() {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::write(root.path().join("there"), "").expect("written");
        let syncs = Syncs::default();
        syncs.finish(root.path(), &[file("there")]).expect("synced");
        syncs.begin(root.path(), &[file("not there")]);
        for _ in 0..2 {
            let error = syncs.finish(root.path(), &[file("there")]).expect_err("refused");
            assert!(matches!(&error, Error::Storage(message) if message.contains("not there")), "{error}");
        }
    }
}

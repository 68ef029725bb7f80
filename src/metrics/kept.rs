//! Results that outlive a run, each with what it was made from, so that the next run computes only what has changed.
//! A kept result is never trusted by its age or its name, only by its ingredients.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::store::DataFile;

/// What a result is made from: names, and for each what must be equal for the result to be equal.
pub(super) type Ingredients = BTreeMap<String, String>;

// The present result and the one before it: two report days or two settings in turn cost nothing.
const GENERATIONS: usize = 2;
const INDEX: &str = "index.json";
const LOCK: &str = "lock";

/// The folder of kept results. While this value lives, no other process removes a file from it.
#[derive(Debug)]
pub struct Keep {
    root: PathBuf,
    lock: File,
    reuse: bool,
    remember: bool,
}

/// One result or a month of it, and what it was made from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The first day of the month; `None` = the whole result.
    pub(super) month: Option<String>,
    pub(super) ingredients: Ingredients,
    /// `None` = there are no rows.
    pub(super) file: Option<KeptFile>,
}

/// A file below the query's folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct KeptFile {
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) rows: u64,
    pub(super) stats: String,
    pub(super) content: String,
}

impl KeptFile {
    pub(super) fn data_file(&self) -> DataFile {
        DataFile { path: self.path.clone(), bytes: self.bytes, rows: self.rows, day: None, stats: self.stats.clone() }
    }
}

impl Keep {
    /// Opens a folder that exists. Without `reuse` everything is computed again, and then kept.
    pub fn open(root: &Path, reuse: bool) -> Result<Self> {
        let path = root.join(LOCK);
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock =
            lock.and_then(|file| file.lock_shared().map(|()| file)).map_err(|e| Error::path("lock", &path, e))?;
        Ok(Self { root: root.to_owned(), lock, reuse, remember: true })
    }

    /// From now on results are taken from here, and none is put here: what is kept stays as it is.
    pub fn only_read(&mut self) {
        self.remember = false;
    }

    /// The folder of one query's results.
    pub(super) fn folder(&self, query: &str) -> PathBuf {
        self.root.join(query)
    }

    /// What is kept of a query, newest first. An index that cannot be read keeps nothing.
    pub(super) fn of(&self, query: &str) -> Vec<Kept> {
        if self.reuse { read_index(&self.folder(query)) } else { Vec::new() }
    }

    /// The kept result that was made from these ingredients, if its file is still there.
    pub(super) fn find<'a>(&self, query: &str, kept: &'a [Kept], piece: &Kept) -> Option<&'a Kept> {
        let equal = |kept: &&Kept| kept.month == piece.month && kept.ingredients == piece.ingredients;
        let is_there = |kept: &&Kept| {
            let size = |file: &KeptFile| fs::metadata(self.folder(query).join(&file.path)).map(|found| found.len());
            kept.file.as_ref().is_none_or(|file| size(file).is_ok_and(|bytes| bytes == file.bytes))
        };
        kept.iter().find(|kept| equal(kept) && is_there(kept))
    }

    /// Remembers the results of a query that were used now, and of older ones those of one generation.
    pub(super) fn remember(&self, query: &str, used: Vec<Kept>) -> Result<()> {
        if !self.remember {
            return Ok(());
        }
        let folder = self.folder(query);
        // A query that is cut by month from now on has no use for what was kept of the whole, nor the other way round.
        let is_by_month = used.first().is_some_and(|piece| piece.month.is_some());
        let mut before = read_index(&folder);
        let all = before.len();
        before.retain(|piece| piece.month.is_some() == is_by_month);
        let mut left = BTreeMap::<Option<String>, usize>::new();
        let mut index: Vec<Kept> = Vec::new();
        for piece in used.into_iter().chain(before.iter().cloned()) {
            let known = index.iter().any(|k| k.month == piece.month && k.ingredients == piece.ingredients);
            let seen = left.entry(piece.month.clone()).or_default();
            if !known && *seen < GENERATIONS {
                *seen += 1;
                index.push(piece);
            }
        }
        let same = |a: &Kept, b: &Kept| a.month == b.month && a.ingredients == b.ingredients;
        if index.len() == all && index.iter().zip(&before).all(|(a, b)| same(a, b)) {
            return Ok(());
        }
        let path = folder.join(INDEX);
        let text = serde_json::to_vec(&index).map_err(|e| Error::Internal(e.to_string()))?;
        let failed = |e: &dyn std::fmt::Display| Error::path("write", &path, e);
        let mut draft = NamedTempFile::new_in(&folder).map_err(|e| failed(&e))?;
        draft.write_all(&text).map_err(|e| failed(&e))?;
        draft.persist(&path).map_err(|e| failed(&e.error))?;
        Ok(())
    }

    /// Removes files that no index names, and the folders of queries that are not in `known`, unless another process
    /// is at work here.
    pub fn clear(self, known: &BTreeSet<&str>) -> Result<()> {
        let failed = |e| Error::path("lock", &self.root.join(LOCK), e);
        self.lock.unlock().map_err(failed)?;
        if self.lock.try_lock().is_err() {
            return Ok(());
        }
        for folder in entries(&self.root)?.into_iter().filter(|path| path.is_dir()) {
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if known.contains(name) {
                clear_folder(&folder)?;
            } else {
                fs::remove_dir_all(&folder).map_err(|e| Error::path("remove folder", &folder, e))?;
            }
        }
        Ok(())
    }
}

fn read_index(folder: &Path) -> Vec<Kept> {
    let text = fs::read(folder.join(INDEX)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn clear_folder(folder: &Path) -> Result<()> {
    let named: BTreeSet<String> =
        read_index(folder).into_iter().filter_map(|kept| kept.file).map(|file| file.path).collect();
    for path in entries(folder)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name != INDEX && !named.contains(name) {
            fs::remove_file(&path).map_err(|e| Error::path("remove", &path, e))?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::path("read folder", folder, e);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

//! Files that were read, told by their bytes and not by their names.

use std::collections::{HashMap, HashSet};

/// The lengths of files, and the SHA-256 (hex) of those of each length.
#[derive(Debug, Default)]
pub struct KnownFiles(HashMap<u64, HashSet<String>>);

impl FromIterator<(u64, String)> for KnownFiles {
    fn from_iter<I: IntoIterator<Item = (u64, String)>>(files: I) -> Self {
        let mut known = Self::default();
        for (bytes, sha256) in files {
            known.add(bytes, sha256);
        }
        known
    }
}

impl KnownFiles {
    /// Adds a file; whether it is new.
    pub(super) fn add(&mut self, bytes: u64, sha256: String) -> bool {
        self.0.entry(bytes).or_default().insert(sha256)
    }

    /// Whether a file of this length is known. If not, no file of this length can be a repeat.
    pub(super) fn has_length(&self, bytes: u64) -> bool {
        self.0.contains_key(&bytes)
    }

    /// Whether the file is known.
    pub(super) fn has(&self, bytes: u64, sha256: &str) -> bool {
        self.0.get(&bytes).is_some_and(|known| known.contains(sha256))
    }
}

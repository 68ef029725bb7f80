//! What a user should know about dimension files that are no errors: each kind of thing once, with how often it is there
//! and where first. It does not know how it is shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

// So many places are named; the rest is counted.
const NAMED: usize = 3;

/// Things found in dimension files, by file and kind.
#[derive(Debug, Default)]
pub(super) struct Notes(BTreeMap<(PathBuf, String), Places>);

#[derive(Debug, Default)]
struct Places {
    count: u64,
    first: Vec<String>,
}

impl Notes {
    /// Adds one thing of a kind, with the place to show for it.
    pub(super) fn add(&mut self, path: &Path, what: &str, place: &str) {
        let places = self.0.entry((path.to_owned(), what.to_owned())).or_default();
        places.count += 1;
        if places.first.len() < NAMED {
            places.first.push(place.to_owned());
        }
    }

    /// Adds what was found elsewhere.
    pub(super) fn extend(&mut self, others: Self) {
        for (kind, other) in others.0 {
            let places = self.0.entry(kind).or_default();
            places.count += other.count;
            let room = NAMED - places.first.len();
            places.first.extend(other.first.into_iter().take(room));
        }
    }

    /// A sentence for each kind, by file.
    pub(super) fn sentences(&self) -> Vec<String> {
        let sentence = |((path, what), places): (&(PathBuf, String), &Places)| {
            let rest = places.count - places.first.len() as u64;
            let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            format!("{}: {what} ({}{rest})", path.display(), places.first.join(", "))
        };
        self.0.iter().map(sentence).collect()
    }
}

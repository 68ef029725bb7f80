//! Who counts: the exclusions and internal users that rollups depend on beside the events, and their fingerprint.

use std::fmt::Write;

use hashbrown::HashSet;
use sha2::{Digest, Sha256};

// Raised when the rollups themselves change their meaning, so that stores of older versions are rolled up again.
const ROLLUP_VERSION: &str = "rollups 2";

/// Who counts: what rollups depend on beside the events.
#[derive(Debug, Clone, Default)]
pub struct Who {
    /// Actions that count for nobody.
    pub exclude_actions: HashSet<String>,
    /// Apps that count for nobody.
    pub exclude_apps: HashSet<String>,
    /// Users of one's own house.
    pub internal_users: HashSet<String>,
}

impl Who {
    /// A hash that changes when a rollup may change: hex of SHA-256.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(ROLLUP_VERSION);
        for set in [&self.exclude_actions, &self.exclude_apps, &self.internal_users] {
            let mut texts = set.iter().map(String::as_bytes).collect::<Vec<_>>();
            texts.sort_unstable();
            hasher.update((texts.len() as u64).to_le_bytes());
            // Each text goes in behind its length, so that no two lists look alike.
            for text in texts {
                hasher.update((text.len() as u64).to_le_bytes());
                hasher.update(text);
            }
        }
        hasher.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a `String` cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(actions: &[&str], apps: &[&str], users: &[&str]) -> Who {
        let set = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Who { exclude_actions: set(actions), exclude_apps: set(apps), internal_users: set(users) }
    }

    #[test]
    fn the_hash_depends_on_the_contents_and_nothing_else() {
        let hash = who(&["a", "bc"], &["x"], &[]).hash();
        assert_eq!(hash.len(), 64);
        assert_eq!(hash, who(&["bc", "a"], &["x"], &[]).hash());
        let others = [
            who(&["ab", "c"], &["x"], &[]),
            who(&["a", "bc"], &[], &["x"]),
            who(&["a"], &["bc", "x"], &[]),
            Who::default(),
        ];
        for other in others {
            assert_ne!(hash, other.hash(), "{other:?}");
        }
    }
}

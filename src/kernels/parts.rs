//! Work on ids that do not fit into the memory all at once: done for one range of ids after the other. It does not know
//! what the work is.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::Input;
use super::pairs::{Pairs, Rollup, Row};
use crate::columns::Wanted;
use crate::error::{Error, Result};

/// Why work ends before its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// It would take more memory than it may.
    Full,
    /// Something else.
    Failed(Error),
}

/// What work gives that may be too much at once.
pub(super) type Halted<T> = std::result::Result<T, Halt>;

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Halt {
    /// What there is to say of work on a rollup that cannot be divided any further, and may take what memory it needs.
    pub(super) fn into_error(self, rollup: &Rollup) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::Full => {
                let (table, most, [org, other]) = (rollup.table, Row::MOST_PAIRS, rollup.ids);
                Error::Data(format!(
                    "table `{table}` has more than {most} pairs of {org} and {other} that belong together"
                ))
            }
        }
    }
}

/// A range of ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Part {
    from: String,
    // None for all that come after.
    before: Option<String>,
}

impl Part {
    /// Whether it is all ids.
    pub(super) fn is_all(&self) -> bool {
        self.from.is_empty() && self.before.is_none()
    }

    /// Whether an id lies in it.
    pub(super) fn has(&self, id: &str) -> bool {
        id >= self.from.as_str() && self.before.as_deref().is_none_or(|before| id < before)
    }

    /// Whether an id from `least` to `most` may lie in it.
    pub(super) fn may_have(&self, least: &[u8], most: &[u8]) -> bool {
        most >= self.from.as_bytes() && self.before.as_ref().is_none_or(|before| least < before.as_bytes())
    }
}

/// The pairs of a rollup, all at once for as long as they fit.
pub(super) struct Whole {
    /// Whose pairs they are.
    pub(super) rollup: &'static Rollup,
    // What may be taken, in bytes.
    memory: usize,
    all: Mutex<Option<Arc<Pairs>>>,
}

impl Whole {
    /// Rows are kept up to `room` bytes; pairs fit up to `memory` bytes.
    pub(super) fn new(rollup: &'static Rollup, room: usize, memory: usize) -> Arc<Self> {
        let all = Pairs::new(rollup, Part::default(), room, memory);
        Arc::new(Self { rollup, memory, all: Mutex::new(Some(all)) })
    }

    /// All pairs; `None` if they were found not to fit.
    pub(super) fn all(&self) -> Option<Arc<Pairs>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Some work on them does not fit. If it is they that take most of the memory, who works on them may go on, and nobody
    /// else begins; otherwise others may have less to hold beside them. Gives what is left for the work in parts.
    pub(super) fn memory_for_parts(&self) -> usize {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        match all.as_ref().map_or(0, |pairs| pairs.known().bytes()) {
            bytes if bytes <= self.memory / 2 => self.memory - bytes,
            _ => {
                all.take();
                self.memory
            }
        }
    }

    /// What work gives for all pairs or, if they do not fit, for one part of them after the other. The ids that tell the
    /// parts apart are read from a column of some files. Work that ends as [`Halt::Full`] is begun again, so it must leave
    /// nothing behind.
    pub(super) fn in_parts<T, W: FnMut(&Arc<Pairs>) -> Halted<T>>(
        self: &Arc<Self>,
        column: Wanted,
        files: &[Input],
        mut work: W,
    ) -> impl Iterator<Item = Result<T>> + use<T, W> {
        let at_once = match self.all().map(|pairs| work(&pairs)) {
            Some(Ok(all)) => Some(Ok(all)),
            Some(Err(Halt::Failed(error))) => Some(Err(error)),
            Some(Err(Halt::Full)) | None => None,
        };
        let parts = at_once.is_none().then(|| self.parts(column, files.to_vec(), work));
        at_once.into_iter().chain(parts.into_iter().flatten())
    }

    /// What work gives for each part of the pairs, in the order of the ids.
    pub(super) fn parts<T, W: FnMut(&Arc<Pairs>) -> Halted<T>>(
        self: &Arc<Self>,
        column: Wanted,
        files: Vec<Input>,
        mut work: W,
    ) -> impl Iterator<Item = Result<T>> + use<T, W> {
        let whole = Arc::clone(self);
        let memory = whole.memory_for_parts();
        let begin = move || Sample::read(column, &files).map(|sample| (sample.parts(memory), sample));
        let mut begun: Option<(Vec<Part>, Sample)> = None;
        let mut next = move || -> Result<Option<T>> {
            let (parts, sample) = match &mut begun {
                Some(begun) => begun,
                None => begun.insert(begin()?),
            };
            while let Some(part) = parts.pop() {
                let mut work = |memory| work(&Pairs::new(whole.rollup, part.clone(), 0, memory));
                match work(memory) {
                    Ok(given) => return Ok(Some(given)),
                    Err(Halt::Failed(error)) => return Err(error),
                    Err(Halt::Full) => match sample.halves(&part) {
                        Some([first, second]) => parts.extend([second, first]),
                        None => return work(usize::MAX).map(Some).map_err(|halt| halt.into_error(whole.rollup)),
                    },
                }
            }
            Ok(None)
        };
        iter::from_fn(move || next().transpose())
    }
}

// The same in every run.
fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Some of the distinct ids of a column, evenly chosen.
struct Sample {
    ids: Vec<String>,
    // How many distinct ids there are, about.
    all: u64,
}

impl Sample {
    const MOST: usize = 4096;
    // What an id takes, about, with its text, a pair or two, and what work notes of them.
    const ID_BYTES: u64 = 96;

    /// Takes the ids with the least hashes.
    fn read(column: Wanted, files: &[Input]) -> Result<Self> {
        let mut least: BTreeMap<u64, String> = BTreeMap::new();
        for file in files {
            for chunk in column.read(&file.path)? {
                chunk?.texts(column.texts[0])?.each(|id| {
                    let hash = hash(id);
                    if least.len() == Self::MOST && least.last_key_value().is_some_and(|(most, _)| hash > *most) {
                        return;
                    }
                    least.entry(hash).or_insert_with(|| id.to_owned());
                    if least.len() > Self::MOST {
                        least.pop_last();
                    }
                });
            }
        }
        let all = match least.last_key_value() {
            // They lie evenly up to the last hash, and all others above it.
            Some((most, _)) if least.len() == Self::MOST => least.len() as u64 * (u64::MAX / (*most).max(1)),
            _ => least.len() as u64,
        };
        let mut ids: Vec<String> = least.into_values().collect();
        ids.sort_unstable();
        Ok(Self { ids, all })
    }

    /// All ids in parts that should fit, the last one first.
    fn parts(&self, memory: usize) -> Vec<Part> {
        let count = (self.all * Self::ID_BYTES).div_ceil(memory.max(1) as u64);
        let count = usize::try_from(count).unwrap_or(usize::MAX).clamp(1, self.ids.len().max(1));
        let mut ends = (1..count).map(|part| self.ids[part * self.ids.len() / count].clone()).collect::<Vec<_>>();
        ends.dedup();
        let mut before = None;
        let mut parts = Vec::new();
        for from in ends.into_iter().rev() {
            parts.push(Part { from: from.clone(), before: before.replace(from) });
        }
        parts.push(Part { from: String::new(), before });
        parts
    }

    /// A part as two; `None` if no id is known to part it at.
    fn halves(&self, part: &Part) -> Option<[Part; 2]> {
        let inner: Range<usize> = self.ids.partition_point(|id| *id <= part.from)
            ..part.before.as_ref().map_or(self.ids.len(), |before| self.ids.partition_point(|id| id < before));
        let middle = self.ids.get(inner.start + inner.len() / 2).filter(|_| !inner.is_empty())?.clone();
        let first = Part { from: part.from.clone(), before: Some(middle.clone()) };
        Some([first, Part { from: middle, before: part.before.clone() }])
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;

    use super::super::pairs::APPS;
    use super::*;

    const ORGS: [&str; 7] = ["", "a", "a1", "b", "c", "cc", "d"];

    fn file(folder: &tempfile::TempDir) -> Vec<Input> {
        let path = folder.path().join("orgs");
        let orgs: ArrayRef = Arc::new(StringArray::from(ORGS.to_vec()));
        let rows = RecordBatch::try_from_iter([("org_id", orgs)]).expect("rows");
        let file = File::create(&path).expect("a file");
        let mut file = ArrowWriter::try_new(file, rows.schema(), None).expect("a writer");
        file.write(&rows).expect("written");
        file.close().expect("closed");
        vec![Input { path, day: None }]
    }

    // The organisations of each part, where so many fit.
    fn parts(memory: usize, most: usize) -> Vec<Vec<&'static str>> {
        let folder = tempfile::tempdir().expect("a folder");
        let whole = Whole::new(&APPS, 0, memory);
        let given = whole.in_parts(APPS.divided_by(), &file(&folder), |pairs| {
            let orgs: Vec<&str> = ORGS.into_iter().filter(|org| pairs.part().has(org)).collect();
            if orgs.len() <= most || pairs.fit(usize::MAX).is_ok() { Ok(orgs) } else { Err(Halt::Full) }
        });
        let given = given.collect::<Result<_>>();
        // Nobody else begins if the little that is known is most of the memory.
        assert_eq!(whole.all().is_none(), most < ORGS.len() && memory == 1);
        given.expect("parts")
    }

    #[test]
    fn what_does_not_fit_is_done_in_parts_in_order() {
        assert_eq!(parts(1 << 20, 7), [ORGS.to_vec()]);
        for (memory, most) in [(1 << 20, 6), (1 << 20, 3), (1 << 20, 1), (300, 4), (1, 2), (1, 0)] {
            let parts = parts(memory, most);
            assert_eq!(parts.concat(), ORGS, "{memory} {most}");
            assert!(parts.len() > 1 && parts.iter().all(|part| part.len() <= most.max(1)), "{memory} {most}");
        }
    }
}

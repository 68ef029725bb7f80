//! The laws of sealing, through a real store: however a log is split, and wherever a writer is killed, the same tables.

use std::collections::BTreeMap;
use std::path::Path;

use orgpulse::event::Table;
use orgpulse::seal::{DayCounts, Limits, Sealed, rebuild, seal};
use orgpulse::store::{BatchFiles, Snapshot, Staging, Stale, Store, WriterLock};
use proptest::prelude::{ProptestConfig, any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};

use crate::log::{Event, FIRST_DAY, Row, accepted, event, event_rows, read, staged, who};
use crate::rollups::by_sql;

const ENOUGH: Limits = Limits { memory: 1 << 30 };
// So little that every day goes by way of work files.
const TINY: Limits = Limits { memory: 1 << 10 };

/// A store in a folder that goes with it, held for writing.
struct Bench {
    store: Store,
    lock: WriterLock,
    _folder: tempfile::TempDir,
}

async fn bench() -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::create_or_open(folder.path(), chrono_tz::UTC).await.expect("a store");
    let lock = store.lock().expect("the lock");
    Bench { store, lock, _folder: folder }
}

impl Bench {
    // Seals a batch whose events come from as many files as there are groups.
    fn seal(&self, base: &Snapshot, groups: &[&[Event]], limits: Limits) -> Sealed {
        let work = self.store.work_folder().expect("a work folder");
        let staging = stage(work.path(), groups);
        seal(&self.store, base, &staging, groups.len(), &who(), limits).expect("sealed")
    }

    async fn commit_events(&self, base: &Snapshot, sealed: &mut Sealed) -> Snapshot {
        let files = BatchFiles { events: std::mem::take(&mut sealed.events), ..BatchFiles::default() };
        self.store.commit_batch(&self.lock, base, files).await.expect("committed")
    }

    async fn ingest(&self, groups: &[&[Event]], limits: Limits) -> Sealed {
        let base = self.store.snapshot().await.expect("a snapshot");
        let mut sealed = self.seal(&base, groups, limits);
        let base = self.commit_events(&base, &mut sealed).await;
        let rollups = std::mem::take(&mut sealed.rollups);
        self.store.commit_rollups(&self.lock, &base, rollups, &who().hash()).await.expect("committed");
        sealed
    }

    async fn tables(&self) -> BTreeMap<Table, Vec<Row>> {
        let snapshot = self.store.snapshot().await.expect("a snapshot");
        let by_day = snapshot.tables.iter().filter(|(table, _)| table.by_day());
        by_day.map(|(&table, files)| (table, read(files, &files.files))).collect()
    }
}

async fn expected_tables(events: &[Event]) -> BTreeMap<Table, Vec<Row>> {
    let mut tables = by_sql(events, &who()).await;
    tables.insert(Table::Events, event_rows(events));
    tables
}

fn stage(folder: &Path, groups: &[&[Event]]) -> Staging {
    let mut staging = Staging::new(folder, 1 << 20);
    for (file, group) in (0..).zip(groups) {
        for event in *group {
            staging.push(event.day, staged([event], file)).expect("staged");
        }
    }
    staging
}

// The log in consecutive pieces, some of them empty.
fn pieces<'a>(log: &'a [Event], cuts: &[usize]) -> Vec<&'a [Event]> {
    let mut cuts = cuts.iter().map(|cut| cut % (log.len() + 1)).chain([0, log.len()]).collect::<Vec<_>>();
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &log[pair[0]..pair[1]]).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

proptest! {
    // Every case makes and fills stores.
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn any_split_of_a_log_gives_the_tables_of_the_model(
        log in prop::collection::vec(event(), 0..120),
        cuts in prop::collection::vec(any::<usize>(), 0..3),
        is_tiny in any::<bool>(),
    ) {
        runtime().block_on(async {
            let bench = bench().await;
            let limits = if is_tiny { TINY } else { ENOUGH };
            let (mut new, mut repeated) = (0, 0);
            for piece in pieces(&log, &cuts) {
                let sealed = bench.ingest(&[piece], limits).await;
                new += sealed.days.values().map(|day| day.accepted).sum::<u64>();
                repeated += sealed.duplicates.iter().sum::<u64>();
                prop_assert_eq!(sealed.days.values().map(|day| day.duplicate).sum::<u64>(), sealed.duplicates[0]);
            }
            let (events, duplicates) = accepted(&log);
            prop_assert_eq!(repeated, duplicates);
            prop_assert_eq!(new, events.len() as u64);
            prop_assert_eq!(bench.tables().await, expected_tables(&events).await);
            Ok(())
        })?;
    }

    #[test]
    fn a_batch_that_repeats_known_ids_changes_nothing(log in prop::collection::vec(event(), 1..80)) {
        runtime().block_on(async {
            let log = log.into_iter().filter(|event| !event.id.is_empty()).collect::<Vec<_>>();
            let bench = bench().await;
            bench.ingest(&[&log], ENOUGH).await;
            let base = bench.store.snapshot().await.expect("a snapshot");
            for limits in [ENOUGH, TINY] {
                let again = bench.seal(&base, &[&[], &log], limits);
                prop_assert_eq!(&again.duplicates, &[0, log.len() as u64]);
                prop_assert!(again.events.is_empty() && again.rollups.days.is_empty());
                prop_assert!(again.rollups.files.values().all(Vec::is_empty));
                prop_assert!(again.days.values().all(|day| day.accepted == 0 && day.late == 0));
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_killed_writer_leaves_nothing_that_a_rebuild_does_not_mend(
        log in prop::collection::vec(event(), 1..80),
        cut in any::<usize>(),
        is_tiny in any::<bool>(),
    ) {
        runtime().block_on(async {
            let bench = bench().await;
            let limits = if is_tiny { TINY } else { ENOUGH };
            let [first, second] = pieces(&log, &[cut])[..] else { unreachable!("one cut makes two pieces") };
            bench.ingest(&[first], ENOUGH).await;
            let before = bench.tables().await;
            let base = bench.store.snapshot().await.expect("a snapshot");

            // Killed before the commit: the files are there, and nobody sees them.
            drop(bench.seal(&base, &[second], ENOUGH));
            prop_assert_eq!(bench.tables().await, before);

            // Killed between events and rollups: the rollups are known to be stale.
            let mut sealed = bench.seal(&base, &[second], ENOUGH);
            let base = bench.commit_events(&base, &mut sealed).await;
            let days = match bench.store.stale_rollups(&base, &who().hash()).await.expect("compared") {
                Stale::Nothing => Vec::new(),
                Stale::Days(days) => days,
                Stale::All => base.tables[&Table::Events].days(),
            };
            let missing = sealed.rollups.days.iter().filter(|day| !days.contains(day)).count();
            prop_assert_eq!(missing, 0, "{:?} are stale", days);
            let rollups = rebuild(&bench.store, &base, &days, &who(), limits).expect("rebuilt");
            let hash = who().hash();
            bench.store.commit_rollups(&bench.lock, &base, rollups, &hash).await.expect("committed");
            let after = bench.store.snapshot().await.expect("a snapshot");
            prop_assert_eq!(bench.store.stale_rollups(&after, &hash).await.expect("compared"), Stale::Nothing);
            let (events, _) = accepted(&log);
            prop_assert_eq!(bench.tables().await, expected_tables(&events).await);
            Ok(())
        })?;
    }
}

fn simple(day: i32, id: &str) -> Event {
    let [org, user, app, action] = ["a", "u", "chat", "use"].map(str::to_owned);
    let (day, ts) = (FIRST_DAY + day, i64::from(FIRST_DAY + day) * 86_400_000_000);
    Event { day, org, user, app, ts, id: id.to_owned(), action, duration_ms: 1, room: String::new(), extra: None }
}

#[test]
fn events_are_late_up_to_the_last_day_observed_before() {
    runtime().block_on(async {
        let bench = bench().await;
        let first = bench.ingest(&[&[simple(0, "1"), simple(2, "2")]], ENOUGH).await;
        assert!(first.days.values().all(|day| day.late == 0), "an empty store has observed no day");
        let log = [1, 2, 2, 2, 3].map(|day| simple(day, if day == 2 { "2" } else { "" }));
        let mut log = log.to_vec();
        log.push(simple(2, "3"));
        let second = bench.ingest(&[&log], ENOUGH).await;
        let counts = |accepted, duplicate, late| DayCounts { accepted, duplicate, late };
        let expected = [(1, counts(1, 0, 1)), (2, counts(1, 3, 1)), (3, counts(1, 0, 0))];
        assert_eq!(second.days, expected.map(|(day, counts)| (FIRST_DAY + day, counts)).into());
    });
}

#[test]
fn the_first_of_the_same_id_wins_over_batches_and_files() {
    runtime().block_on(async {
        let bench = bench().await;
        let with = |user: &str| Event { user: user.to_owned(), ..simple(0, "1") };
        let sealed = bench.ingest(&[&[with("z")], &[with("a"), with("b")]], ENOUGH).await;
        assert_eq!(sealed.duplicates, [0, 2]);
        let sealed = bench.ingest(&[&[], &[with("c")], &[simple(1, "1")]], ENOUGH).await;
        assert_eq!(sealed.duplicates, [0, 1, 0], "the same id on another day is another event");
        let kept = [with("z"), simple(1, "1")];
        assert_eq!(bench.tables().await, expected_tables(&kept).await);
    });
}

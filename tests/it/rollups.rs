//! The rollups that the seal pass computes are those that the SQL of record defines, row by row.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, RecordBatch, StringArray};
use datafusion::prelude::SessionContext;
use orgpulse::event::Table;
use orgpulse::seal::{Limits, Who, seal};
use orgpulse::store::{Staging, Store};
use proptest::prelude::{ProptestConfig, prop};
use proptest::{prop_assert_eq, proptest};

use crate::log::{Event, Row, accepted, event, read, rows, staged, who};

const SQL: [(Table, &str); 6] = [
    (Table::UserDay, include_str!("../../queries/rollups/user_day/query.sql")),
    (Table::OrgAppDay, include_str!("../../queries/rollups/org_app_day/query.sql")),
    (Table::OrgUsersDay, include_str!("../../queries/rollups/org_users_day/query.sql")),
    (Table::RoomDay, include_str!("../../queries/rollups/room_day/query.sql")),
    (Table::AppUserDay, include_str!("../../queries/rollups/app_user_day/query.sql")),
    (Table::ConcurrencyDay, include_str!("../../queries/rollups/concurrency_day/query.sql")),
];

const ENOUGH: Limits = Limits { memory: 1 << 30 };
// So little that every day goes by way of work files.
const TINY: Limits = Limits { memory: 1 << 10 };

fn texts(name: &str, values: impl IntoIterator<Item = impl AsRef<str>>) -> RecordBatch {
    let column = Arc::new(StringArray::from_iter_values(values)) as ArrayRef;
    RecordBatch::try_from_iter([(name, column)]).expect("a table of one column")
}

fn events_with_day(events: &[Event]) -> RecordBatch {
    let batch = staged(events, 0);
    let day = Arc::new(Date32Array::from_iter_values(events.iter().map(|event| event.day))) as ArrayRef;
    let schema = batch.schema();
    let columns = schema.fields().iter().map(|field| field.name().as_str()).zip(batch.columns().iter().cloned());
    RecordBatch::try_from_iter(columns.chain([("day", day)])).expect("events with their day")
}

/// The users that the dimension knows: two people, one of them internal; the others are missing.
fn users() -> RecordBatch {
    let ids = Arc::new(StringArray::from(vec!["u1", "house"])) as ArrayRef;
    let internal = Arc::new(BooleanArray::from(vec![false, true])) as ArrayRef;
    RecordBatch::try_from_iter([("user_id", ids), ("is_internal", internal)]).expect("users")
}

/// The rows of each rollup that the SQL of record gives.
pub(crate) async fn by_sql(events: &[Event], who: &Who) -> BTreeMap<Table, Vec<Row>> {
    let context = SessionContext::new();
    let mut tables = vec![("events", events_with_day(events)), ("users", users())];
    tables.push(("excluded_actions", texts("action", &who.exclude_actions)));
    tables.push(("excluded_apps", texts("app_id", &who.exclude_apps)));
    for (name, batch) in tables {
        context.register_batch(name, batch).expect("a table");
    }
    let mut all = BTreeMap::new();
    for (table, sql) in SQL {
        let batches = context.sql(sql).await.expect("a plan").collect().await.expect("rows");
        all.insert(table, batches.iter().flat_map(|batch| rows(None, batch)).collect());
    }
    all
}

/// The rows of each rollup, as sealing gives them.
async fn by_seal(log: &[Event], who: &Who, limits: Limits) -> BTreeMap<Table, Vec<Row>> {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::create_or_open(folder.path(), chrono_tz::UTC).await.expect("a store");
    let base = store.snapshot().await.expect("a snapshot");
    let work = store.work_folder().expect("a work folder");
    let mut staging = Staging::new(work.path(), 1 << 20);
    for event in log {
        staging.push(event.day, staged([event], 0)).expect("staged");
    }
    let sealed = seal(&store, &base, &staging, 1, who, limits).expect("sealed");
    let rows = |table| {
        let files = sealed.rollups.files.get(&table).map_or(&[][..], Vec::as_slice);
        (table, read(&base.tables[&table], files))
    };
    Table::ROLLUPS.map(rows).into()
}

proptest! {
    // Every case makes stores.
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_seal_pass_computes_what_the_sql_defines(log in prop::collection::vec(event(), 0..150), nobody in 0..4) {
        // One case in four excludes nothing, so that empty tables are joined too.
        let who = if nobody == 0 { Who { internal_users: who().internal_users, ..Who::default() } } else { who() };
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let (events, _) = accepted(&log);
            let sealed = by_seal(&log, &who, ENOUGH).await;
            prop_assert_eq!(&sealed, &by_sql(&events, &who).await);
            prop_assert_eq!(sealed, by_seal(&log, &who, TINY).await);
            Ok(())
        })?;
    }
}

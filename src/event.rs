//! The nouns that are stored: the columns of an event and of the tables derived from it, and why a record is refused.
//! It does not know how they are read, sorted, or written.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

/// The longest `duration_ms` that an event may have: 24 hours.
pub const MAX_DURATION_MS: i64 = 86_400_000;
/// The longest id in bytes.
pub const MAX_ID_BYTES: usize = 256;
/// The `action` of an event that names none.
pub const DEFAULT_ACTION: &str = "use";
/// The `action` that `user_day.check_ins` counts.
pub const CHECK_IN: &str = "check_in";

/// The tables of a store. Text columns hold an empty string where a record had none; only `extra` can be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Accepted events, a day sorted by (`org_id`, `user_id`, `app_id`, `ts`).
    Events,
    /// A row per day, organisation and user with an accepted event.
    UserDay,
    /// A row per day, organisation and app with an accepted event.
    OrgAppDay,
    /// A row per day and organisation with a human event.
    OrgUsersDay,
    /// A row per day, organisation, app and `concurrent_id` with a human event.
    RoomDay,
    /// A row per day, app and user with a human event, over all organisations.
    AppUserDay,
    /// A row per day and app with a human event that lasts, over all organisations.
    ConcurrencyDay,
    /// Refused records.
    Rejects,
    /// A row per batch and file: the ledger of ingests.
    Batches,
    /// A row per batch and day that it touched.
    BatchDays,
}

impl Table {
    /// All tables of a store.
    pub const ALL: [Self; 10] = [
        Self::Events,
        Self::UserDay,
        Self::OrgAppDay,
        Self::OrgUsersDay,
        Self::RoomDay,
        Self::AppUserDay,
        Self::ConcurrencyDay,
        Self::Rejects,
        Self::Batches,
        Self::BatchDays,
    ];

    /// The tables that are derived from `events`, day by day.
    pub const ROLLUPS: [Self; 6] =
        [Self::UserDay, Self::OrgAppDay, Self::OrgUsersDay, Self::RoomDay, Self::AppUserDay, Self::ConcurrencyDay];

    /// The name in SQL and the folder in the store.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::UserDay => "user_day",
            Self::OrgAppDay => "org_app_day",
            Self::OrgUsersDay => "org_users_day",
            Self::RoomDay => "room_day",
            Self::AppUserDay => "app_user_day",
            Self::ConcurrencyDay => "concurrency_day",
            Self::Rejects => "rejects",
            Self::Batches => "batches",
            Self::BatchDays => "batch_days",
        }
    }

    /// Whether the table is partitioned by a `day` column that its files do not hold.
    #[must_use]
    pub fn by_day(self) -> bool {
        self == Self::Events || Self::ROLLUPS.contains(&self)
    }

    /// The columns by which the rows of a file are sorted.
    #[must_use]
    pub fn sort_key(self) -> &'static [&'static str] {
        match self {
            Self::Events => &["org_id", "user_id", "app_id", "ts"],
            Self::UserDay => &["org_id", "user_id"],
            Self::OrgAppDay => &["org_id", "app_id"],
            Self::OrgUsersDay => &["org_id"],
            Self::RoomDay => &["org_id", "app_id", "concurrent_id"],
            Self::AppUserDay => &["app_id", "user_id"],
            Self::ConcurrencyDay => &["app_id"],
            Self::Rejects | Self::Batches | Self::BatchDays => &[],
        }
    }

    /// The columns of a file, without the partition column `day`.
    #[must_use]
    pub fn file_schema(self) -> SchemaRef {
        static SCHEMAS: LazyLock<[SchemaRef; Table::ALL.len()]> = LazyLock::new(|| Table::ALL.map(build_schema));
        Arc::clone(&SCHEMAS[self as usize])
    }
}

fn build_schema(table: Table) -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let count = |name: &str| Field::new(name, DataType::Int64, false);
    let instant = |name: &str| Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false);
    let fields = match table {
        Table::Events => vec![
            text("event_id"),
            instant("ts"),
            text("user_id"),
            text("org_id"),
            text("app_id"),
            text("action"),
            count("duration_ms"),
            text("concurrent_id"),
            Field::new("extra", DataType::Utf8, true),
        ],
        // events: all accepted; the other counts and usage_ms: only those that the dictionary counts as human, or as machine.
        Table::UserDay => vec![
            text("org_id"),
            text("user_id"),
            count("events"),
            count("human_events"),
            count("usage_ms"),
            count("check_ins"),
        ],
        Table::OrgAppDay => vec![
            text("org_id"),
            text("app_id"),
            count("events"),
            count("human_events"),
            count("machine_events"),
            count("usage_ms"),
        ],
        Table::OrgUsersDay => vec![text("org_id"), count("users")],
        Table::RoomDay => vec![
            text("org_id"),
            text("app_id"),
            text("concurrent_id"),
            count("users"),
            count("human_events"),
            count("usage_ms"),
        ],
        Table::AppUserDay => vec![text("app_id"), text("user_id"), count("human_events"), count("usage_ms")],
        Table::ConcurrencyDay => {
            vec![text("app_id"), count("peak_users"), instant("peak_at"), count("peak_rooms"), count("largest_room")]
        }
        Table::Rejects => vec![count("batch"), text("source"), count("line"), text("reason"), text("raw")],
        Table::Batches => vec![
            count("batch"),
            text("source"),
            text("sha256"),
            count("bytes"),
            count("read"),
            count("accepted"),
            count("duplicate"),
            count("rejected"),
            instant("ingested_at"),
        ],
        Table::BatchDays => vec![
            count("batch"),
            Field::new("day", DataType::Date32, false),
            count("accepted"),
            count("duplicate"),
            count("late"),
        ],
    };
    Arc::new(Schema::new(Fields::from(fields)))
}

/// Why a record is no event. The order is the order in which the rules are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Not UTF-8.
    BadEncoding,
    /// Longer than `max_record_bytes`.
    TooLong,
    /// Not a JSON object, not a CSV record of the header's width, or a text field of another type.
    BadRecord,
    /// No `ts`.
    MissingTs,
    /// A `ts` of another form than the source's.
    BadTs,
    /// No `app_id`.
    MissingApp,
    /// A duration that is no number, negative, or over 24 hours.
    BadDuration,
    /// More than 24 hours past the clock.
    FutureTs,
    /// Before `earliest_day`.
    TooOld,
    /// An id that is too long or has control characters.
    BadId,
}

impl Reason {
    /// The word in the table `rejects`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadEncoding => "bad_encoding",
            Self::TooLong => "too_long",
            Self::BadRecord => "bad_record",
            Self::MissingTs => "missing_ts",
            Self::BadTs => "bad_ts",
            Self::MissingApp => "missing_app",
            Self::BadDuration => "bad_duration",
            Self::FutureTs => "future_ts",
            Self::TooOld => "too_old",
            Self::BadId => "bad_id",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_finds_its_own_schema() {
        for table in Table::ALL {
            let schema = table.file_schema();
            assert_eq!(schema, build_schema(table), "{}", table.name());
            assert_eq!(schema.index_of("day").is_ok(), table == Table::BatchDays);
            for column in table.sort_key() {
                assert!(schema.index_of(column).is_ok(), "{} has no {column}", table.name());
            }
        }
    }
}

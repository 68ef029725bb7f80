//! DataFusion in this process: its configuration, its memory, and which functions exist. It does not know tables.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::Volatility;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::engine::{failure, functions};
use crate::error::Result;
use crate::settings::EngineSettings;

// So much of the memory is for what files say of themselves: one part of so many.
const KNOWN_PART: usize = 64;

// How many of the operators that hold most memory are named when it runs out.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(3).expect("three is not zero");

/// A session on the local engine.
pub(super) fn start(settings: &EngineSettings) -> Result<SessionContext> {
    let config = configure(SessionConfig::new(), settings);
    let context = SessionContext::new_with_config_rt(config, runtime(settings)?);
    functions::register(&mut *context.state_ref().write()).map_err(failure)?;
    forget_clocks(&context);
    Ok(context)
}

/// What every engine sets in the same way.
pub(super) fn configure(config: SessionConfig, settings: &EngineSettings) -> SessionConfig {
    let mut config = config.with_target_partitions(threads(settings)).with_information_schema(true);
    let options = config.options_mut();
    // Text is Utf8 in our schemas, so it stays Utf8: results have the declared types on every engine.
    options.execution.parquet.schema_force_view_types = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    // `0.5` is exact; a sum of floats depends on the order in which threads finish.
    options.sql_parser.parse_float_as_decimal = true;
    // A sort sets this much aside for merging what it spilled, in each partition: with many threads and little memory
    // the usual 10 MB would be all there is.
    let share = usize::try_from(settings.memory).unwrap_or(usize::MAX) / (8 * threads(settings));
    let usual = options.execution.sort_spill_reservation_bytes;
    options.execution.sort_spill_reservation_bytes = usual.min(share);
    config
}

/// The number of partitions that run at once.
pub(super) fn threads(settings: &EngineSettings) -> usize {
    match settings.threads {
        0 => available_parallelism().map_or(1, NonZeroUsize::get),
        threads => threads,
    }
}

/// Memory up to the limit, then files in the system's folder for temporary files. Each operator that can spill
/// gets an equal share: the queries at work have few of them, and none may starve the one that it feeds.
pub(super) fn runtime(settings: &EngineSettings) -> Result<Arc<RuntimeEnv>> {
    let memory = usize::try_from(settings.memory).unwrap_or(usize::MAX);
    let pool = TrackConsumersPool::new(FairSpillPool::new(memory), NAMED_CONSUMERS);
    let builder = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool));
    builder.with_metadata_cache_limit(memory / KNOWN_PART).build_arc().map_err(failure)
}

/// Removes the functions whose value is not fixed by their arguments: clocks, random numbers, identifiers.
pub(super) fn forget_clocks(context: &SessionContext) {
    let state = context.state();
    let mut unsteady: Vec<&str> = state
        .scalar_functions()
        .iter()
        .filter(|(_, function)| function.signature().volatility != Volatility::Immutable)
        .map(|(name, _)| name.as_str())
        .collect();
    unsteady.sort_unstable();
    for name in unsteady {
        context.deregister_udf(name);
    }
}

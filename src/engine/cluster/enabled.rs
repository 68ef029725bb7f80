//! Ballista in this process: a scheduler and one executor that talk over loopback, and the client's session. It does
//! not know queries. There is one executor because Ballista 55 can count rows twice when one of several dies.

use std::fmt::{Debug, Formatter};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use ballista_core::BALLISTA_PROTOCOL_VERSION;
use ballista_core::extension::{SessionConfigExt, SessionStateExt};
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::serde::BallistaCodec;
use ballista_core::serde::protobuf::ExecutorRegistration;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::scheduler::{ExecutorOperatingSystemSpecification, ExecutorSpecification};
use ballista_core::utils::{GrpcServerConfig, create_grpc_server, create_grpc_server_incoming};
use ballista_executor::execution_loop::poll_loop;
use ballista_executor::executor::Executor;
use ballista_executor::flight_service::BallistaFlightService;
use ballista_executor::health::ExecutorHealth;
use ballista_executor::metrics::LoggingMetricsCollector;
use ballista_scheduler::standalone::new_standalone_scheduler_from_state;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use futures::StreamExt;
use futures::stream::unfold;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::Channel;

use crate::engine::cluster::codec::Codec;
use crate::engine::cluster::rules::{LiteralBranches, SortAfterExchange};
use crate::engine::{failure, functions, local};
use crate::error::{Error, Result};
use crate::settings::EngineSettings;

/// A cluster that loses its executor does not say so; a query without a row for this long is given up.
const PATIENCE: Duration = Duration::from_hours(1);
// Plans are walked by recursion in the scheduler; a long query in a debug build overflows the usual 2 MB.
const STACK_BYTES: usize = 16 << 20;
// The scheduler listens before its address is known, so this many tries, a tenth of a second apart, are many.
const CONNECT_TRIES: u32 = 50;

/// What runs beside the session, on threads of its own. Dropping it ends scheduler and executor and removes what they
/// wrote.
pub(in crate::engine) struct Cluster {
    // Taken when dropped: a runtime must not wait for its end inside another one.
    runtime: Option<Runtime>,
    shuffles: TempDir,
}

impl Debug for Cluster {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Cluster").field("shuffles", &self.shuffles.path()).finish_non_exhaustive()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Starts scheduler and executor and gives a session that plans here and runs there.
pub(in crate::engine) async fn start(settings: &EngineSettings) -> Result<(SessionContext, Cluster)> {
    let config = SessionConfig::new_with_ballista()
        // The adaptive planner of Ballista 55 never answers a UNION ALL.
        .with_ballista_adaptive_query_planner(false)
        .with_ballista_logical_extension_codec(Arc::new(Codec::default()));
    let mut state = SessionStateBuilder::new()
        .with_default_features()
        .with_config(local::configure(config, settings))
        .with_runtime_env(local::runtime(settings)?)
        .with_physical_optimizer_rule(Arc::new(LiteralBranches))
        .with_physical_optimizer_rule(Arc::new(SortAfterExchange))
        .build();
    // Functions must be known to scheduler and executor, which copy this state, and to the session, whose list
    // Ballista replaces.
    functions::register(&mut state).map_err(failure)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(local::threads(settings))
        .thread_name("orgpulse-cluster")
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(broken)?;
    let shuffles = TempDir::with_prefix("orgpulse-shuffle-")
        .map_err(|e| Error::Storage(format!("cannot create a folder for temporary files: {e}")))?;
    let folder = shuffles.path().to_str().map(str::to_owned);
    let folder = folder.ok_or_else(|| Error::Storage("the folder for temporary files is not UTF-8".to_owned()))?;
    let (threads, there) = (local::threads(settings), state.clone());
    let url = runtime.spawn(async move { launch(&there, threads, &folder).await }).await.map_err(broken)??;
    let cluster = Cluster { runtime: Some(runtime), shuffles };
    let context = SessionContext::new_with_state(state.upgrade_for_ballista(url).map_err(failure)?);
    functions::register(&mut *context.state_ref().write()).map_err(failure)?;
    local::forget_clocks(&context);
    Ok((context, cluster))
}

/// Ends a stream with an error when it gives nothing for too long.
pub(in crate::engine) fn impatient(stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = stream.schema();
    let batches = unfold(Some(stream), |stream| async {
        let mut stream = stream?;
        if let Ok(batch) = tokio::time::timeout(PATIENCE, stream.next()).await {
            return batch.map(|batch| (batch, Some(stream)));
        }
        let message = format!("the cluster gave no row within {} s; run the query again", PATIENCE.as_secs());
        let late = std::io::Error::new(std::io::ErrorKind::TimedOut, message);
        Some((Err(DataFusionError::IoError(late)), None))
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

/// Starts the scheduler and the executor and gives the scheduler's address. The executor is that of
/// `ballista_executor::new_standalone_executor_from_state`, but with a folder of ours: there it is never removed.
async fn launch(state: &SessionState, threads: usize, folder: &str) -> Result<String> {
    let scheduler = new_standalone_scheduler_from_state(state).await.map_err(broken)?;
    let url = format!("http://localhost:{}", scheduler.port());
    let client = connect(&url).await?;

    let server = GrpcServerConfig::default();
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let incoming = create_grpc_server_incoming(any_port, &server).map_err(broken)?;
    let address = incoming.local_addr().map_err(broken)?;
    let limit = state.config().ballista_grpc_client_max_message_size();
    let flight = FlightServiceServer::new(BallistaFlightService::new(folder.to_owned()))
        .max_decoding_message_size(limit)
        .max_encoding_message_size(limit);
    let serve = create_grpc_server(&server).add_service(flight).serve_with_incoming(incoming);

    let cores = u32::try_from(threads).unwrap_or(u32::MAX);
    let registration = ExecutorRegistration {
        id: uuid::Uuid::new_v4().to_string(),
        host: Some(address.ip().to_string()),
        port: u32::from(address.port()),
        // An executor that polls listens on no other port.
        grpc_port: 0,
        specification: Some(ExecutorSpecification::default().with_vcores(cores).into()),
        os_info: Some(ExecutorOperatingSystemSpecification::default().into()),
        ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
    };
    let config = state.config().clone().upgrade_for_ballista();
    let runtime = Arc::clone(state.runtime_env());
    let executor = Executor::with_default_execution_engine(
        registration,
        folder,
        Arc::new(move |_| Ok(Arc::clone(&runtime))),
        Arc::new(move || config.clone()),
        Arc::new(BallistaFunctionRegistry::from(state)),
        Arc::new(LoggingMetricsCollector::default()),
        threads,
    );
    let codec: BallistaCodec<LogicalPlanNode, PhysicalPlanNode> = BallistaCodec::new(
        state.config().ballista_logical_extension_codec(),
        state.config().ballista_physical_extension_codec(),
    );
    let poll = poll_loop(client, Arc::new(executor), codec, None, None, ExecutorHealth::new());
    // When either ends early, its error reaches the user as the query's lost connection.
    tokio::spawn(async { drop(serve.await) });
    tokio::spawn(async { drop(poll.await) });
    Ok(url)
}

async fn connect(url: &str) -> Result<SchedulerGrpcClient<Channel>> {
    let mut tries = 0;
    loop {
        match SchedulerGrpcClient::connect(url.to_owned()).await {
            Ok(client) => return Ok(client),
            Err(error) if tries == CONNECT_TRIES => return Err(broken(error)),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        tries += 1;
    }
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("cannot start the cluster engine: {error}"))
}

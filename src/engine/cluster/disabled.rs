//! What stands for the cluster engine in a binary that was built without it.

use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::SessionContext;

use crate::error::{Error, Result};
use crate::settings::EngineSettings;

/// A cluster that cannot exist.
#[derive(Debug)]
pub(in crate::engine) enum Cluster {}

/// Says that there is no cluster engine.
pub(in crate::engine) async fn start(_settings: &EngineSettings) -> Result<(SessionContext, Cluster)> {
    let message = "this binary was built without the cluster engine; build with `--features cluster`, or set `[engine] kind = \"local\"`";
    Err(Error::Usage(message.to_owned()))
}

/// Leaves a stream as it is.
pub(in crate::engine) fn impatient(stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
    stream
}

//! What an error of DataFusion means for the user of this program. It does not know which query failed; callers say that.

use datafusion::error::DataFusionError;

use crate::error::Error;

/// Turns an error of a running query into this program's: memory and disk, a query that cannot be computed over these
/// values, or a defect.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "so that it can be given to map_err")]
pub fn failure(error: DataFusionError) -> Error {
    let message = one_line(&error);
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => Error::Storage(format!(
            "a query needs more memory than it may take: {message}; raise `[engine] memory`, or lower `[engine] threads`"
        )),
        DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) => {
            Error::Storage(format!("cannot read the tables of a query: {message}"))
        }
        DataFusionError::Plan(_)
        | DataFusionError::SQL(..)
        | DataFusionError::SchemaError(..)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Execution(_)
        | DataFusionError::ArrowError(..) => Error::Definition(message),
        _ => Error::Internal(message),
    }
}

/// The message without backtrace, on one line.
pub(super) fn one_line(error: &DataFusionError) -> String {
    let message = error.strip_backtrace();
    message.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

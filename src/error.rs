//! The one error type and its kinds. A kind tells the user what to do and fixes the exit code;
//! this module does not know which stage failed, the message does.

use std::fmt::Display;
use std::path::Path;

/// What went wrong, for a person: lower-case, no full stop; what, where, `key=value`, what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line or the environment asks for something that cannot be done (exit code 2).
    #[error("{0}")]
    Usage(String),
    /// The data is not fit to be counted: too many rejects, a failed check, a broken file (exit code 3).
    #[error("{0}")]
    Data(String),
    /// A query folder or a setting is wrong (exit code 4).
    #[error("{0}")]
    Definition(String),
    /// The store or the disk refused to read or write (exit code 5).
    #[error("{0}")]
    Storage(String),
    /// Another program took the place this one was about to write; trying again helps (exit code 5).
    #[error("{0}")]
    Conflict(String),
    /// A defect of this program or of a library below it (exit code 1).
    #[error("{0}")]
    Internal(String),
}

/// The result of everything that can fail here.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The exit code of the process that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Internal(_) => 1,
            Self::Usage(_) => 2,
            Self::Data(_) => 3,
            Self::Definition(_) => 4,
            Self::Storage(_) | Self::Conflict(_) => 5,
        }
    }

    /// A file or folder could not be used: `doing` is a verb phrase such as `read` or `create folder`.
    pub fn path(doing: &str, path: &Path, cause: impl Display) -> Self {
        Self::Storage(format!("cannot {doing} {}: {cause}", path.display()))
    }

    /// Says where an error happened without changing what kind it is.
    #[must_use]
    pub fn within(self, place: impl Display) -> Self {
        let add = |message: String| format!("{place}: {message}");
        match self {
            Self::Usage(m) => Self::Usage(add(m)),
            Self::Data(m) => Self::Data(add(m)),
            Self::Definition(m) => Self::Definition(add(m)),
            Self::Storage(m) => Self::Storage(add(m)),
            Self::Conflict(m) => Self::Conflict(add(m)),
            Self::Internal(m) => Self::Internal(add(m)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_survives_a_place() {
        let error = Error::Data("too many rejects".into()).within("logs/a.csv");
        assert_eq!(error.exit_code(), 3);
        assert_eq!(error.to_string(), "logs/a.csv: too many rejects");
    }
}

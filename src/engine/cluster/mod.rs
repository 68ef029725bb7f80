//! The cluster engine, if this binary has it: Apache Ballista, which ships plans and lists of files between
//! processes. It does not know what is asked of it.

#[cfg(feature = "cluster")]
mod codec;
#[cfg(not(feature = "cluster"))]
mod disabled;
#[cfg(feature = "cluster")]
mod enabled;
#[cfg(feature = "cluster")]
mod rules;

#[cfg(not(feature = "cluster"))]
pub(super) use disabled::{Cluster, impatient, start};
#[cfg(feature = "cluster")]
pub(super) use enabled::{Cluster, impatient, start};

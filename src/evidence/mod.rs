//! The chain behind a number: which row of a report is asked for, which evidence leads from it down to events, and whether
//! the rows of each step add up to the step before. It reads no table and does not know what is counted.

mod address;
mod cell;
mod chain;
mod nearest;
mod ties;

pub use address::{Address, Question};
pub use cell::Cell;
pub use chain::{Link, Step, chain};
pub use nearest::nearest;
pub use ties::{Held, Rows};

#[cfg(test)]
mod tests;

//! Integration tests.

mod log;
mod rollups;
mod sealing;

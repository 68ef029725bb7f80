//! One binary for all integration tests, so that the engines are linked once.

mod architecture;
mod binary;
mod calendars;
mod catalog;
mod engine;
mod explain;
mod frames;
mod golden;
mod incremental;
mod log;
mod rollups;
mod sample;
mod sealing;
mod trial;

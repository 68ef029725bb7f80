//! Steering metrics of a workplace platform: event logs in, daily active organisations, deep integration and
//! retention out. `docs/architecture.md` maps the modules; imports go down its floors only.

pub mod calendar;
pub mod catalog;
pub mod cli;
mod columns;
pub mod dimensions;
pub mod engine;
pub mod error;
pub mod event;
pub mod evidence;
pub mod frames;
pub mod generate;
pub mod golden;
pub mod ingest;
pub mod kernels;
pub mod metrics;
mod names;
pub mod period;
pub mod pipeline;
pub mod report;
pub mod seal;
pub mod settings;
pub mod store;

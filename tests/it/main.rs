//! One binary for all integration tests, so that the engines are linked once.

mod binary;
mod engine;
mod frames;

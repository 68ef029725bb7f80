//! Integration tests.

mod frames;

//! The integration tests: one binary, one module for each thing that no unit test can show.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod command_line;
mod dead_letters;
mod durability;
mod full_disk;
mod harness;
mod main_path;
mod operations;
mod origins;
mod recovery;

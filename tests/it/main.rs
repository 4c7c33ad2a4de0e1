//! The integration tests: one binary, one module for each thing that no unit test can show.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod layers;

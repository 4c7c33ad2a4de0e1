//! The container: everything that decides what happens to an event, read from a map of paths to bytes.

pub mod diagnostic;
pub mod yaml;

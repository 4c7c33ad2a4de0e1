//! The integration tests: one binary, one module for each thing that no unit test can show.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::large_enum_variant,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, says with which seed, and stands in the world that the program is in"
)]

mod alerts;
mod bad_input;
mod browser;
mod cases;
mod clients;
mod command_line;
mod dead_letters;
mod deduplication;
mod demo;
mod diagnostics;
mod diffs;
mod documents;
mod drafts;
mod durability;
mod forget;
mod full_disk;
mod git;
mod harness;
mod history;
mod hostile_text;
mod http_destination;
mod impact;
mod interrupted;
mod layers;
mod main_path;
mod operations;
mod origins;
mod publish;
mod push;
mod recovery;
mod redaction;
mod refusals;
mod repository;
mod scripting;
mod seeds;
mod set_ups;
mod site_script;
mod tables;
mod team;
mod test_command;
mod trace_command;
mod versions;
mod write_keys;

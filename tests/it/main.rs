//! The integration tests: one binary, one module a subject.

mod cases;
mod diagnostics;
mod redaction;

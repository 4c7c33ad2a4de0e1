//! Tidegate: a self-hosted, consent-aware tag manager that runs tags on the server.

pub mod call;
pub mod delivery;
pub mod hit;
pub mod outbox;
pub mod time;

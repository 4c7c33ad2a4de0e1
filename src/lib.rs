//! Tidegate: a self-hosted, consent-aware tag manager that runs tags on the server.
//!
//! # The path of a hit
//!
//! 1. [`server`] accepts the connection; [`collect`] makes a [`hit`] of the request, or refuses it ([`error`]).
//! 2. [`app`] hands the hit and the [`container`] of the moment to the [`pipeline`], the one function in which the next
//!    five steps stand in order.
//! 3. A [`client`] reads the hit into [`event`]s, [`visitor`] says whose they are, and [`privacy`]
//!    takes out what the container withholds of everybody.
//! 4. [`consent`] resolves what the visitor allowed; unknown counts as denied.
//! 5. [`trigger`]s choose tags by the event and its [`variable`]s: each is now a firing.
//! 6. The [gate](consent::gate) turns a firing into a permission to run, or holds or blocks it.
//! 7. [`transformation`]s change what the tag sees of the event. Its [`script`] runs in its cage, with helpers such as
//!    [`openai`], and returns [`call`]s and [`cookie`]s; calls that were accepted just before are suppressed by
//!    [`deduplication`]. Everything decided so far stands in the [`trace`].
//! 8. The [`outbox`] makes the calls durable; only then is the hit answered.
//! 9. [`delivery`] takes them to their destination: batches, retries, pauses, dead letters.
//!
//! Steps 3 to 7 are the core: synchronous and pure. Time, randomness and the environment are passed in; nothing there
//! knows of axum, tokio, reqwest or askama.

// The core.
pub mod call;
pub mod case;
pub mod client;
pub mod consent;
pub mod container;
pub mod cookie;
pub mod deduplication;
pub mod digest;
pub mod event;
pub mod hit;
pub mod kept;
pub mod one_line;
pub mod openai;
pub mod pipeline;
pub mod privacy;
pub mod script;
pub mod time;
pub mod trace;
pub mod transformation;
pub mod trigger;
pub mod variable;
pub mod visitor;

// The edges.
pub mod admin;
pub mod app;
pub mod audit;
pub mod body;
pub mod cli;
pub mod client_address;
pub mod collect;
pub mod control;
pub mod data_folder;
pub mod delivery;
pub mod demo;
pub mod desk;
pub mod environment;
pub mod error;
pub mod git;
pub mod history;
pub mod live;
pub mod logging;
pub mod metrics;
pub mod outbox;
pub mod publish;
pub mod server;
pub mod service;
pub mod settings;
pub mod site_paths;
pub mod site_script;
pub mod sqlite;
pub mod standin;
pub mod write_keys;

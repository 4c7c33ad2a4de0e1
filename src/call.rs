//! A call: an outgoing request that a permitted tag asked for. It names its destination's account and carries one
//! destination-shaped body; the delivery adds what belongs to the moment of sending (key, batch, headers).

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

pub mod http;
pub mod relay;

/// One outgoing request as a script asked for it. Scripts never send: they return calls.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The tag that asked for it, by its name in `rules/`.
    pub tag: Arc<str>,
    /// Where it goes; calls of one account share a queue, a breaker and batches.
    pub account: Arc<Account>,
    /// The event it tells of, as the destination knows it.
    pub event: CallEvent,
    /// The destination's own shape, as JSON text. For [`Account::OpenAi`] one element of `events`, for [`Account::Http`]
    /// an [`http::HttpRequest`].
    pub body: Box<str>,
}

/// The event behind a call: enough to deduplicate it, to judge its age and to find it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEvent {
    /// The event's id at the destination; the same on every attempt, so that the destination deduplicates.
    pub id: Arc<str>,
    /// The event's name at the destination, such as `order_created`.
    pub name: Arc<str>,
    /// When it happened; retries, splits and replays keep it.
    pub time: Timestamp,
}

/// A destination account: what shares a queue, batches, a breaker and a pause.
///
/// The address is not part of it: the operator sets it (`--openai-url`) and may move it while calls wait.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "destination", rename_all = "lowercase")]
pub enum Account {
    /// An `OpenAI` Ads pixel, reached through the Conversions API.
    OpenAi {
        pixel_id: Box<str>,
        /// The secret that holds the Conversions API key.
        key: SecretName,
        /// Ask the API to validate only, and store nothing.
        validate_only: bool,
        schema: UserSchema,
    },
    /// Any host that a template may call. Whoever shares a host but not its keys has an account of their own, so that
    /// one wrong key pauses nobody else.
    Http {
        /// Scheme, host and port, such as `https://api.example.com`.
        origin: Box<str>,
        /// The secrets that its calls need, sorted by name.
        secrets: Vec<SecretName>,
    },
}

impl Account {
    /// Every destination that there is, by its name.
    pub const DESTINATIONS: [&str; 2] = ["openai", "http"];

    /// The destination's name, as used in metrics, manifests and on the command line.
    pub fn destination(&self) -> &'static str {
        match self {
            Self::OpenAi { .. } => "openai",
            Self::Http { .. } => "http",
        }
    }

    /// Whether the destination is asked to look at calls and to keep nothing of them.
    pub fn is_validate_only(&self) -> bool {
        match self {
            Self::OpenAi { validate_only, .. } => *validate_only,
            Self::Http { .. } => false,
        }
    }
}

/// `openai:PIXEL` or `http:ORIGIN`, with the account's peculiarities in brackets; holds no secret.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenAi { pixel_id, key, validate_only, schema } => {
                write!(f, "openai:{pixel_id} (key {key}")?;
                if *validate_only {
                    f.write_str(", validate only")?;
                }
                if *schema == UserSchema::Scalars {
                    f.write_str(", scalar user schema")?;
                }
                f.write_str(")")
            }
            Self::Http { origin, secrets } => {
                write!(f, "http:{origin}")?;
                let names: Vec<_> = secrets.iter().map(|name| &*name.0).collect();
                if names.is_empty() { Ok(()) } else { write!(f, " (key {})", names.join(", ")) }
            }
        }
    }
}

/// Which version of the Conversions API's `user` object to send (`docs/openai.md` names the dates).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserSchema {
    /// September 2026: plural lists, such as `emails_sha256`.
    #[default]
    Lists,
    /// June 2026: scalars, such as `email_sha256`; no phones or names.
    Scalars,
}

/// The name of a secret. Only the delivery resolves it to a value, at the moment of sending.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretName(pub Box<str>);

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

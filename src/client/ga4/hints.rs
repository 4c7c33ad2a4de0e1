//! The browser's client hints as GA4's protocol carries them: the one list of them, for reading them, for passing them on,
//! and for withholding them.

/// A client hint.
#[derive(Debug)]
pub struct Hint {
    /// The parameter's name on the wire.
    pub wire: &'static str,
    /// Its place in event data.
    pub path: &'static str,
    pub kind: HintKind,
    pub told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintKind {
    Text,
    Flag,
}

/// Whom a browser tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Everybody,
    IfAsked,
}

/// The key of event data that holds them all.
pub const KEY: &str = "client_hints";

use HintKind::{Flag, Text};
use Told::{Everybody, IfAsked};

static HINTS: [Hint; 8] = [
    Hint { wire: "uaa", path: "client_hints.architecture", kind: Text, told: IfAsked },
    Hint { wire: "uab", path: "client_hints.bitness", kind: Text, told: IfAsked },
    Hint { wire: "uafvl", path: "client_hints.full_version_list", kind: Text, told: IfAsked },
    Hint { wire: "uam", path: "client_hints.model", kind: Text, told: IfAsked },
    Hint { wire: "uamb", path: "client_hints.mobile", kind: Flag, told: Everybody },
    Hint { wire: "uap", path: "client_hints.platform", kind: Text, told: Everybody },
    Hint { wire: "uapv", path: "client_hints.platform_version", kind: Text, told: IfAsked },
    Hint { wire: "uaw", path: "client_hints.wow64", kind: Flag, told: IfAsked },
];

impl Hint {
    pub fn of_wire(wire: &str) -> Option<&'static Self> {
        // Every parameter of every hit is asked for, and most begin otherwise.
        if !wire.starts_with("ua") { None } else { HINTS.iter().find(|hint| hint.wire == wire) }
    }

    /// By its place in event data, such as `client_hints.model`.
    pub fn of_path(path: &str) -> Option<&'static Self> {
        HINTS.iter().find(|hint| hint.path == path)
    }

    /// By its key in [`KEY`].
    pub fn of_key(key: &str) -> Option<&'static Self> {
        let own = |hint: &&Self| hint.path.strip_prefix(KEY).and_then(|own| own.strip_prefix('.')) == Some(key);
        HINTS.iter().find(own)
    }
}

//! Why a consent signal that arrived says nothing: an enum that the trace keeps.

use std::fmt;

use serde::Serialize;

/// Why a signal could not be read. It counts as if it had not arrived: unknown, and never granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreadable {
    /// A list, a mapping, a boolean, or bytes that are no UTF-8.
    NotText,
    /// It is not of the form that signals of this kind have.
    WrongForm,
    /// It ends before what is needed of it.
    CutShort,
    /// Longer than any real one.
    TooLong,
    /// A TCF string of version 1.
    TcfV1,
    /// A TCF string of a version that there was not when this was written.
    TcfVersion,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotText => "not text",
            Self::WrongForm => "not of its form",
            Self::CutShort => "cut short",
            Self::TooLong => "too long",
            Self::TcfV1 => "a TCF string of version 1, which is no longer supported",
            Self::TcfVersion => "a TCF string of an unknown version",
        })
    }
}

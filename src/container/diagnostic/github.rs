//! Diagnostics as GitHub Actions workflow commands, which show up as annotations in a pull request.
//!
//! The form and its escaping are those of `@actions/core` (`packages/core/src/command.ts` in actions/toolkit):
//! `%` and LF are percent-encoded everywhere, `:` and `,` in properties too. Of CR and all else that is not fit for a line
//! nothing is left to encode.

use std::fmt::Write;

use super::{Diagnostic, Diagnostics, Severity};
use crate::one_line::one_line;

/// One line a diagnostic: `::error file=rules/a.yaml,line=3,col=5,endColumn=9,title=unknown-key::message`.
///
/// GitHub looks for the files from the repository's root.
pub fn github(diagnostics: &Diagnostics) -> String {
    diagnostics.iter().map(command).collect()
}

fn command(diagnostic: &Diagnostic) -> String {
    let kind = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut line = format!("::{kind} ");
    if let Some(place) = &diagnostic.place {
        let end = place.column.saturating_add(place.length.max(1));
        let file = property(&place.file);
        // Writing to a String cannot fail.
        let _ = write!(line, "file={file},line={},col={},endColumn={end},", place.line, place.column);
    }
    let _ = writeln!(line, "title={}::{}", property(diagnostic.code), data(&message(diagnostic)));
    line
}

fn message(diagnostic: &Diagnostic) -> String {
    let mut message = diagnostic.message.clone();
    if let Some(owner) = diagnostic.unnamed_owner() {
        let _ = write!(message, " (in {owner})");
    }
    if let Some(help) = &diagnostic.help {
        let _ = write!(message, "\nhelp: {help}");
    }
    message
}

fn data(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(one_line).collect();
    lines.join("\n").replace('%', "%25").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

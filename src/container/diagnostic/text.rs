//! Diagnostics for people, in the form that compilers have made familiar.
//!
//! ```text
//! error[unknown-key]: unknown key "trigers" in tag "Sign-up"
//!   --> rules/a.yaml:12:5
//!    |
//! 12 |     trigers: [all]
//!    |     ^^^^^^^
//!    |
//!    = help: did you mean "triggers"?
//! ```

use std::{borrow::Cow, fmt::Write, sync::Arc};

use unicode_width::UnicodeWidthChar;

use super::{Diagnostic, Diagnostics, Severity, Sources};
use crate::one_line::{is_deceptive, one_line};

/// Of a longer line only this many characters around the marker are shown.
const WINDOW: usize = 100;
/// How many of them lie before the marker.
const LEAD: usize = 30;
const TAB: &str = "    ";

/// Whether the text carries ANSI colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Off,
    On,
}

/// All diagnostics with their extracts, a blank line between each two.
pub fn text(diagnostics: &Diagnostics, sources: &Sources, colour: Colour) -> String {
    let paint = Paint(colour);
    let mut lines = None;
    diagnostics.iter().map(|diagnostic| one(diagnostic, sources, &mut lines, paint)).collect::<Vec<_>>().join("\n")
}

fn one<'a>(diagnostic: &Diagnostic, sources: &'a Sources, lines: &mut Option<Lines<'a>>, paint: Paint) -> String {
    let severity = paint.severity(diagnostic.severity, &format!("{}[{}]", diagnostic.severity.name(), diagnostic.code));
    let mut out = format!("{severity}: {}\n", paint.bold(&one_line(&diagnostic.message)));
    // Writing to a String cannot fail.
    let mut gutter = 2;
    if let Some(place) = &diagnostic.place {
        let number = place.line.to_string();
        gutter = number.len();
        let (file, bar) = (one_line(&place.file), paint.frame("|"));
        let pad = " ".repeat(gutter);
        let _ = writeln!(out, "{pad}{} {file}:{}:{}", paint.frame("-->"), place.line, place.column);
        if let Some(line) = Lines::of(lines, sources, &place.file).and_then(|lines| lines.line(place.line)) {
            let extract = Extract::cut(&line, place.column, place.length);
            let marker = paint.severity(diagnostic.severity, &"^".repeat(extract.marked));
            let _ = writeln!(out, "{pad} {bar}");
            let _ = writeln!(out, "{} {bar} {}", paint.frame(&number), one_line(&extract.text));
            let _ = writeln!(out, "{pad} {bar} {}{marker}", " ".repeat(extract.before));
        }
    }
    let pad = " ".repeat(gutter);
    if let Some(owner) = diagnostic.unnamed_owner() {
        let _ = writeln!(out, "{pad} {} in {}", paint.frame("="), one_line(owner));
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(out, "{pad} {} {}: {}", paint.frame("="), paint.bold("help"), one_line(help));
    }
    out
}

/// The lines of one file; kept from one diagnostic to the next, which is usually of the same file.
struct Lines<'a> {
    file: Arc<str>,
    bytes: &'a [u8],
    /// The offset at which each line begins.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of<'l>(kept: &'l mut Option<Self>, sources: &'a Sources, file: &Arc<str>) -> Option<&'l Self> {
        if kept.as_ref().is_none_or(|lines| lines.file != *file) {
            *kept = sources.get(file).map(|bytes| Self::split(file, bytes));
        }
        kept.as_ref()
    }

    /// A line ends with LF, CR LF or a lone CR, as in YAML 1.2 section 5.4. A byte order mark is no part of any line.
    fn split(file: &Arc<str>, bytes: &'a [u8]) -> Self {
        let bytes = bytes.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(bytes);
        let ends = bytes.iter().enumerate().filter(|&(at, &byte)| {
            byte == b'\n' || byte == b'\r' && bytes.get(at + 1).is_none_or(|&next| next != b'\n')
        });
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { file: Arc::clone(file), bytes, starts }
    }

    /// Line `number`, counted from 1, without its end.
    fn line(&self, number: u32) -> Option<Cow<'a, str>> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let start = *self.starts.get(index)?;
        let end = self.starts.get(index + 1).copied().unwrap_or(self.bytes.len());
        let line = String::from_utf8_lossy(self.bytes.get(start..end)?);
        Some(match line {
            Cow::Borrowed(line) => Cow::Borrowed(line.trim_end_matches(['\n', '\r'])),
            Cow::Owned(line) => Cow::Owned(line.trim_end_matches(['\n', '\r']).to_owned()),
        })
    }
}

/// What is shown of a line, and where the marker goes, in columns of the terminal.
struct Extract {
    text: String,
    before: usize,
    marked: usize,
}

impl Extract {
    /// Takes the column from 1 and the length in characters.
    fn cut(line: &str, column: u32, length: u32) -> Self {
        let start = usize::try_from(column).unwrap_or(usize::MAX).saturating_sub(1);
        let end = start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX).max(1));
        let fits = line.chars().nth(WINDOW).is_none() || end <= WINDOW;
        let from = if fits { 0 } else { start.saturating_sub(LEAD) };

        let mut extract = Self { text: String::new(), before: 0, marked: 0 };
        if from > 0 {
            extract.text.push('…');
            extract.before = 1;
        }
        let mut rest = line.chars().enumerate().skip(from);
        for (index, character) in rest.by_ref().take(WINDOW) {
            let width = extract.show(character);
            if index < start {
                extract.before += width;
            } else if index < end {
                extract.marked += width;
            }
        }
        if rest.next().is_some() {
            extract.text.push('…');
        }
        extract.marked = extract.marked.max(1);
        extract
    }

    /// Appends a character as a terminal may safely show it, and says how wide it is.
    fn show(&mut self, character: char) -> usize {
        match character {
            '\t' => {
                self.text.push_str(TAB);
                TAB.len()
            }
            _ if is_deceptive(character) => {
                self.text.push(char::REPLACEMENT_CHARACTER);
                1
            }
            _ => {
                self.text.push(character);
                character.width().unwrap_or(1)
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Paint(Colour);

impl Paint {
    fn severity(self, severity: Severity, text: &str) -> String {
        let code = match severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
            Severity::Note => "1;36",
        };
        self.paint(code, text)
    }

    fn frame(self, text: &str) -> String {
        self.paint("1;34", text)
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self.0 {
            Colour::Off => text.to_owned(),
            Colour::On => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

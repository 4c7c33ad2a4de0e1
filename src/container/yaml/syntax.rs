//! The parser's errors in words that help whoever wrote the file.

use serde_yaml::granit_parser::{ErrorKind as Kind, ScanError};

use super::{MAX_DEPTH, quoted};

/// What to say about a syntax error.
pub(super) struct Advice {
    pub code: &'static str,
    pub message: String,
    pub help: Option<String>,
    /// How many bytes after the parser's mark the culprit lies.
    pub skip: usize,
    /// How many characters are to be marked.
    pub length: u32,
}

impl Advice {
    fn new(message: impl Into<String>, help: &str) -> Self {
        Self { code: "syntax", message: message.into(), help: Some(help.to_owned()), skip: 0, length: 1 }
    }

    fn coded(self, code: &'static str) -> Self {
        Self { code, ..self }
    }
}

const INDENT: &str = "indent with spaces: keys of one mapping and items of one list begin in the same column";

/// Takes the text from the parser's mark on, and the line of the innermost `[` or `{` that is still open.
pub(super) fn explain(error: &ScanError, rest: &str, open: Option<u32>) -> Advice {
    let kind = error.kind();
    lexical(kind, rest).or_else(|| open.map(in_brackets)).unwrap_or_else(|| structural(kind))
}

/// What is wrong whatever surrounds it.
fn lexical(kind: &Kind, rest: &str) -> Option<Advice> {
    Some(match kind {
        Kind::UnknownAnchor => unknown_anchor(rest),
        Kind::RecursionLimitExceeded => {
            Advice::new(format!("lists and mappings lie more than {MAX_DEPTH} deep"), "flatten them").coded("too-deep")
        }
        Kind::DirectiveDisallowed => {
            let help = "remove the line; text that begins with % must be in quotes";
            Advice::new("YAML directives are not supported", help).coded("unsupported-directive")
        }
        Kind::TabNotAllowed
        | Kind::TabInBlockIndentation
        | Kind::TabInIndentation
        | Kind::TabAtBlockScalarStart
        | Kind::TabInPlainScalar
        | Kind::InvalidBlockEntryWhitespace
        | Kind::InvalidMappingValueWhitespace => tab(rest),
        Kind::UnclosedQuotedScalar | Kind::DocumentIndicatorInQuotedScalar => {
            Advice::new("this quote is never closed", "close it, or put the whole text in the other kind of quotes")
        }
        Kind::UnknownQuotedScalarEscape => unknown_escape(rest),
        Kind::InvalidTrailingSingleQuotedScalar | Kind::InvalidTrailingDoubleQuotedScalar => {
            let help = "put the whole text in quotes; inside '…' a ' is written ''";
            Advice::new("there is text after the closing quote", help)
        }
        Kind::UnclosedFlowCollection { open } => {
            Advice::new(format!("this {open} is never closed"), "close it; text that begins with it must be in quotes")
        }
        Kind::MismatchedFlowCollectionEnd { open, close } => {
            Advice::new(format!("{open} is closed by {close}"), "[ ] make a list, { } make a mapping")
        }
        Kind::MisplacedFlowCollectionEnd => {
            Advice::new("this bracket closes nothing", "delete it, or put the text in quotes")
        }
        Kind::MissingAnchorOrAliasName => {
            let help = "text that begins with * or & must be in quotes";
            Advice::new("an alias (*) or anchor (&) needs a name", help)
        }
        Kind::UnexpectedCharacter { character } => {
            Advice::new(format!("text without quotes cannot begin with {character}"), "put the text in quotes")
        }
        Kind::CommentNotSeparated => Advice::new("a comment needs a space before its #", "add one, or quote the text"),
        Kind::BomInsideDocument => {
            Advice::new("a byte order mark (U+FEFF) stands in the middle of the file", "delete it")
        }
        _ => return None,
    })
}

/// What is wrong about the order of keys, values and items in a block.
fn structural(kind: &Kind) -> Advice {
    match kind {
        Kind::MappingValueNotAllowed | Kind::InvalidColonPlacement | Kind::MappingKeyNotAllowed => {
            let help = "text that contains \": \" must be in quotes; otherwise look at the indentation";
            Advice::new("a key cannot stand here", help)
        }
        Kind::SimpleKeyExpected | Kind::InvalidSimpleKey | Kind::ExpectedBlockMappingKey => {
            let help = "the lines of a mapping read \"key: value\"; this one may be indented too little";
            Advice::new("expected a key and a colon", help)
        }
        Kind::ExpectedBlockSequenceEntry | Kind::BlockSequenceEntryNotAllowed => {
            Advice::new("an item cannot stand here", INDENT)
        }
        Kind::InvalidIndentation | Kind::InvalidBlockScalarIndent | Kind::InvalidQuotedScalarIndent => {
            Advice::new("the indentation does not fit", INDENT)
        }
        kind => Advice { help: None, ..Advice::new(format!("this is not YAML: {kind}"), "") },
    }
}

fn in_brackets(line: u32) -> Advice {
    let message = format!("this does not fit into the brackets that were opened on line {line}");
    Advice::new(message, "close the brackets, separate items by commas, and quote text that contains , : [ ] { }")
}

fn unknown_anchor(rest: &str) -> Advice {
    let name = rest.split([' ', '\t', '\n', '\r', ',', ']', '}']).next().unwrap_or_default();
    let anchor = name.strip_prefix('*').unwrap_or(name);
    let help = "define it further up in the same file; text that begins with * must be in quotes";
    let length = u32::try_from(name.chars().count()).unwrap_or(u32::MAX);
    let message = format!("there is no anchor {} before this alias", quoted(&format!("&{anchor}")));
    Advice { length, ..Advice::new(message, help).coded("unknown-anchor") }
}

/// The parser marks where the token began; the tab may stand at the beginning of a later line.
fn tab(rest: &str) -> Advice {
    let mut skip = 0;
    for line in rest.split_inclusive(['\n', '\r']) {
        let blank = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(at) = line.get(..blank).and_then(|indentation| indentation.find('\t')) {
            skip += at;
            return Advice { skip, ..Advice::new("a tab cannot indent", "indent with spaces").coded("tab") };
        }
        skip += line.len();
    }
    Advice::new("a tab cannot stand here", "use spaces").coded("tab")
}

/// The parser marks the quote; the escape lies somewhere behind it.
fn unknown_escape(rest: &str) -> Advice {
    let mut characters = rest.char_indices();
    while let Some((at, character)) = characters.next() {
        let escaped = if character == '\\' { characters.next() } else { None };
        if let Some((_, escaped)) = escaped.filter(|(_, c)| !"0abt\tnvfre \"/\\N_LPxuU\n\r".contains(*c)) {
            let message = format!("there is no escape {}", quoted(&format!("\\{escaped}")).replace("\\\\", "\\"));
            return Advice {
                skip: at,
                length: 2,
                ..Advice::new(message, "write \\\\ for a backslash, or use '…' quotes")
            };
        }
    }
    Advice::new("this text has an escape that does not exist", "write \\\\ for a backslash, or use '…' quotes")
}

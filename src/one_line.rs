//! Text that somebody else wrote, for one line of a terminal or a log: takes any text, gives one that neither begins
//! another line, nor steers the terminal, nor reads otherwise than it is written.
//!
//! Commit messages, file names, events and the words of destinations go through here wherever a line for people is
//! written. What programs read stays exact: JSON has escapes of its own.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

/// What the runner of GitHub Actions obeys at the beginning of a line of a log, and anywhere in it (`ActionCommand` in
/// actions/runner).
const COMMAND: &str = "::";
const COMMAND_ANYWHERE: &str = "##[";

/// The text on one line: a tab is a space there, and a replacement character stands for what is not fit to be shown.
pub fn one_line(text: &str) -> Cow<'_, str> {
    let is_unfit = |c| c == '\t' || is_deceptive(c);
    let shown = if text.contains(is_unfit) { text.chars().map(shown).collect() } else { Cow::Borrowed(text) };
    if shown.trim_start().starts_with(COMMAND) {
        return one_line(&shown.replacen(COMMAND, ":\u{FFFD}", 1)).into_owned().into();
    }
    if shown.contains(COMMAND_ANYWHERE) { shown.replace(COMMAND_ANYWHERE, "#\u{FFFD}[").into() } else { shown }
}

/// The same, at most so many columns of a terminal wide; an ellipsis says that something is missing.
pub fn shortened(text: &str, columns: usize) -> String {
    let text = one_line(text);
    let width = |c: char| c.width().unwrap_or_default();
    if text.chars().map(width).sum::<usize>() <= columns {
        return text.into_owned();
    }
    let mut taken = 0;
    let fits = |c: &char| {
        taken += width(*c);
        taken < columns
    };
    let start: String = text.chars().take_while(fits).collect();
    format!("{}…", start.trim_end())
}

/// Control characters, which a terminal obeys, and marks that are invisible or turn the direction of writing. What joins
/// letters or emoji is none of them.
pub fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}'
            | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}')
}

fn shown(character: char) -> char {
    match character {
        '\t' => ' ',
        c if is_deceptive(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_line_or_steers_a_terminal() {
        for (text, expected) in [
            ("Möwe \u{1F468}\u{200D}\u{1F469} می\u{200C}خواهم", "Möwe \u{1F468}\u{200D}\u{1F469} می\u{200C}خواهم"),
            ("a\u{1b}[2Jb\u{9b}31m\u{7}", "a\u{FFFD}[2Jb\u{FFFD}31m\u{FFFD}"),
            ("a\r\n::error::b\tc", "a\u{FFFD}\u{FFFD}::error::b c"),
            ("\u{202E}gnp.exe\u{2066}\u{200B}\u{2028}", "\u{FFFD}gnp.exe\u{FFFD}\u{FFFD}\u{FFFD}"),
            (" ::error::a ::b", " :\u{FFFD}error::a ::b"),
            ("a ##[add-mask]b", "a #\u{FFFD}[add-mask]b"),
            ("", ""),
        ] {
            assert_eq!(one_line(text), expected);
        }
    }

    #[test]
    fn what_is_too_long_ends_with_an_ellipsis() {
        for (text, expected) in [
            ("12345", "12345"),
            ("123456", "1234…"),
            ("123 56", "123…"),
            ("漢字漢字", "漢字…"),
            ("\u{1b}2345", "\u{FFFD}2345"),
        ] {
            assert_eq!(shortened(text, 5), expected);
        }
    }
}

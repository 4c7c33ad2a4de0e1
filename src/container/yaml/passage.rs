//! A text within a file, for finding the place of what stands in it. Takes a line and a column of the text as it was
//! decoded; gives those of the file, where quotes, escapes, folded lines and indentation stand between the two.

use std::sync::Arc;

use super::Span;
use crate::container::diagnostic::{Place, Sources};

/// A text that is a language of its own, such as an expression.
#[derive(Clone, Debug)]
pub struct Passage {
    pub file: Arc<str>,
    pub text: Box<str>,
    /// As the file has it.
    raw: Box<str>,
    span: Span,
}

impl Passage {
    /// The text at `span` of a file. Of a file that is not among `sources` every text counts as if it were written
    /// without quotes, on lines of its own.
    pub fn new(file: &Arc<str>, span: Span, text: &str, sources: &Sources) -> Self {
        let bytes = sources.get(file).and_then(|bytes| bytes.get(span.bytes()));
        let raw = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or(text);
        Self { file: Arc::clone(file), text: text.into(), raw: raw.into(), span }
    }

    /// The place in the file of a line and column of the text, both from 1.
    pub fn place(&self, line: usize, column: usize, length: usize) -> Place {
        let mut lines = self.text.split_inclusive('\n');
        let before: usize = lines.by_ref().take(line.saturating_sub(1)).map(str::len).sum();
        let within: usize =
            lines.next().unwrap_or_default().chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
        let raw = self.raw.get(..self.raw_offset(before + within)).unwrap_or(&self.raw);
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (line, column) = match raw.rsplit_once('\n') {
            Some((above, own)) => (number(above.matches('\n').count() + 1), number(own.chars().count() + 1)),
            None => (0, self.span.column.saturating_add(number(raw.chars().count()))),
        };
        Place::new(&self.file, self.span.line.saturating_add(line), column, number(length))
    }

    /// Where the character at an offset of the text stands in the raw text: both are read side by side, and what only the
    /// raw one has is stepped over.
    fn raw_offset(&self, offset: usize) -> usize {
        let begins_quoted =
            self.raw.starts_with('"') && (!self.text.starts_with('"') || self.raw.starts_with("\"\\\""));
        let mut raw = self.raw.char_indices();
        if begins_quoted {
            raw.next();
        }
        for wanted in self.text.get(..offset).unwrap_or(&self.text).chars() {
            while let Some((_, c)) = raw.next() {
                if begins_quoted && c == '\\' {
                    let width = match raw.next() {
                        Some((_, 'x')) => 2,
                        Some((_, 'u')) => 4,
                        Some((_, 'U')) => 8,
                        // An escaped line break stands for nothing.
                        Some((_, '\n')) => continue,
                        _ => 0,
                    };
                    raw.by_ref().take(width).for_each(drop);
                    break;
                }
                // A line that is folded ends in a space.
                if c == wanted || (wanted == ' ' && c == '\n') {
                    break;
                }
            }
        }
        let next = self.text.get(offset..).and_then(|rest| rest.chars().next());
        let is_next = |c: char| next.is_none_or(|next| c == next || begins_quoted && c == '\\');
        raw.find(|(_, c)| is_next(*c)).map_or(self.raw.len(), |(offset, _)| offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{diagnostic::Diagnostics, yaml};

    /// The lines of a file with a marker under the place of `needle` in the value of `e`.
    fn marked(source: &str, needle: &str) -> (u32, u32, String) {
        let file: Arc<str> = "a.yaml".into();
        let root = yaml::parse(&file, source.as_bytes(), &mut Diagnostics::default()).expect("YAML");
        let node = root.get("e").expect("a key e");
        let yaml::Value::Text(text) = &node.value else { panic!("no text") };
        let sources = Sources::from([(Arc::clone(&file), source.as_bytes().to_vec())]);
        let offset = text.find(needle).expect("the needle");
        let line = text[..offset].matches('\n').count() + 1;
        let column = text[..offset].chars().rev().take_while(|c| *c != '\n').count() + 1;
        let place = Passage::new(&file, node.span, text, &sources).place(line, column, 1);
        let there = source.lines().nth(place.line as usize - 1).unwrap_or_default();
        (place.line, place.column, there.chars().skip(place.column as usize - 1).collect())
    }

    #[test]
    fn places_are_found_in_every_style() {
        for (source, needle, line, column) in [
            ("e: one two", "two", 1, 8),
            ("e: \"one two\"", "two", 1, 9),
            ("e: 'it''s two'", "two", 1, 11),
            ("e: \"\\\"one\\\" \\u00e9 two\"", "two", 1, 20),
            ("e: \"a\\n two\"", "two", 1, 9),
            ("e: |\n  one\n    two\n", "two", 3, 5),
            ("e: |\n  \"one\" + two\n", "two", 2, 11),
            ("e: >\n  one\n  two\n", "two", 3, 3),
            ("e: >\n  one\n\n  two\n", "two", 4, 3),
            ("x: 1\ne: |-\r\n    one\r\n    two\r\n", "two", 4, 5),
            ("e: one\n  two", "two", 2, 3),
            ("e: \"one\n  two\"", "two", 2, 3),
            ("e: é + two", "two", 1, 8),
        ] {
            let (at, from, rest) = marked(source, needle);
            assert_eq!((at, from), (line, column), "{source:?}");
            assert!(rest.starts_with(needle), "{source:?}: {rest}");
        }
    }

    #[test]
    fn without_the_file_the_text_itself_counts() {
        let span = Span { line: 7, column: 5, ..Span::default() };
        let passage = Passage::new(&"a.yaml".into(), span, "one\ntwo", &Sources::new());
        assert_eq!((passage.place(1, 2, 1).line, passage.place(1, 2, 1).column), (7, 6));
        assert_eq!((passage.place(2, 3, 1).line, passage.place(2, 3, 1).column), (8, 3));
    }
}

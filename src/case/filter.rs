//! A choice of cases by their name: takes words; says which cases have them, and, where none has, which were meant.

use std::{collections::BTreeSet, sync::Arc};

use crate::container::diagnostic::{Diagnostic, closest, quoted};

/// So many names are proposed.
const PROPOSED: usize = 5;

/// Which cases are to run, and what there was to choose from.
pub(super) struct Filter<'a> {
    words: &'a str,
    left_out: BTreeSet<Arc<str>>,
    /// Whether any case was let through.
    has_chosen: bool,
}

impl<'a> Filter<'a> {
    /// No words let every case through.
    pub fn new(words: &'a str) -> Self {
        Self { words, left_out: BTreeSet::new(), has_chosen: false }
    }

    pub fn lets_through(&mut self, name: &Arc<str>) -> bool {
        let chosen = name.contains(self.words);
        if chosen {
            self.has_chosen = true;
        } else {
            self.left_out.insert(Arc::clone(name));
        }
        chosen
    }

    /// What is wrong with words that no case has in its name: whoever runs them believes that something was tested.
    pub fn fault(&self) -> Option<Diagnostic> {
        if self.words.is_empty() || self.has_chosen {
            return None;
        }
        let message = format!("no case has {} in its name", quoted(self.words));
        let names: Vec<_> = self.near().into_iter().map(quoted).collect();
        let help = match (&names[..], self.left_out.len()) {
            ([], 0) => "there are no cases; put them in *.test.yaml files under rules/ and tags/".to_owned(),
            ([], cases @ 1..=PROPOSED) => {
                let names: Vec<_> = self.left_out.iter().map(|name| quoted(name)).collect();
                format!("there {} {}", if cases == 1 { "is" } else { "are" }, names.join(", "))
            }
            ([], cases) => format!("there are {cases} cases; capitals count"),
            (names, _) => format!("did you mean {}?", names.join(" or ")),
        };
        Some(Diagnostic::error("no-such-case", message).help(help))
    }

    /// Names that have the words in other capitals, or something like them.
    fn near(&self) -> Vec<&str> {
        let names = || self.left_out.iter().map(|name| &**name);
        let words = self.words.to_lowercase();
        let same: Vec<_> = names().filter(|name| name.to_lowercase().contains(&words)).take(PROPOSED).collect();
        if !same.is_empty() {
            return same;
        }
        let count = self.words.split_whitespace().count().max(1);
        let is_near = |name: &&str| closest(self.words, parts(name, count)).is_some();
        names().filter(is_near).take(PROPOSED).collect()
    }
}

/// The parts of a name that are so many words long, and the name itself.
fn parts(name: &str, words: usize) -> impl Iterator<Item = &str> {
    let starts = name.char_indices().filter(|(at, c)| {
        let before = name.get(..*at).and_then(|before| before.chars().next_back());
        !c.is_whitespace() && before.is_none_or(char::is_whitespace)
    });
    let parts = starts.filter_map(move |(start, _)| {
        let rest = name.get(start..)?;
        let mut ends = rest.match_indices(char::is_whitespace).map(|(end, _)| end).chain([rest.len()]);
        rest.get(..ends.nth(words - 1)?)
    });
    parts.chain([name])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(words: &str, names: &[&str]) -> Option<String> {
        let mut filter = Filter::new(words);
        for name in names {
            filter.lets_through(&Arc::from(*name));
        }
        filter.fault().and_then(|fault| fault.help)
    }

    #[test]
    fn words_that_no_name_has_are_held_against_all_names() {
        let names = ["a purchase is reported", "without an answer the order waits", "A refund"];
        for words in ["", "purchase", "refund", "an answer the"] {
            assert_eq!(fault(words, &names), None, "{words}");
        }
        for (words, meant) in [
            ("purchse", "did you mean \"a purchase is reported\"?"),
            ("Purchase", "did you mean \"a purchase is reported\"?"),
            ("the ordr waits", "did you mean \"without an answer the order waits\"?"),
            ("a refund", "did you mean \"A refund\"?"),
            ("page_view", "there are \"A refund\", \"a purchase is reported\", \"without an answer the order waits\""),
        ] {
            assert_eq!(fault(words, &names).as_deref(), Some(meant), "{words}");
        }
        let many = ["1", "2", "3", "4", "5", "6"];
        assert_eq!(fault("page_view", &many).as_deref(), Some("there are 6 cases; capitals count"));
        assert!(fault("x", &[]).is_some_and(|help| help.starts_with("there are no cases")));
    }
}

//! Rust source as these tests see it: takes a file, gives the paths it names, the literals it builds and the macros it
//! calls, without comments, texts and what is compiled for tests only.

use std::{fmt, fs};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One file.
pub struct Source {
    /// From the repository's root: `src/consent/gate.rs`.
    pub path: String,
    pub text: String,
    /// The module that it is: `["consent", "gate"]`; empty for the crate's root.
    pub module: Vec<String>,
    /// The token trees outside tests, level by level: the file's own, and those within each pair of brackets.
    levels: Vec<Vec<TokenTree>>,
    /// How many of its lines are not tests.
    pub lines: usize,
}

/// A path as it was written, `use` trees unfolded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub segments: Vec<String>,
    pub line: usize,
    pub place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Use,
    Code,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segments.join("::"))
    }
}

/// Every Rust file under these folders, in order.
pub fn read(folders: &[&str]) -> Vec<Source> {
    let mut paths: Vec<String> = Vec::new();
    for folder in folders {
        let pattern = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
        list(&pattern, folder, &mut paths);
    }
    paths.sort();
    paths.into_iter().map(Source::read).collect()
}

fn list(folder: &str, shown: &str, paths: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            list(&format!("{folder}/{name}"), &format!("{shown}/{name}"), paths);
        } else if name.ends_with(".rs") {
            paths.push(format!("{shown}/{name}"));
        }
    }
}

/// The module that a file under `src/` is.
pub fn module_of(path: &str) -> Vec<String> {
    let steps = path.trim_start_matches("src/").trim_end_matches(".rs").split('/');
    steps.filter(|step| !matches!(*step, "lib" | "main")).map(str::to_owned).collect()
}

impl Source {
    fn read(path: String) -> Self {
        let text = fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        Self::parse(path, text)
    }

    pub fn parse(path: String, text: String) -> Self {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut source = Self { module: module_of(&path), lines: text.lines().count(), path, text, levels: Vec::new() };
        source.add_level(tokens);
        source
    }

    /// Whether the whole file is tests.
    pub fn is_test(&self) -> bool {
        !self.path.starts_with("src/") || self.module.iter().any(|step| step == "tests")
    }

    fn add_level(&mut self, tokens: TokenStream) {
        let mut level: Vec<TokenTree> = Vec::new();
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            if is_punct(&token, '#') && tokens.peek().is_some_and(is_cfg_test) {
                let first = token.span().start().line;
                // What the attribute stands on ends with a semicolon or with braces.
                let last = tokens.find(|token| is_punct(token, ';') || is_group(token, Delimiter::Brace));
                self.lines -= last.map_or(0, |last| last.span().end().line + 1 - first);
                continue;
            }
            if let TokenTree::Group(group) = &token {
                self.add_level(group.stream());
            }
            level.push(token);
        }
        self.levels.push(level);
    }

    /// Every path outside tests.
    pub fn paths(&self) -> Vec<Path> {
        let mut found = Vec::new();
        for level in &self.levels {
            let mut rest = level.as_slice();
            while let Some((token, after)) = rest.split_first() {
                rest = after;
                if is_word(token, "use") {
                    let end = after.iter().position(|token| is_punct(token, ';')).unwrap_or(after.len());
                    unfold(&after[..end], &[], &mut found);
                    rest = &after[end..];
                } else if let TokenTree::Ident(_) = token {
                    let (path, after) = leading_path(std::slice::from_ref(token), after);
                    found.push(Path { segments: path, line: line(token), place: Place::Code });
                    rest = after;
                }
            }
        }
        found
    }

    /// Where a path of this file leads if it leads into this crate, from its root.
    pub fn resolve(&self, path: &Path) -> Option<Vec<String>> {
        let supers = path.segments.iter().take_while(|segment| *segment == "super").count();
        let (from, rest) = match path.segments.first().map(String::as_str) {
            Some("crate") => (0, 1),
            Some("self") => (self.module.len(), 1),
            Some("super") => (self.module.len().saturating_sub(supers), supers),
            _ => (self.module.len(), 0),
        };
        let is_plain_word = rest == 0 && path.segments.len() < 2 && path.place == Place::Code;
        (!is_plain_word).then(|| [&self.module[..from], &path.segments[rest..]].concat())
    }

    /// The lines in which a value of this type is written out: `Name { … }`.
    pub fn literals(&self, name: &str) -> Vec<usize> {
        let declares = |token: &TokenTree| {
            ["struct", "enum", "union", "trait", "impl", "for"].iter().any(|word| is_word(token, word))
        };
        let mut found = Vec::new();
        for level in &self.levels {
            for (position, pair) in level.windows(2).enumerate() {
                let declared = position.checked_sub(1).and_then(|before| level.get(before)).is_some_and(declares);
                if is_word(&pair[0], name) && is_group(&pair[1], Delimiter::Brace) && !declared {
                    found.push(line(&pair[0]));
                }
            }
        }
        found
    }

    /// The lines in which this macro is called.
    pub fn macro_calls(&self, name: &str) -> Vec<usize> {
        let pairs = self.levels.iter().flat_map(|level| level.windows(2));
        pairs.filter(|pair| is_word(&pair[0], name) && is_punct(&pair[1], '!')).map(|pair| line(&pair[0])).collect()
    }
}

impl Path {
    /// Whether it leads into this crate.
    pub fn names_crate(&self, name: &str) -> bool {
        self.segments.first().is_some_and(|first| first == name)
            && (self.place == Place::Use || self.segments.len() > 1)
    }
}

/// `a::{b, c::{self, d}}` as `a::b`, `a::c` and `a::c::d`.
fn unfold(tree: &[TokenTree], prefix: &[String], found: &mut Vec<Path>) {
    for branch in tree.split(|token| is_punct(token, ',')).filter(|branch| !branch.is_empty()) {
        let (path, rest) = leading_path(&[], branch);
        let segments = [prefix, &path].concat();
        let group = rest.iter().find_map(|token| match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
            _ => None,
        });
        match group {
            Some(group) => unfold(&group.into_iter().collect::<Vec<_>>(), &segments, found),
            None => {
                let own = segments.len() > 1 && segments.last().is_some_and(|last| last == "self");
                let segments = segments[..segments.len() - usize::from(own)].to_vec();
                found.push(Path { segments, line: line(&branch[0]), place: Place::Use });
            }
        }
    }
}

/// The words at the beginning that colons join, and what follows them.
fn leading_path<'t>(first: &[TokenTree], tokens: &'t [TokenTree]) -> (Vec<String>, &'t [TokenTree]) {
    let mut segments: Vec<String> = first.iter().map(ToString::to_string).collect();
    let mut rest = tokens;
    loop {
        let after_colons = match rest {
            [a, b, after @ ..] if is_punct(a, ':') && is_punct(b, ':') => after,
            _ if segments.is_empty() => rest,
            _ => return (segments, rest),
        };
        match after_colons {
            [TokenTree::Ident(word), after @ ..] => {
                segments.push(word.to_string());
                rest = after;
            }
            _ => return (segments, after_colons),
        }
    }
}

fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}

fn is_cfg_test(token: &TokenTree) -> bool {
    is_group(token, Delimiter::Bracket) && token.to_string().replace(' ', "") == "[cfg(test)]"
}

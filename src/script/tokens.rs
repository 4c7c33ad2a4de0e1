//! A script's text, taken apart as its compiler does it, as far as texts and comments go: what stands in them is no name.
//! Takes a text that compiles; gives its names, texts and symbols with their places.

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Name(String),
    Text(String),
    /// A text with values in it, as far as it reads before the first of them.
    Template(String),
    Symbol(char),
}

#[derive(Debug)]
pub(super) struct Token {
    pub kind: Kind,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub length: usize,
}

/// The parts of a script, in order.
pub(super) fn of(text: &str) -> Vec<Token> {
    Reader::new(text).tokens()
}

struct Reader<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    line: usize,
    column: usize,
    tokens: Vec<Token>,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        Self { rest: text.chars().peekable(), line: 1, column: 1, tokens: Vec::new() }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            (self.line, self.column) = (self.line + 1, 1);
        } else {
            self.column += 1;
        }
        Some(c)
    }

    fn take_if(&mut self, wanted: char) -> bool {
        let there = self.rest.peek() == Some(&wanted);
        if there {
            self.next();
        }
        there
    }

    fn tokens(mut self) -> Vec<Token> {
        // How many braces are open, in the script and in each text with values in it that is being read.
        let mut open = vec![0_usize];
        while let Some(c) = self.rest.peek().copied() {
            let (line, column) = (self.line, self.column);
            self.next();
            let kind = match c {
                '/' if self.take_if('/') => {
                    while self.next().is_some_and(|c| c != '\n') {}
                    continue;
                }
                '/' if self.take_if('*') => {
                    self.comment();
                    continue;
                }
                '"' => Kind::Text(self.text()),
                '\'' => {
                    self.character();
                    continue;
                }
                '#' if matches!(self.rest.peek(), Some('#' | '"')) => Kind::Text(self.raw_text()),
                '`' => Kind::Template(self.template(&mut open)),
                '}' if open.len() > 1 && open.last() == Some(&0) => {
                    open.pop();
                    self.template(&mut open);
                    continue;
                }
                c if c.is_alphabetic() || c == '_' => {
                    let mut name = String::from(c);
                    while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                        self.column += 1;
                        name.push(c);
                    }
                    Kind::Name(name)
                }
                c if c.is_whitespace() => continue,
                c => {
                    if let Some(braces) = open.last_mut() {
                        match c {
                            '{' => *braces += 1,
                            '}' => *braces = braces.saturating_sub(1),
                            _ => {}
                        }
                    }
                    Kind::Symbol(c)
                }
            };
            let length = self.column.saturating_sub(column);
            self.tokens.push(Token { kind, line, column, length });
        }
        self.tokens
    }

    /// The rest of a comment, which may hold others.
    fn comment(&mut self) {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.next() {
                Some('*') if self.take_if('/') => depth -= 1,
                Some('/') if self.take_if('*') => depth += 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    /// The rest of a text in quotes, its escapes resolved.
    fn text(&mut self) -> String {
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                '"' if !self.take_if('"') => break,
                '\\' => text.extend(self.escape()),
                c => text.push(c),
            }
        }
        text
    }

    fn escape(&mut self) -> Option<char> {
        let width = match self.next()? {
            'n' => return Some('\n'),
            't' => return Some('\t'),
            'r' => return Some('\r'),
            '\n' => return None,
            'x' => 2,
            'u' => 4,
            'U' => 8,
            other => return Some(other),
        };
        let digits: String = (0..width).filter_map(|_| self.next()).collect();
        u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)
    }

    /// The rest of a single character.
    fn character(&mut self) {
        if self.next() == Some('\\') {
            self.escape();
        }
        self.take_if('\'');
    }

    /// The rest of a text between `#"` and `"#`, with as many `#` on both sides.
    fn raw_text(&mut self) -> String {
        let mut marks = 1;
        while self.take_if('#') {
            marks += 1;
        }
        let end = format!("\"{}", "#".repeat(marks));
        self.take_if('"');
        let mut text = String::new();
        while let Some(c) = self.next() {
            text.push(c);
            if let Some(content) = text.strip_suffix(&end) {
                return content.to_owned();
            }
        }
        text
    }

    /// A text between backticks, to its end or to the next value in it.
    fn template(&mut self, open: &mut Vec<usize>) -> String {
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                '`' if !self.take_if('`') => break,
                '$' if self.take_if('{') => {
                    open.push(0);
                    break;
                }
                c => text.push(c),
            }
        }
        text
    }
}

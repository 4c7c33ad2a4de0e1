//! What a script asks for, as far as its text tells: the addresses of its requests and the names of its cookies where they
//! are written out. Takes the text of a script that compiles; gives them with their places. What is made up at an event
//! is held against the manifest only then.

use std::collections::BTreeMap;

use super::tokens::{self, Kind, Token};

/// What stands in a script in so many words.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// The functions that make calls, and what those go to: `openai` or `http`.
    pub calls: Vec<(&'static str, Literal)>,
    /// The addresses of calls to `http`, or their beginnings.
    pub addresses: Vec<Literal>,
    /// The names of cookies that are set or expired.
    pub cookies: Vec<Literal>,
}

/// A part of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    pub text: String,
    /// Whether something is put behind the text.
    pub goes_on: bool,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub length: usize,
}

/// The functions that make calls: module, name, destination.
const CALLS: [(&str, &str, &str); 3] =
    [("http", "request", "http"), ("ga4", "relay", "http"), ("openai", "conversion", "openai")];

impl Asks {
    pub fn of(script: &str) -> Self {
        let tokens = tokens::of(script);
        let reading = Reading { constants: constants(&tokens), tokens: &tokens };
        let mut asks = Self::default();
        for (index, token) in tokens.iter().enumerate() {
            match &token.kind {
                Kind::Name(name) if matches!(&**name, "set_cookie" | "expire_cookie") => {
                    let is_call = reading.is_symbol(index + 1, '(') && !reading.follows(index, '.');
                    asks.cookies.extend(reading.text(index + 2).filter(|text| is_call && !text.goes_on));
                }
                Kind::Name(module) => {
                    let is_called = |(own, name, _): &&(&str, &str, &str)| own == module && reading.calls(index, name);
                    let Some((_, name, destination)) = CALLS.iter().find(is_called) else { continue };
                    let text = format!("{module}::{name}");
                    let length = text.chars().count();
                    asks.calls.push((*destination, Literal { length, ..Literal::at(token, text, false) }));
                    asks.addresses.extend(reading.address(index + 5).filter(|_| *destination == "http"));
                }
                Kind::Text(_) | Kind::Template(_) | Kind::Symbol(_) => {}
            }
        }
        asks
    }
}

impl Literal {
    fn at(token: &Token, text: String, goes_on: bool) -> Self {
        Self { text, goes_on, line: token.line, column: token.column, length: token.length }
    }
}

struct Reading<'t> {
    tokens: &'t [Token],
    constants: BTreeMap<&'t str, &'t str>,
}

impl Reading<'_> {
    fn is_symbol(&self, index: usize, symbol: char) -> bool {
        self.tokens.get(index).is_some_and(|token| token.kind == Kind::Symbol(symbol))
    }

    /// Whether a symbol stands before this token.
    fn follows(&self, index: usize, symbol: char) -> bool {
        index.checked_sub(1).is_some_and(|before| self.is_symbol(before, symbol))
    }

    /// Whether a function of the module that is named here is called.
    fn calls(&self, module: usize, function: &str) -> bool {
        let is_name = |token: &Token| matches!(&token.kind, Kind::Name(name) if name == function);
        self.is_symbol(module + 1, ':')
            && self.is_symbol(module + 2, ':')
            && self.tokens.get(module + 3).is_some_and(is_name)
            && self.is_symbol(module + 4, '(')
    }

    /// The key `url` of the map that this call is given, whose arguments begin here.
    fn address(&self, start: usize) -> Option<Literal> {
        let mut depth = 0_usize;
        for (index, token) in self.tokens.iter().enumerate().skip(start) {
            match &token.kind {
                Kind::Symbol('(' | '{' | '[') => depth += 1,
                Kind::Symbol(')' | '}' | ']') => depth = depth.checked_sub(1)?,
                Kind::Name(key) if key == "url" && depth == 1 && self.is_symbol(index + 1, ':') => {
                    return self.text(index + 2);
                }
                _ => {}
            }
        }
        None
    }

    /// A text that is written out here, or in the one place that gives the name here its value.
    fn text(&self, index: usize) -> Option<Literal> {
        let token = self.tokens.get(index)?;
        let (text, is_begun) = match &token.kind {
            Kind::Text(text) => (text.as_str(), false),
            Kind::Template(text) => (text.as_str(), !self.ends(index + 1)),
            Kind::Name(name) => (*self.constants.get(name.as_str())?, false),
            Kind::Symbol(_) => return None,
        };
        let is_added_to = self.is_symbol(index + 1, '+');
        if !is_begun && !is_added_to && !self.ends(index + 1) {
            return None;
        }
        Some(Literal::at(token, text.to_owned(), is_begun || is_added_to))
    }

    /// Whether an argument or a value of a map ends before this token.
    fn ends(&self, index: usize) -> bool {
        [',', ')', '}'].into_iter().any(|symbol| self.is_symbol(index, symbol))
    }
}

/// Names that are a text throughout: declared once in the script, and never given another value.
fn constants(tokens: &[Token]) -> BTreeMap<&str, &str> {
    let symbol = |index: usize| match tokens.get(index) {
        Some(Token { kind: Kind::Symbol(symbol), .. }) => Some(*symbol),
        _ => None,
    };
    let mut given: BTreeMap<&str, Vec<Option<&str>>> = BTreeMap::new();
    for (index, token) in tokens.iter().enumerate() {
        let Kind::Name(name) = &token.kind else { continue };
        let declares = |word: &Token| matches!(&word.kind, Kind::Name(word) if word == "let" || word == "const");
        let is_declared = index.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(declares);
        let is_given = match (symbol(index + 1), symbol(index + 2)) {
            (Some('='), after) => after != Some('='),
            (Some('+' | '-' | '*' | '/' | '%'), Some('=')) => true,
            _ => false,
        };
        if !is_declared && !is_given {
            continue;
        }
        let text = tokens.get(index + 2).filter(|_| is_declared && is_given && symbol(index + 3) == Some(';'));
        let text = text.and_then(|token| match &token.kind {
            Kind::Text(text) => Some(text.as_str()),
            _ => None,
        });
        given.entry(name).or_default().push(text);
    }
    given
        .into_iter()
        .filter_map(|(name, values)| match values.as_slice() {
            [Some(text)] => Some((name, *text)),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(literals: &[Literal]) -> Vec<(&str, bool)> {
        literals.iter().map(|literal| (&*literal.text, literal.goes_on)).collect()
    }

    #[test]
    fn addresses_are_those_that_stand_at_the_call() {
        for (script, expected) in [
            (r#"http::request(params, event, #{ url: "https://a.example/x" })"#, &[("https://a.example/x", false)][..]),
            (
                r#"http::request(params, event, #{ json: #{ url: 1 }, url: "https://a.example/" + id })"#,
                &[("https://a.example/", true)],
            ),
            ("http::request(params, event, #{ url: `https://a.example/${id}` })", &[("https://a.example/", true)]),
            (
                "http::request(params, event, #{ url: `https://a.example/`, text: f(1) })",
                &[("https://a.example/", false)],
            ),
            (
                r#"const BASE = "https://a.example"; [http::request(params, event, #{ url: BASE })]"#,
                &[("https://a.example", false)],
            ),
            (r#"let u = "https://a.example"; u = "b"; http::request(params, event, #{ url: u })"#, &[]),
            (r#"let u = "https://a.example"; u += "b"; http::request(params, event, #{ url: u })"#, &[]),
            (r#"let u = "a" + id; http::request(params, event, #{ url: u })"#, &[]),
            ("http::request(params, event, #{ url: params.url })", &[]),
            (r#"http::request(params, event, #{ url: "https://a.example".trim() })"#, &[]),
            (r#"// http::request(params, event, #{ url: "https://a.example" })"#, &[]),
            (r#"let m = #{ url: "https://a.example" }; http::event(event)"#, &[]),
        ] {
            assert_eq!(texts(&Asks::of(script).addresses), expected, "{script}");
        }
        let asks = Asks::of("let é = 1;\n  http::request(params, event, #{ url: \"https://é/\" })");
        let ((destination, call), url) = (&asks.calls[0], &asks.addresses[0]);
        assert_eq!((*destination, call.line, call.column, call.length), ("http", 2, 3, 13));
        assert_eq!((url.line, url.column, url.length), (2, 40, 12));
    }

    #[test]
    fn cookies_are_those_that_are_named_at_the_call() {
        for (script, expected) in [
            (r#"set_cookie("a", value, #{}); expire_cookie("b")"#, &[("a", false), ("b", false)][..]),
            (r#"const NAME = "a"; set_cookie(NAME, 1)"#, &[("a", false)]),
            (r#"set_cookie("a" + b, 1); set_cookie(`a${b}`, 1); set_cookie(cookie.name, 1)"#, &[]),
            (r#"request.cookie("a"); x.set_cookie("a")"#, &[]),
        ] {
            assert_eq!(texts(&Asks::of(script).cookies), expected, "{script}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(http|::|request|set_cookie|let |url|=|;|\\(|\\)|\"|`|\\$|\\{|\\}|#|,|\\+|\n| |é|:){0,30}") {
            let _ = Asks::of(&text);
        }
    }
}

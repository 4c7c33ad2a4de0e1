//! Scripts, compared by their lines. A change of comments and spaces alone is none.

use std::fmt;

use super::sequence;

/// How many lines came and went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    pub added: usize,
    pub removed: usize,
}

/// `None` if both scripts mean the same.
pub fn compare(before: Option<&[u8]>, after: Option<&[u8]>) -> Option<Lines> {
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let (old, new) = (text(before), text(after));
    if before == after || old.as_deref().zip(new.as_deref()).is_some_and(|(old, new)| same_code(old, new)) {
        return None;
    }
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let common = sequence::common(&old, &new).len();
    Some(Lines { added: new.len() - common, removed: old.len() - common })
}

/// `script changed, 3 lines added, 1 removed`.
impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = |count: usize| if count == 1 { "line" } else { "lines" };
        match *self {
            Self { added: 0, removed: 0 } => f.write_str("script changed in its line ends"),
            Self { added, removed: 0 } => write!(f, "script changed, {added} {} added", lines(added)),
            Self { added: 0, removed } => write!(f, "script changed, {removed} {} removed", lines(removed)),
            Self { added, removed } => write!(f, "script changed, {added} {} added, {removed} removed", lines(added)),
        }
    }
}

fn same_code(old: &str, new: &str) -> bool {
    matches!((bare_code(old), bare_code(new)), (Some(old), Some(new)) if old == new)
}

/// The code without comments, and one space for each run of what separates. `None` for a script with texts that hold
/// code or begin in other ways: rather a change told too much than one kept back.
fn bare_code(script: &str) -> Option<String> {
    if script.contains("${") || script.contains("#\"") || script.contains("##") {
        return None;
    }
    let mut code = String::with_capacity(script.len());
    let mut rest = script;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| rest.get(end..).unwrap_or_default());
            separate(&mut code);
        } else if rest.starts_with("/*") {
            rest = after_comment(rest)?;
            separate(&mut code);
        } else if first.is_whitespace() {
            rest = rest.trim_start();
            separate(&mut code);
        } else {
            let length = if matches!(first, '"' | '\'' | '`') { quoted_length(rest, first)? } else { first.len_utf8() };
            code.push_str(rest.get(..length)?);
            rest = rest.get(length..)?;
        }
    }
    Some(code.trim().to_owned())
}

fn separate(code: &mut String) {
    if !code.ends_with(' ') {
        code.push(' ');
    }
}

/// Block comments lie in each other.
fn after_comment(text: &str) -> Option<&str> {
    let (mut depth, mut at) = (0, 0);
    loop {
        let rest = text.get(at..)?;
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += rest.chars().next()?.len_utf8();
        }
        if depth == 0 {
            return text.get(at..);
        }
    }
}

/// How long a text in quotes is, both of them included.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            _ if character == quote => return Some(at + quote.len_utf8()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{bare_code, same_code};

    #[test]
    fn comments_and_spaces_are_no_code() {
        assert!(same_code("let a = 1; // one\n", "// first\nlet  a = 1;\n\n"));
        assert!(same_code("a /* b /* c */ d */ + 1", "a + 1"));
        assert!(same_code("let a = \"x\";\r\nlet b = 2;", "let a = \"x\";\nlet b = 2;"));
    }

    #[test]
    fn texts_are() {
        assert!(!same_code("let a = \"b  c\";", "let a = \"b c\";"));
        assert!(!same_code("let a = \"// b\";", "let a = \"// c\";"));
        assert!(!same_code(r#"let a = "\" // b";"#, r#"let a = "\" // c";"#));
        assert!(!same_code("let a = `b\n c`;", "let a = `b\n  c`;"));
        assert!(!same_code("let a = ' ';", "let a = '  ';"));
        assert!(!same_code("let a = 'b'; // \"\nlet c = 1;", "let a = 'b'; // \"\nlet c = 2;"));
    }

    #[test]
    fn what_may_hold_code_is_not_looked_into() {
        for script in ["`a ${ b } c`", "#\"a // b\"#", "\"open", "/* open"] {
            assert_eq!(bare_code(script), None, "{script}");
        }
    }
}

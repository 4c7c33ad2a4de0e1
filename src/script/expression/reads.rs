//! What an expression reads, told from its text: the variables that it names, and whether it looks at a person. Takes the
//! text of a script that compiles; gives places by line and column, from 1.

use crate::{
    script::tokens::{self, Kind, Token},
    trace::Sensitivity,
};

/// What an expression reads.
#[derive(Debug, PartialEq, Eq)]
pub struct Reads {
    /// Every `variables["Name"]`, in order.
    pub variables: Vec<Mention>,
    /// Of the event and the request; variables have their own.
    pub sensitivity: Sensitivity,
}

/// A variable that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    pub name: String,
    pub line: usize,
    pub column: usize,
    /// In characters, with its quotes.
    pub length: usize,
}

/// A use of `variables` that names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stray {
    pub line: usize,
    pub column: usize,
}

impl Reads {
    /// # Errors
    /// Where `variables` is used in another form, which would hide what is read.
    pub fn of(text: &str) -> Result<Self, Stray> {
        let tokens = tokens::of(text);
        let mut variables = Vec::new();
        let mut sensitivity = Sensitivity::of_event_data(text);
        for (index, token) in tokens.iter().enumerate() {
            let Kind::Name(name) = &token.kind else { continue };
            let is = |at: usize, symbol| tokens.get(at).is_some_and(|token| token.kind == Kind::Symbol(symbol));
            let is_property = index > 0 && is(index - 1, '.') && !(index > 1 && is(index - 2, '.'));
            let is_key = is(index + 1, ':') && !is(index + 2, ':');
            if is_property || is_key {
                continue;
            }
            let indexed_by = tokens.get(index + 2).filter(|_| is(index + 1, '[') && is(index + 3, ']'));
            let indexed_by = indexed_by.and_then(|token| match &token.kind {
                Kind::Text(key) => Some((key, token)),
                Kind::Name(_) | Kind::Template(_) | Kind::Symbol(_) => None,
            });
            let has_property = is(index + 1, '.') || is(index + 1, '?') && is(index + 2, '.');
            match (name.as_str(), indexed_by) {
                ("variables", Some((key, Token { line, column, length, .. }))) => {
                    variables.push(Mention { name: key.clone(), line: *line, column: *column, length: *length });
                }
                ("variables", None) => return Err(Stray { line: token.line, column: token.column }),
                ("request", _) => sensitivity = Sensitivity::Personal,
                // A property's name is in the text; an event that is handed on as a whole may be read anywhere.
                ("event", None) if !has_property => sensitivity = Sensitivity::Personal,
                _ => {}
            }
        }
        Ok(Self { variables, sensitivity })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(text: &str) -> Vec<String> {
        let reads = Reads::of(text).unwrap_or_else(|stray| panic!("{text}: {stray:?}"));
        reads.variables.into_iter().map(|mention| mention.name).collect()
    }

    #[test]
    fn variables_are_named_by_texts_that_stand_there() {
        assert_eq!(names(r#"variables["A b"] + variables [ "C\"\u00e9" ]"#), ["A b", "C\"é"]);
        assert_eq!(names(r##"variables[#"raw "A""#]"##), ["raw \"A\""]);
        assert_eq!(names("`${variables[\"A\"]} ${ #{ x: `${variables[\"B\"]}` }.x } c`"), ["A", "B"]);
        assert_eq!(names("if x { variables[\"A\"] } else { `}` + variables[\"B\"] }"), ["A", "B"]);
    }

    #[test]
    fn texts_comments_and_properties_name_none() {
        for text in [
            "// variables[\"A\"]\n1",
            "/* /* variables */ variables */ 1",
            "\"variables\" + 'v' + '\\''",
            "event.variables",
            "#{ variables: 1 }",
            "`variables $ {variables}`",
            "\"\"\"variables\"",
        ] {
            assert_eq!(names(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn what_hides_a_name_is_found() {
        for (text, line, column) in [
            ("variables[event.x]", 1, 1),
            ("1;\n let v = variables;", 2, 10),
            ("f(variables)", 1, 3),
            ("variables[\"A\" + \"B\"]", 1, 1),
            ("`${variables}`", 1, 4),
            ("variables.A", 1, 1),
            ("0..variables", 1, 4),
        ] {
            assert_eq!(Reads::of(text), Err(Stray { line, column }), "{text}");
        }
    }

    #[test]
    fn places_count_characters() {
        let reads = Reads::of("let é = \"é\";\né + variables[\"Straße\"]").expect("a name");
        assert_eq!(reads.variables, [Mention { name: "Straße".to_owned(), line: 2, column: 15, length: 8 }]);
    }

    #[test]
    fn what_looks_at_a_person_is_personal() {
        for (text, sensitivity) in [
            ("event.value * 2", Sensitivity::Public),
            ("event[\"items.0.price\"]", Sensitivity::Public),
            ("event?.value", Sensitivity::Public),
            ("variables[\"A\"]", Sensitivity::Public),
            ("event.user_data.email_address", Sensitivity::Personal),
            ("event[\"user_data.city\"]", Sensitivity::Personal),
            ("let key = \"a\"; event[key]", Sensitivity::Personal),
            ("f(event)", Sensitivity::Personal),
            ("request.header(\"x\")", Sensitivity::Personal),
        ] {
            assert_eq!(Reads::of(text).expect("no variables").sensitivity, sensitivity, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(variables|\\[|\\]|\"|'|`|\\$|\\{|\\}|#|/|\\*|\\\\|\n| |é|a|\\.|:){0,30}") {
            let _ = Reads::of(&text);
        }
    }
}

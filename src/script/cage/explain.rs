//! What went wrong, in a tag author's words: takes an engine's error and the script; gives a message and a place.
//!
//! Engine messages quote values, and a value may be a visitor's. So none of them is handed on: each is said anew with the
//! types that it names, and with names only where they stand in the script.

use rhai::{EvalAltResult, ParseErrorType, Position};

use super::{MAX_ITEMS, MAX_TEXT, budget::Stop};
use crate::script::value::{shown_type, type_name};

/// What went wrong, and where.
pub fn explain(error: EvalAltResult, script: &str) -> (String, Position) {
    use EvalAltResult as E;
    let position = error.position();
    let message = match error {
        // The innermost place is the one to look at; an error that has none happened at the call.
        E::ErrorInFunctionCall(_, _, inner, _) | E::ErrorInModule(_, inner, _) => {
            let (message, inner) = explain(*inner, script);
            return (message, if inner.is_none() { position } else { inner });
        }
        E::ErrorRuntime(thrown, _) => {
            let kind = type_name(&thrown);
            match thrown.into_immutable_string() {
                Ok(text) if !text.is_empty() => text.to_string(),
                Ok(_) => "the script failed without a reason".to_owned(),
                Err("()") => "the script failed without a reason".to_owned(),
                Err(_) => format!("the script failed with a value of type {kind}"),
            }
        }
        E::ErrorTerminated(stop, _) => {
            stop.try_cast::<Stop>().map_or_else(|| "the script was stopped".to_owned(), |stop| stop.to_string())
        }
        E::ErrorTooManyOperations(_) => Stop::Operations.to_string(),
        E::ErrorStackOverflow(_) => Stop::Stack.to_string(),
        E::ErrorTooManyVariables(_) => "the script has too many variables at once".to_owned(),
        E::ErrorDataTooLarge(what, _) => too_large(&what),
        E::ErrorFunctionNotFound(signature, _) => no_function(&signature, script),
        E::ErrorDotExpr(words, _) => no_property(&words, script),
        E::ErrorIndexingType(types, _) => format!("nothing can be read or set by an index here: {types}"),
        E::ErrorVariableNotFound(name, _) => named("there is no variable", &name, script),
        E::ErrorModuleNotFound(name, _) => named("there is no module", &name, script),
        E::ErrorPropertyNotFound(name, _) => named("there is no property", &name, script),
        E::ErrorAssignmentToConstant(name, _) => named("a constant cannot be changed:", &name, script),
        E::ErrorNonPureMethodCallOnConstant(name, _) => named("a constant cannot be changed by", &name, script),
        E::ErrorVariableExists(name, _) | E::ErrorForbiddenVariable(name, _) => {
            named("there can be no variable", &name, script)
        }
        E::ErrorMismatchDataType(wanted, found, _) | E::ErrorMismatchOutputType(wanted, found, _) => {
            mismatch(&wanted, &found)
        }
        E::ErrorArrayBounds(len, _, _) => {
            format!("the index lies outside the list, which has {}", counted(len, "element"))
        }
        E::ErrorStringBounds(len, _, _) => {
            format!("the index lies outside the text, which has {}", counted(len, "character"))
        }
        E::ErrorBitFieldBounds(len, _, _) => format!("the index lies outside the number, which has {len} bits"),
        E::ErrorIndexNotFound(_, _) => "there is nothing at this index".to_owned(),
        E::ErrorArithmetic(words, _) => arithmetic(&words).to_owned(),
        E::ErrorFor(_) => "for takes a list, a text, a range or another iterator".to_owned(),
        E::ErrorUnboundThis(_) => "there is no this outside a method".to_owned(),
        // Names a keyword of the language, never a value.
        E::ErrorParsing(kind, _) => kind.to_string(),
        _ => "the script failed".to_owned(),
    };
    (message, position)
}

/// Whether a run was stopped because the scripts of its hit had no time left.
pub fn is_hit_time(error: &EvalAltResult) -> bool {
    matches!(error, EvalAltResult::ErrorTerminated(stop, _) if stop.clone().try_cast::<Stop>() == Some(Stop::HitTime))
}

/// `what name`, or without the name if the script made it up as it ran.
fn named(what: &str, name: &str, script: &str) -> String {
    if script.contains(name) { format!("{what} {name}") } else { format!("{what} of the name that the script made up") }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn too_large(what: &str) -> String {
    match what {
        "Length of string" => {
            format!("a text, or all texts of a list or map, would be longer than {} KB", MAX_TEXT >> 10)
        }
        "Size of object map" => format!("a map, with those inside it, would have more than {MAX_ITEMS} entries"),
        _ => format!("a list, with those inside it, would have more than {MAX_ITEMS} elements"),
    }
}

/// The engine's signature is `name (type, type)`, and all texts are `&str | ImmutableString | String` to it.
fn no_function(signature: &str, script: &str) -> String {
    let signature = signature.replace("&str | ImmutableString | String", "string");
    let Some((name, types)) = signature.rsplit_once(" (") else {
        // "elements of … cannot be sorted" comes this way, with the type.
        return match signature.starts_with("elements of") {
            true => {
                "only numbers, only texts, only characters or only booleans can be sorted without a comparer".to_owned()
            }
            false => named("there is no function", &signature, script),
        };
    };
    if !script.contains(name) {
        return "there is no function of the name that the script made up".to_owned();
    }
    let kind = if name.starts_with(|c: char| c.is_alphabetic() || c == '_') { "function" } else { "operator" };
    if types == ")" {
        format!("there is no {kind} {name} without arguments")
    } else {
        format!("no {kind} {name} takes ({types}")
    }
}

/// The engine says `Unknown property 'name' - a getter is not registered for type 'type'`, and the like for setters.
fn no_property(words: &str, script: &str) -> String {
    let quoted: Vec<&str> = words.split('\'').skip(1).step_by(2).collect();
    let verb = if words.starts_with("No writable") { "cannot be set" } else { "does not exist" };
    match quoted.as_slice() {
        [name, kind, ..] if script.contains(name) => format!("the property {name} of a value of type {kind} {verb}"),
        [_, kind, ..] => format!("a property of a value of type {kind} {verb}"),
        _ => "there is no such property".to_owned(),
    }
}

fn mismatch(wanted: &str, found: &str) -> String {
    match (shown_type(wanted), shown_type(found)) {
        ("", found) => format!("a value of type {found} has no place here"),
        (wanted, "") => format!("expected a value of type {wanted}"),
        (wanted, found) => format!("expected a value of type {wanted}, found one of type {found}"),
    }
}

fn arithmetic(words: &str) -> &'static str {
    const KNOWN: [(&str, &str); 9] = [
        ("Error parsing integer", "parse_int: the text is no whole number of 64 bits"),
        ("Error parsing floating", "parse_float: the text is no number"),
        ("Invalid radix", "parse_int: a radix is 2 to 36"),
        ("Integer overflow: to_int", "to_int: the number does not fit into 64 bits"),
        ("Integer raised", "a whole number cannot be raised to a negative power"),
        ("Modulo division", "the remainder of a division by zero, or of one whose result does not fit into 64 bits"),
        ("Division by zero", "division by zero"),
        ("step value", "range: the step is zero"),
        ("overflow", "a whole number does not fit into 64 bits"),
    ];
    let words = words.to_ascii_lowercase();
    let known = KNOWN.into_iter().find(|(part, _)| words.contains(&part.to_ascii_lowercase()));
    known.map_or("the arithmetic failed", |(_, message)| message)
}

/// What is wrong with a script that is not one.
pub fn syntax(error: &ParseErrorType) -> String {
    match error {
        ParseErrorType::VariableUndefined(name) => {
            format!("there is no variable {name} here; a function or closure sees only its parameters")
        }
        ParseErrorType::ModuleUndefined(name) => format!("there is no module {name}"),
        ParseErrorType::ExprTooDeep => "expressions or blocks stand too deep inside each other".to_owned(),
        other => other.to_string(),
    }
}

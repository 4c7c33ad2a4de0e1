//! From an expression's text to a script and the variables that it names.

use super::Cx;
use crate::{
    container::{
        diagnostic::Diagnostic,
        yaml::{Passage, SpannedText},
    },
    script::{Expression, Mention, Reads, Stray},
    trace::Sensitivity,
    variable::VariableIndex,
};

/// `None` goes with an error.
pub(super) fn compile(rule: &SpannedText, cx: &mut Cx<'_>) -> Option<Expression> {
    let passage = Passage::new(cx.at.file, rule.span, &rule.value, cx.sources);
    let script = match cx.scripts.add_expression(passage.clone()) {
        Ok(script) => script,
        Err(error) => {
            let number = |value: Option<usize>| value.and_then(|value| u32::try_from(value).ok()).unwrap_or(1);
            let place =
                crate::container::diagnostic::Place::new(cx.at.file, number(error.line), number(error.column), 1);
            // The compiler names the character where it stopped, not how far the fault reaches.
            let known = error.message.starts_with("there is no variable");
            let help = known.then(|| "an expression is given event, request and variables[\"Name\"]".to_owned());
            cx.report(Diagnostic::error("bad-expression", &*error.message).at(place).help(help));
            return None;
        }
    };
    let reads = match Reads::of(&rule.value) {
        Ok(reads) => reads,
        Err(Stray { line, column }) => {
            let message = "which variable is read must be known when the container loads";
            let problem = Diagnostic::error("bad-expression", message).at(passage.place(line, column, 9));
            cx.report(problem.help("name it by a text that stands there: variables[\"Name\"]".to_owned()));
            return None;
        }
    };
    let mut variables = Vec::new();
    for Mention { name, line, column, length } in reads.variables {
        let place = passage.place(line, column, length);
        let index = cx.names.find(&name, &place, cx.at.owner, cx.diagnostics);
        if let Some(index) = index
            && !variables.iter().any(|(_, own)| *own == VariableIndex(index))
        {
            variables.push((name.into(), VariableIndex(index)));
        }
    }
    Some(Expression { script, variables: variables.into() })
}

/// How sensitive what an expression reads of the event and the request is.
pub(super) fn sensitivity(text: &str) -> Sensitivity {
    Reads::of(text).map_or(Sensitivity::Personal, |reads| reads.sensitivity)
}

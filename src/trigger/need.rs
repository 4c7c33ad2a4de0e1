//! What conditions cannot do without: takes conditions; gives texts of which one must occur in a value for all of them to
//! hold, and a number on one side of which a value must lie. Never too much: a value without it does not satisfy them.

use regex_syntax::hir::{Hir, HirKind};

use super::condition::{Bound, Case, Condition, Operand, Operator, Order, Sense, Subject, Test, Wanted};

/// A text that must occur in the value of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Literal {
    pub subject: Subject,
    pub case: Case,
    pub text: Box<str>,
}

/// Texts of which one must occur.
pub type Alternatives = Vec<Literal>;

/// More alternatives than these are not worth looking for.
const MAX_ALTERNATIVES: usize = 64;

/// A number on one side of which a value must lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    pub subject: Subject,
    pub order: Order,
    pub bound: f64,
}

/// What a list of conditions, all of which must hold, cannot do without.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// One text of each of these sets.
    pub texts: Vec<Alternatives>,
    pub side: Option<Side>,
}

impl Needs {
    pub fn of(conditions: &[Condition]) -> Self {
        // A variable is looked at only if asking would look at it too: it may be an expression, which costs and has words.
        let first = conditions.first().and_then(first_subject);
        let is_free = |subject: &Subject| matches!(subject, Subject::EventData { .. }) || Some(subject) == first;
        let texts = conditions.iter().flat_map(of_condition);
        let texts = texts.filter(|set| set.iter().all(|literal| is_free(&literal.subject))).collect();
        let side = conditions.iter().find_map(side_of).filter(|side| is_free(&side.subject));
        Self { texts, side }
    }
}

/// What is looked at whatever there is.
fn first_subject(condition: &Condition) -> Option<&Subject> {
    match condition {
        Condition::Test(test) => Some(&test.subject),
        Condition::All(conditions) | Condition::Any(conditions) => conditions.first().and_then(first_subject),
    }
}

fn side_of(condition: &Condition) -> Option<Side> {
    match condition {
        Condition::Test(Test { subject, operator, sense: Sense::Is, .. }) => match operator {
            Operator::Compares(order, Bound::Fixed(bound)) => {
                Some(Side { subject: subject.clone(), order: *order, bound: *bound })
            }
            _ => None,
        },
        Condition::All(conditions) => conditions.iter().find_map(side_of),
        Condition::Test(_) | Condition::Any(_) => None,
    }
}

/// Every set of alternatives that a condition cannot do without; none if its text says nothing of the kind.
fn of_condition(condition: &Condition) -> Vec<Alternatives> {
    match condition {
        Condition::Test(test) if test.sense == Sense::Is => of_test(test),
        Condition::Test(_) => Vec::new(),
        Condition::All(conditions) => conditions.iter().flat_map(of_condition).collect(),
        Condition::Any(conditions) => union(conditions.iter().map(of_condition)).into_iter().collect(),
    }
}

/// What a pattern cannot do without.
pub fn of_pattern(pattern: &str, subject: &Subject, case: Case) -> Vec<Alternatives> {
    // Parsed as if case counted: what stands in the pattern then occurs in the value, but for case.
    let Ok(hir) = regex_syntax::parse(pattern) else { return Vec::new() };
    let sets = of_hir(&hir).into_iter();
    sets.filter_map(|set| set.into_iter().map(|text| literal(subject, case, &text, Spelling::Pattern)).collect())
        .collect()
}

fn of_test(test: &Test) -> Vec<Alternatives> {
    let (subject, case) = (&test.subject, test.case);
    let of_operand = |operand: &Operand| match operand {
        Operand::Fixed(Wanted { text, number: None }) => literal(subject, case, text, Spelling::Text),
        Operand::Fixed(_) | Operand::Template(_) => None,
    };
    let set: Option<Alternatives> = match &test.operator {
        Operator::Equals(one) | Operator::Contains(one) | Operator::StartsWith(one) | Operator::EndsWith(one) => {
            of_operand(one).map(|literal| vec![literal])
        }
        Operator::In(operands) => operands.iter().map(of_operand).collect(),
        Operator::Matches(pattern) => return of_pattern(pattern.as_str(), subject, case),
        Operator::Compares(..) | Operator::Defined => None,
    };
    set.filter(|set| (1..=MAX_ALTERNATIVES).contains(&set.len())).into_iter().collect()
}

/// Who ignores case in which way.
#[derive(Clone, Copy, PartialEq)]
enum Spelling {
    /// By comparing texts in lower case.
    Text,
    /// By what Unicode folds into each other, which differs from that beyond ASCII.
    Pattern,
}

fn literal(subject: &Subject, case: Case, text: &str, spelling: Spelling) -> Option<Literal> {
    let is_certain = case == Case::Sensitive || spelling == Spelling::Text || text.is_ascii();
    let literal = |text: &str| Literal { subject: subject.clone(), case, text: text.into() };
    (is_certain && !text.is_empty()).then(|| match case {
        Case::Sensitive => literal(text),
        Case::Ignored => literal(&folded(text)),
    })
}

/// A text in which literals are looked for that ignore case: in lower case, and the one other letter beside k's that
/// patterns take for an ASCII one (a k's own, the Kelvin sign, is lower-cased to it).
pub fn folded(text: &str) -> String {
    text.to_lowercase().replace('ſ', "s")
}

/// One set that is enough for all branches, of which one must hold: the best of each.
fn union<T: Weighed>(branches: impl Iterator<Item = Vec<Vec<T>>>) -> Option<Vec<T>> {
    let mut all = Vec::new();
    for sets in branches {
        all.extend(sets.into_iter().max_by_key(|set| set.iter().map(T::weight).min())?);
        if all.len() > MAX_ALTERNATIVES {
            return None;
        }
    }
    (!all.is_empty()).then_some(all)
}

/// A longer text occurs in fewer values.
trait Weighed {
    fn weight(&self) -> usize;
}

impl Weighed for Literal {
    fn weight(&self) -> usize {
        self.text.len()
    }
}

impl Weighed for String {
    fn weight(&self) -> usize {
        self.len()
    }
}

/// Sets of texts of which one occurs in whatever a pattern matches.
fn of_hir(hir: &Hir) -> Vec<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok();
            text.map(|text| vec![vec![text.to_owned()]]).unwrap_or_default()
        }
        HirKind::Capture(capture) => of_hir(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => of_hir(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().flat_map(of_hir).collect(),
        HirKind::Alternation(branches) => union(branches.iter().map(of_hir)).into_iter().collect(),
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::RegexBuilder;

    use super::*;

    fn texts(pattern: &str) -> Vec<Vec<String>> {
        of_hir(&regex_syntax::parse(pattern).unwrap())
    }

    #[test]
    fn a_pattern_needs_what_it_spells_out() {
        for (pattern, expected) in [
            ("^https://shop\\.example/area-17/", &[&["https://shop.example/area-17/"][..]][..]),
            ("checkout.*step", &[&["checkout"], &["step"]]),
            ("view_(item|cart)", &[&["view_"], &["item", "cart"]]),
            ("(sign_up|login)$", &[&["sign_up", "login"]]),
            ("(a|.*)", &[]),
            ("(abc)+d?", &[&["abc"]]),
            (".*", &[]),
            ("(?i)shop", &[]),
        ] {
            assert_eq!(texts(pattern), expected, "{pattern}");
        }
    }

    const PARTS: [&str; 14] =
        ["a", "sK", "b.", "[a-c]", "(s|k)", "x?", "(ab|c)", "(a|k)+", ".*", "\\w", "k{2}", "(?i)S", "ß", "(a|(bc|s))"];

    proptest! {
        /// Whatever a pattern matches holds one text of each set that it is said to need.
        #[test]
        fn nothing_matches_without_what_is_needed(
            parts in prop::collection::vec(prop::sample::select(&PARTS[..]), 1..5),
            text in "[abcskKSſ\u{212a}xß.]{0,8}",
            ignored: bool,
        ) {
            let pattern = parts.concat();
            let Ok(regex) = RegexBuilder::new(&pattern).case_insensitive(ignored).build() else { return Ok(()) };
            let case = if ignored { Case::Ignored } else { Case::Sensitive };
            let subject = Subject::event_data("x");
            if regex.is_match(&text) {
                let seen = if ignored { folded(&text) } else { text.clone() };
                for set in of_pattern(&pattern, &subject, case) {
                    prop_assert!(set.iter().any(|literal| seen.contains(&*literal.text)), "{pattern:?} {text:?} {set:?}");
                }
            }
        }
    }
}

//! From `setup` and `cleanup` to sequences of tags: names, and circles in which tags would wait for each other.

use super::{Item, Names};
use crate::container::{
    OnFailure, Serves, Step, TagIndex,
    diagnostic::{Diagnostic, Diagnostics, Place, quoted},
    model::{StepRule, TagRule},
    yaml::{Placed, ScalarOr},
};

/// How many tags may come before or after each other: each takes some of the thread's stack.
const MAX_CHAIN: usize = 16;

/// What a tag has to do with others.
pub(super) struct Sequence {
    pub setup: Option<Step>,
    pub cleanup: Option<Step>,
    pub serves: Serves,
}

type StepOf = ScalarOr<Placed<Box<str>>, StepRule>;

/// The sequence of each tag, in the order of the items; tags are named by their places in it.
pub(super) fn compile(items: &[Item<TagRule>], names: &Names, diagnostics: &mut Diagnostics) -> Vec<Sequence> {
    let mut step = |item: &Item<TagRule>, rule: &Option<StepOf>| {
        let rule = rule.as_ref()?;
        let owner = format!("tag {}", quoted(&item.name));
        let (name, on_failure) = match rule {
            ScalarOr::Scalar(name) => (name, OnFailure::GoOn),
            ScalarOr::Collection(StepRule { tag, stop_on_failure: true }) => (tag, OnFailure::Stop),
            ScalarOr::Collection(StepRule { tag, stop_on_failure: false }) => (tag, OnFailure::GoOn),
        };
        let place = names.find(name, &name.place, &owner, diagnostics)?;
        Some((Step { tag: TagIndex(place), on_failure }, name.place.clone()))
    };
    let steps: Vec<_> =
        items.iter().map(|item| [step(item, &item.rule.setup), step(item, &item.rule.cleanup)]).collect();
    report_circles(items, &steps, diagnostics);
    for (item, [setup, cleanup]) in items.iter().zip(&steps) {
        report_doubtful(items, item, setup.as_ref(), cleanup.as_ref(), diagnostics);
    }
    let mut sequences: Vec<_> = steps
        .iter()
        .map(|[setup, cleanup]| {
            let step = |step: &Option<(Step, Place)>| step.as_ref().map(|(step, _)| *step);
            Sequence { setup: step(setup), cleanup: step(cleanup), serves: Serves::Itself }
        })
        .collect();
    for (step, _) in steps.iter().flatten().flatten() {
        if let Some(sequence) = sequences.get_mut(step.tag.0) {
            sequence.serves = Serves::Others;
        }
    }
    sequences
}

/// Reports steps that cannot do what they seem to say.
fn report_doubtful(
    items: &[Item<TagRule>],
    item: &Item<TagRule>,
    setup: Option<&(Step, Place)>,
    cleanup: Option<&(Step, Place)>,
    diagnostics: &mut Diagnostics,
) {
    let owner = format!("tag {}", quoted(&item.name));
    let name = |step: &Step| items.get(step.tag.0).map(|item| quoted(&item.name)).unwrap_or_default();
    if let (Some((before, _)), Some((after, place))) = (setup, cleanup)
        && before.tag == after.tag
    {
        let message = format!("{} would come before and after {owner}, but a tag runs once an event", name(before));
        let problem = Diagnostic::error("bad-sequence", message).at(place.clone()).of(&*owner);
        diagnostics.push(problem.help("keep one of setup and cleanup, or make two tags of it".to_owned()));
    }
    if let Some((step, place)) = setup
        && step.on_failure == OnFailure::Stop
        && items.get(step.tag.0).is_some_and(|setup| setup.rule.paused)
    {
        let message = format!("{owner} does not run while its set-up {} is paused", name(step));
        let problem = Diagnostic::warning("paused-setup", message).at(place.clone()).of(&*owner);
        diagnostics.push(problem.help("let the set-up run, or say stop_on_failure: false".to_owned()));
    }
}

/// Reports every circle of tags that would wait for each other, once, and chains that are too long.
fn report_circles(items: &[Item<TagRule>], steps: &[[Option<(Step, Place)>; 2]], diagnostics: &mut Diagnostics) {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let next = |tag: usize| steps[tag].iter().flatten().map(|(step, place)| (step.tag.0, place));
    let mut marks = vec![Mark::New; items.len()];
    let mut depths = vec![1_usize; items.len()];
    for start in 0..items.len() {
        // An explicit stack: a long chain of tags must not use up the thread's own.
        let mut path = if marks[start] == Mark::New { vec![(start, next(start).collect::<Vec<_>>())] } else { vec![] };
        while let Some((tag, pending)) = path.last_mut() {
            let tag = *tag;
            marks[tag] = Mark::Open;
            let Some((other, place)) = pending.pop() else {
                marks[tag] = Mark::Done;
                depths[tag] = next(tag).map(|(other, _)| depths[other] + 1).max().unwrap_or(1);
                if depths[tag] == MAX_CHAIN + 1 {
                    let message = format!("more than {MAX_CHAIN} tags come before or after each other");
                    diagnostics.push(Diagnostic::error("long-chain", message).at(items[tag].place.clone()));
                }
                path.pop();
                continue;
            };
            match marks[other] {
                Mark::New => path.push((other, next(other).collect())),
                Mark::Open => {
                    let from = path.iter().position(|(open, _)| *open == other).unwrap_or_default();
                    let names: Vec<_> = path[from..]
                        .iter()
                        .map(|(open, _)| *open)
                        .chain([other])
                        .map(|tag| quoted(&items[tag].name))
                        .collect();
                    let message = match names.as_slice() {
                        [own, _] => format!("tag {own} would come before or after itself"),
                        names => format!("tags would come before or after themselves: {}", names.join(" -> ")),
                    };
                    diagnostics.push(Diagnostic::error("cycle", message).at(place.clone()));
                }
                Mark::Done => {}
            }
        }
    }
}

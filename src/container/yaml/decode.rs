//! From nodes to the model's types, through serde, with everything that is wrong and not just the first.
//!
//! Takes a [`Node`] and a type that derives `Deserialize`; gives the value and the diagnostics. How everything is found
//! in one go: serde stops at the first error, so the node that caused it gets a *stand-in*, which fits any type, and the
//! item is decoded again, until it passes. A value with stand-ins in it is thrown away; what was found remains. Unknown
//! keys need no second pass: they are noticed by the fields that a struct asks for, and stepped over.
//!
//! Every pass costs a look at the whole item. A file of thousands of items is therefore decoded in two steps: the file
//! with [`PlacedMap<Node>`](super::PlacedMap) for its sections, then each item under a [`Context`] of its own.
//!
//! # What a model type may use
//!
//! Structs, enums (tagged externally, which is serde's default), newtypes, `Option`, `Vec`, maps, `#[serde(default)]`,
//! `rename` and `alias`, `try_from`; [`Placed`](super::Placed), [`PlacedMap`](super::PlacedMap), [`Node`] and
//! their neighbours. Not `flatten`, `untagged` or `tag`: with these serde buffers the input and loses places and fields;
//! [`ScalarOr`](super::ScalarOr) and [`OneOrMany`](super::OneOrMany) take their place.

mod error;
mod key;
mod node;
mod stand_in;
mod variant;
mod want;

#[cfg(test)]
mod tests;

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde::Deserialize;

use self::{error::Spot, node::Slot, stand_in::Form, want::By};
use super::{Diagnostic, Diagnostics, Key, Node, Span, Value, quoted, scalar};
use crate::container::diagnostic::{Place, closest};

/// How often one item is decoded again; each pass finds at least one more problem or gives up on a part.
const MAX_PASSES: usize = 1_000;
/// How many nodes all passes over one item may visit, so that a large item with many errors stays quick to refuse.
const MAX_VISITS: usize = 2_000_000;

/// What diagnostics say about the item that is decoded.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub file: &'a Arc<str>,
    /// The item in the user's words, such as `tag "Sign-up"`.
    pub owner: &'a str,
    /// Where its name stands, for what concerns the item as a whole; `None` means where its value begins.
    pub name: Option<&'a Place>,
}

/// Decodes an item. Everything that is wrong with it goes to `diagnostics`.
///
/// `Some` if the type could be made of what is there; unknown keys are errors all the same. `None` goes with at least
/// one error.
pub fn decode<'de, T: Deserialize<'de>>(node: &'de Node, at: &Context<'_>, diagnostics: &mut Diagnostics) -> Option<T> {
    let mut session = Session::new(at);
    let mut passes = 0;
    let value = loop {
        match T::deserialize(By(session.root(node))) {
            Ok(value) => break session.stand_ins.is_empty().then_some(value),
            Err(error) => {
                passes += 1;
                let (diagnostic, trail) = session.root(node).resolve(error);
                if let Learnt::GiveUp = session.learn(diagnostic, trail) {
                    break None;
                }
                if passes >= MAX_PASSES || session.visits.get() > MAX_VISITS {
                    let interrupted = session.interrupted(node);
                    session.found.get_mut().push(interrupted);
                    break None;
                }
            }
        }
    };
    diagnostics.extend(session.found.into_inner());
    value
}

enum Learnt {
    /// Something will be different in the next pass.
    TryAgain,
    /// Not even stand-ins satisfy the type.
    GiveUp,
}

/// What the passes over one item share.
struct Session<'c> {
    context: &'c Context<'c>,
    /// What is not read but stood in for, and by what.
    stand_ins: HashMap<Spot, Form>,
    /// What has been told already, by another diagnostic or in an earlier pass: unknown keys, and the fields that they
    /// were probably meant to be, which are not missed as well.
    told: RefCell<HashSet<Spot>>,
    found: RefCell<Vec<Diagnostic>>,
    visits: Cell<usize>,
}

impl<'c> Session<'c> {
    fn new(context: &'c Context<'c>) -> Self {
        Self {
            context,
            stand_ins: HashMap::new(),
            told: RefCell::default(),
            found: RefCell::default(),
            visits: Cell::new(0),
        }
    }

    fn root<'s, 'de>(&'s self, node: &'de Node) -> node::AtNode<'s, 'de> {
        node::AtNode { session: self, node, slot: Slot::Item }
    }

    /// Notes what an error tells, and puts a stand-in in place of what caused it. If a stand-in caused it, another form
    /// of it comes next, and when all forms have failed, one for the node around it.
    fn learn(&mut self, diagnostic: Diagnostic, trail: Vec<Spot>) -> Learnt {
        let told = self.told.get_mut();
        if trail.first().is_some_and(|cause| !self.stand_ins.contains_key(cause) && !told.contains(cause)) {
            self.found.get_mut().push(diagnostic);
        }
        for spot in trail {
            let next = self.stand_ins.get(&spot).map_or(Some(Form::default()), |form| form.next());
            if let Some(form) = next {
                self.stand_ins.insert(spot, form);
                return Learnt::TryAgain;
            }
        }
        Learnt::GiveUp
    }

    /// Notes a key that a struct has no field for. `free` are those of its fields that the mapping at `node` lacks.
    fn unknown_key(&self, key: &Key, node: &Node, slot: Slot<'_>, free: &[&'static str], fields: &[&'static str]) {
        let mut told = self.told.borrow_mut();
        if !told.insert(Spot::key(key)) {
            return;
        }
        let help = match closest(&key.name, free.iter().copied()) {
            Some(field) => {
                told.insert(Spot::field(node, field));
                Some(format!("did you mean {}?", quoted(field)))
            }
            None if fields.is_empty() => None,
            None => Some(format!("known keys: {}", fields.join(", "))),
        };
        let message = format!("unknown key {} in {}", quoted(&key.name), self.whereabouts(slot));
        self.found.borrow_mut().push(self.error("unknown-key", message, key.span).found(&*key.name).help(help));
    }

    fn error(&self, code: &'static str, message: String, span: Span) -> Diagnostic {
        self.about(Diagnostic::error(code, message), span)
    }

    fn about(&self, diagnostic: Diagnostic, span: Span) -> Diagnostic {
        diagnostic.at(span.place(self.context.file)).of(self.context.owner)
    }

    /// About the item as a whole.
    fn about_item(&self, diagnostic: Diagnostic, node: &Node) -> Diagnostic {
        let place = self.context.name.cloned().unwrap_or_else(|| node.span.place(self.context.file));
        diagnostic.at(place).of(self.context.owner)
    }

    fn whereabouts(&self, slot: Slot<'_>) -> String {
        match slot {
            Slot::Item => self.context.owner.to_owned(),
            Slot::Key(key) => quoted(&key.name),
            Slot::Element { index, list: Some(key) } => format!("item {} of {}", index + 1, quoted(&key.name)),
            Slot::Element { index, list: None } => format!("item {} of {}", index + 1, self.context.owner),
        }
    }

    fn interrupted(&self, node: &Node) -> Diagnostic {
        self.about_item(Diagnostic::note("interrupted", "there may be more; mend these first"), node)
    }
}

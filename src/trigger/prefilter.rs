//! The prefilter: which of many triggers can hold at all, found without asking each of them. Takes what each cannot do
//! without ([`need`](super::need)) and a [`Moment`]; gives those whose needs are met, and all that need nothing.
//!
//! One pass over a value finds every text that occurs in it (Aho-Corasick), whatever the number of triggers. A set of
//! patterns run as one automaton would say more, but takes milliseconds as soon as many of them hold a `.*`.

use std::{borrow::Cow, cmp::Reverse, collections::HashMap};

use aho_corasick::AhoCorasick;
use smallvec::SmallVec;

use super::{
    condition::{Case, Order, Subject, number_of},
    need::{Alternatives, Literal, Needs, Side, folded},
};
use crate::{event, variable::Moment};

/// Fewer are asked one by one faster than they are found.
const WORTH_IT: usize = 16;
/// A look at a value that is of use to fewer than this saves nothing.
const WORTH_A_LOOK: usize = 4;

/// Positions of triggers, or of whatever else was put into a prefilter, in ascending order.
pub type Kept = SmallVec<[usize; 16]>;

#[derive(Debug)]
pub struct Prefilter {
    scans: Vec<Scan>,
    ladders: Vec<Ladder>,
    /// Those that need nothing.
    always: Vec<usize>,
}

/// One pass over one value.
#[derive(Debug)]
struct Scan {
    subject: Subject,
    case: Case,
    texts: AhoCorasick,
    /// For each text, who needs it.
    needed_by: Vec<Vec<usize>>,
}

/// Who needs a value to be on one side of which number, by that number.
#[derive(Debug)]
struct Ladder {
    subject: Subject,
    half: Half,
    rungs: Vec<(f64, usize)>,
}

/// The bound itself counts as on either side: whoever needs more than that is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Half {
    Below,
    Above,
}

impl Prefilter {
    /// Takes what each member needs, in order. `None` if so few need anything that it is not worth having.
    pub fn new(members: &[Needs]) -> Option<Self> {
        if members.len() < WORTH_IT {
            return None;
        }
        let mut shared: HashMap<&Literal, usize> = HashMap::new();
        for literal in members.iter().flat_map(|needs| &needs.texts).flatten() {
            *shared.entry(literal).or_default() += 1;
        }
        let mut filter = Self { scans: Vec::new(), ladders: Vec::new(), always: Vec::new() };
        let mut wanted: Vec<(Literal, usize)> = Vec::new();
        for (position, needs) in members.iter().enumerate() {
            // What few others need says most; of two such texts the longer.
            let rank = |set: &&Alternatives| {
                let others: usize = set.iter().filter_map(|literal| shared.get(literal)).sum();
                (others, Reverse(set.iter().map(|literal| literal.text.len()).min()))
            };
            match (needs.texts.iter().min_by_key(rank), &needs.side) {
                (Some(set), _) => wanted.extend(set.iter().map(|literal| (literal.clone(), position))),
                (None, Some(side)) => filter.add_rung(side, position),
                (None, None) => filter.always.push(position),
            }
        }
        filter.add_scans(wanted)?;
        filter.always.sort_unstable();
        filter.always.dedup();
        filter.ladders.iter_mut().for_each(|ladder| ladder.rungs.sort_by(|(a, _), (b, _)| a.total_cmp(b)));
        (members.len() - filter.always.len() >= WORTH_IT).then_some(filter)
    }

    fn add_rung(&mut self, side: &Side, position: usize) {
        let half = match side.order {
            Order::Less | Order::LessOrEqual => Half::Below,
            Order::Greater | Order::GreaterOrEqual => Half::Above,
        };
        let rung = (side.bound, position);
        match self.ladders.iter_mut().find(|ladder| ladder.subject == side.subject && ladder.half == half) {
            Some(ladder) => ladder.rungs.push(rung),
            None => self.ladders.push(Ladder { subject: side.subject.clone(), half, rungs: vec![rung] }),
        }
    }

    /// Sorts what is wanted by the value in which it is looked for; whoever wants something of a value that few others
    /// look at is always kept. `None` if the texts are too many for an automaton.
    fn add_scans(&mut self, wanted: Vec<(Literal, usize)>) -> Option<()> {
        let mut by_value: HashMap<(Subject, Case), HashMap<Box<str>, Vec<usize>>> = HashMap::new();
        for (Literal { subject, case, text }, position) in wanted {
            by_value.entry((subject, case)).or_default().entry(text).or_default().push(position);
        }
        for ((subject, case), texts) in by_value {
            if texts.len() < WORTH_A_LOOK {
                self.always.extend(texts.values().flatten());
                continue;
            }
            let (texts, needed_by): (Vec<_>, Vec<_>) = texts.into_iter().unzip();
            let texts = AhoCorasick::new(texts.iter().map(|text| text.as_bytes())).ok()?;
            self.scans.push(Scan { subject, case, texts, needed_by });
        }
        Some(())
    }

    /// The positions of the members that may hold.
    pub fn keep(&self, moment: &Moment<'_>) -> Kept {
        let mut kept = Kept::from_slice(&self.always);
        self.scans.iter().for_each(|scan| scan.keep(moment, &mut kept));
        self.ladders.iter().for_each(|ladder| ladder.keep(moment, &mut kept));
        kept.sort_unstable();
        kept.dedup();
        kept
    }
}

impl Scan {
    fn keep(&self, moment: &Moment<'_>, kept: &mut Kept) {
        let Some(value) = self.subject.value(moment) else { return };
        let Some(text) = event::to_text(&value) else { return };
        let text = match self.case {
            Case::Sensitive => text,
            Case::Ignored => Cow::Owned(folded(&text)),
        };
        // A text that occurs again and again counts once.
        let mut seen: SmallVec<[u64; 16]> = SmallVec::from_elem(0, self.needed_by.len().div_ceil(64));
        for found in self.texts.find_overlapping_iter(text.as_bytes()) {
            let id = found.pattern().as_usize();
            let (Some(word), bit) = (seen.get_mut(id / 64), 1 << (id % 64)) else { continue };
            if *word & bit == 0 {
                *word |= bit;
                kept.extend_from_slice(&self.needed_by[id]);
            }
        }
    }
}

impl Ladder {
    fn keep(&self, moment: &Moment<'_>, kept: &mut Kept) {
        let Some(number) = self.subject.value(moment).as_deref().and_then(number_of) else { return };
        let rungs = match self.half {
            Half::Below => &self.rungs[self.rungs.partition_point(|(bound, _)| *bound < number)..],
            Half::Above => &self.rungs[..self.rungs.partition_point(|(bound, _)| *bound <= number)],
        };
        kept.extend(rungs.iter().map(|(_, position)| *position));
    }
}

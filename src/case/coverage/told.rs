//! Coverage in words: how much of each kind is covered, then what is not, a line each.

use std::{fmt, sync::Arc};

use super::{ConditionCoverage, Coverage, TransformationCoverage, TriggerCoverage, Way};

/// How many of how many.
struct Share {
    covered: usize,
    all: usize,
}

impl Share {
    fn of(parts: impl Iterator<Item = bool>) -> Self {
        parts.fold(Self { covered: 0, all: 0 }, |share, is_covered| Self {
            covered: share.covered + usize::from(is_covered),
            all: share.all + 1,
        })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.covered, self.all)
    }
}

impl Coverage {
    /// Whether each tag fired; else, whether it went each other way that it can go.
    fn ways(&self, fired: bool) -> impl Iterator<Item = (&Arc<str>, Way, bool)> {
        let ways = self.tags.iter().flat_map(|tag| tag.ways.iter().map(move |(way, taken)| (&tag.tag, *way, *taken)));
        ways.filter(move |(_, way, _)| (*way == Way::Fired) == fired)
    }

    fn conditions(&self) -> impl Iterator<Item = &ConditionCoverage> {
        let of_triggers = self.triggers.iter().flat_map(|trigger| &trigger.conditions);
        of_triggers.chain(self.transformations.iter().flat_map(|transformation| &transformation.conditions))
    }

    fn missing(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let never =
            |(tag, way, taken): (&Arc<str>, Way, bool)| (!taken).then(|| format!("tag {tag:?} {}", way.never()));
        lines.extend(self.ways(true).filter_map(never));
        for TriggerCoverage { trigger, matched, conditions, sampled_out } in &self.triggers {
            if !matched {
                lines.push(format!("trigger {trigger:?} never matched"));
            }
            lines.extend(conditions.iter().filter_map(|condition| condition.missing(&format!("trigger {trigger:?}"))));
            if *sampled_out == Some(false) {
                lines.push(format!("trigger {trigger:?} never left a visitor out of its sample"));
            }
        }
        for TransformationCoverage { transformation, applied, conditions } in &self.transformations {
            let owner = format!("transformation {transformation:?}");
            if !applied {
                lines.push(format!("{owner} never applied"));
            }
            lines.extend(conditions.iter().filter_map(|condition| condition.missing(&owner)));
        }
        lines.extend(self.ways(false).filter_map(never));
        for tag in &self.tags {
            let lacked = tag.lacked.iter().filter(|(_, lacked)| !**lacked);
            lines.extend(lacked.map(|(kind, _)| format!("tag {:?} never lacked {kind}", tag.tag)));
        }
        lines
    }
}

impl ConditionCoverage {
    fn missing(&self, owner: &str) -> Option<String> {
        let never = match (self.held, self.failed) {
            (true, true) => return None,
            (false, true) => "never held",
            (true, false) => "never failed",
            (false, false) => "was never looked at",
        };
        Some(format!("{owner}: {} {never}", self.condition))
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcomes = self.conditions().flat_map(|condition| [condition.held, condition.failed]);
        let lacked = self.tags.iter().flat_map(|tag| tag.lacked.values().copied());
        let samples = self.triggers.iter().filter_map(|trigger| trigger.sampled_out);
        let others = self.ways(false).map(|(_, _, taken)| taken).chain(lacked).chain(samples);
        writeln!(f, "covered:")?;
        writeln!(f, "  {} tags fired", Share::of(self.ways(true).map(|(_, _, taken)| taken)))?;
        writeln!(f, "  {} triggers matched", Share::of(self.triggers.iter().map(|trigger| trigger.matched)))?;
        if !self.transformations.is_empty() {
            let applied = self.transformations.iter().map(|transformation| transformation.applied);
            writeln!(f, "  {} transformations applied", Share::of(applied))?;
        }
        writeln!(f, "  {} outcomes of conditions", Share::of(outcomes))?;
        writeln!(f, "  {} other ways of tags and samples", Share::of(others))?;
        let missing = self.missing();
        if !missing.is_empty() {
            writeln!(f, "not covered:")?;
        }
        missing.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

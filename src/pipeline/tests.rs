//! What cases do not reach: that a trace which leaves reasons out says how many.

use std::collections::BTreeMap;

use super::*;
use crate::{
    container::{
        diagnostic::Severity,
        folder,
        load::{LoadOptions, load},
    },
    time::Timestamp,
};

const RULES: &str = "
triggers: { Never: { event: e, when: [{ event_data: x, equals: 1 }] } }
tags:
  First: &tag { template: nothing, triggers: Never, consent: none, consent_reason: it does nothing }
  Second: *tag
  Third: *tag
";

fn container() -> Container {
    let options = LoadOptions {
        version: "test",
        environment: &BTreeMap::new(),
        absent_environment: Severity::Note,
        library: &folder::sources([("tags/nothing.rhai", ""), ("tags/nothing.yaml", "description: Nothing.")]),
        inline: None,
        seats: 1,
    };
    load(&folder::sources([("rules/a.yaml", RULES)]), options).container.unwrap()
}

#[test]
fn reasons_that_are_left_out_are_counted() {
    let hit = Arc::new(Hit { body: r#"{"event": "e"}"#.into(), ..Hit::silent(Timestamp(0)) });
    let surroundings = Surroundings {
        clock: || Duration::ZERO,
        new_id: &Uuid::nil,
        recent: None,
        told: 1,
        look: None,
        stated: Statement::default(),
    };
    let trace = process(&container(), Client::DataLayer, &hit, surroundings).trace;
    assert_eq!((trace.events[0].tags.len(), trace.events[0].untold), (1, 2));
}

//! The harvest of a hit: takes what its scripts asked for; gives the calls that are no copies and the cookies that may be
//! written, and each other one its reason.

use crate::{
    call::{Call, relay::Relay},
    consent::gate::Missing,
    container::Tag,
    cookie::SetCookie,
    deduplication::Sieve,
    openai::oppref,
    pipeline::{Decided, Held},
    script::{Given, Outcome},
    trace::{Cancelled, CookieVerdict, RefusalEffects, TagVerdict},
};

/// A call that goes along with that of an earlier event.
struct Joined;

/// What all tags of a hit asked for so far.
pub struct Harvest<'a> {
    decided: Decided,
    sieve: Sieve<'a>,
    /// Calls that pass the hit on, without their body; another event may still join one.
    relays: Vec<(Call, Relay)>,
}

impl<'a> Harvest<'a> {
    pub fn new(events: usize, sieve: Sieve<'a>) -> Self {
        Self { decided: Decided { events, ..Decided::default() }, sieve, relays: Vec::new() }
    }

    pub fn into_decided(mut self) -> Decided {
        let relays = self.relays.into_iter().map(|(call, relay)| {
            // Texts alone become JSON always; the delivery would tell of a call without a body.
            Call { body: serde_json::to_string(&relay.into_request()).unwrap_or_default().into(), ..call }
        });
        self.decided.calls.extend(relays);
        Decided { keys: self.sieve.into_keys(), ..self.decided }
    }

    pub fn hold(&mut self, held: Held) {
        self.decided.held.push(held);
    }

    /// Takes what a script asked for: calls that are not copies, and cookies that may be written. Each other one gets its
    /// reason.
    pub fn record(&mut self, outcome: Outcome, given: &Given) -> TagVerdict {
        match outcome {
            Outcome::Skipped { reason } => TagVerdict::Skipped { reason },
            Outcome::Failed(error) => TagVerdict::Failed { error },
            Outcome::Asked(asked) => {
                let calls = asked.calls.len() + asked.relays.len();
                let joined = asked.relays.into_iter().filter_map(|(call, relay)| self.relay(call, relay)).count();
                let suppressed = self.sieve.sift(asked.calls, given.event.id.origin, &mut self.decided.calls);
                let cookies = asked.cookies.iter().map(|cookie| self.set_cookie(cookie, given)).collect();
                TagVerdict::Ran { calls, suppressed, joined, cookies }
            }
        }
    }

    /// Keeps an event's part of the hit that is passed on. No copy of it is looked for: pages give several events one id,
    /// such as an order's to two properties, and whoever receives them counts by other ids.
    fn relay(&mut self, call: Call, relay: Relay) -> Option<Joined> {
        let mut relay = relay;
        let alike = self.relays.iter_mut().filter(|(own, _)| own.tag == call.tag && own.account == call.account);
        for (_, own) in alike {
            match own.join(relay) {
                Ok(()) => return Some(Joined),
                Err(other) => relay = other,
            }
        }
        self.relays.push((call, relay));
        None
    }

    fn set_cookie(&mut self, cookie: &SetCookie, given: &Given) -> CookieVerdict {
        let page = given.event.text("page_location").and_then(|address| url::Url::parse(address).ok());
        let refused = match cookie.header(&given.hit.host, page.as_ref().and_then(url::Url::host_str)) {
            Ok(header) => {
                // One header a name (RFC 6265, section 4.1.1): what was asked for last, counts.
                let names_it = |other: &String| other.split_once('=').is_some_and(|(name, _)| *name == *cookie.name);
                self.decided.cookies.retain(|other| !names_it(other));
                self.decided.cookies.push(header);
                None
            }
            Err(refusal) => Some(refusal),
        };
        CookieVerdict { name: cookie.name.clone(), refused }
    }

    /// A refusal makes the browser forget the cookies that the tag would have set, if it still has them, and the
    /// outbox the calls that carry the click of such a cookie.
    pub fn forget_refused(&mut self, tag: &Tag, missing: &Missing, given: &Given) -> RefusalEffects {
        let mut forgotten = RefusalEffects::default();
        if !missing.types.iter().any(|kind| missing.state.is_refused(kind)) {
            return forgotten;
        }
        for name in &tag.expire_when_refused {
            let Some(value) = given.hit.cookie(name) else { continue };
            let cookie = self.set_cookie(&SetCookie::expiry(name), given);
            if **name == *oppref::COOKIE && cookie.refused.is_none() && !value.is_empty() {
                self.decided.withdrawn.insert(value.into());
                forgotten.cancelled = Cancelled::CallsOfTheClick;
            }
            forgotten.expired.push(cookie);
        }
        forgotten
    }
}

//! A hit that goes on to where it was meant for. Takes, event by event, what of it goes on; gives one request for all of
//! those events, so that a batch stays one.

use super::http::{Header, HttpRequest, Method};

/// What of a hit goes on, for those of its events that were permitted so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    pub method: Method,
    /// Without a query.
    pub url: Box<str>,
    pub headers: Vec<Header>,
    /// The hit's query string, which all of its events share: one entry a parameter.
    pub shared: Vec<Shared>,
    /// Parameters that follow them.
    pub added: Vec<Box<str>>,
    /// The body's lines, one an event; none if the hit has no body.
    pub lines: Vec<Box<str>>,
}

/// What becomes of a parameter that all events of a hit share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shared {
    Goes(Box<str>),
    LeftOut,
    /// The event says it for itself, so that another event decides; nobody misses it if there is none.
    Open,
}

impl Shared {
    /// In bytes.
    pub fn length(&self) -> usize {
        match self {
            Self::Goes(pair) => pair.len(),
            Self::LeftOut | Self::Open => 0,
        }
    }
}

impl Relay {
    /// Adds an event of the same hit.
    ///
    /// # Errors
    /// Gives it back if they do not agree on what they share: then it is a request of its own.
    pub fn join(&mut self, other: Self) -> Result<(), Self> {
        let agree = |(own, others): (&Shared, &Shared)| match (own, others) {
            (Shared::Open, _) | (_, Shared::Open) => true,
            (own, others) => own == others,
        };
        let is_same = self.method == other.method
            && self.url == other.url
            && self.headers == other.headers
            && self.added == other.added
            && self.shared.len() == other.shared.len()
            && self.shared.iter().zip(&other.shared).all(agree);
        if !is_same {
            return Err(other);
        }
        for (own, others) in self.shared.iter_mut().zip(other.shared) {
            if *own == Shared::Open {
                *own = others;
            }
        }
        self.lines.extend(other.lines);
        Ok(())
    }

    pub fn into_request(self) -> HttpRequest {
        let shared = self.shared.iter().filter_map(|shared| match shared {
            Shared::Goes(pair) => Some(&**pair),
            Shared::LeftOut | Shared::Open => None,
        });
        let query: Vec<&str> = shared.chain(self.added.iter().map(AsRef::as_ref)).collect();
        let url = format!("{}?{}", self.url, query.join("&"));
        let body = (!self.lines.is_empty()).then(|| self.lines.join("\n").into());
        HttpRequest { method: self.method, url: url.into(), headers: self.headers, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(shared: &[Shared], line: &str) -> Relay {
        Relay {
            method: Method::Post,
            url: "https://a.example/g/collect".into(),
            headers: Vec::new(),
            shared: shared.to_vec(),
            added: vec!["_uip=203.0.113.7".into()],
            lines: vec![line.into()],
        }
    }

    fn goes(pair: &str) -> Shared {
        Shared::Goes(pair.into())
    }

    #[test]
    fn events_that_share_a_query_share_a_request() {
        let mut first = relay(&[goes("v=2"), Shared::Open, Shared::LeftOut], "en=a&dl=x");
        first.join(relay(&[goes("v=2"), goes("dl=y"), Shared::LeftOut], "en=b")).expect("they agree");
        first.join(relay(&[goes("v=2"), Shared::Open, Shared::LeftOut], "en=c&dl=z")).expect("they agree");
        let request = first.into_request();
        assert_eq!(&*request.url, "https://a.example/g/collect?v=2&dl=y&_uip=203.0.113.7");
        assert_eq!(request.body.as_deref(), Some("en=a&dl=x\nen=b\nen=c&dl=z"));
    }

    #[test]
    fn events_that_do_not_agree_have_a_request_each() {
        let mut first = relay(&[goes("v=2"), goes("dl=y")], "en=a");
        let other = relay(&[goes("v=2"), goes("dl=other")], "en=b");
        assert_eq!(first.join(other.clone()), Err(other));
        assert_eq!(first.lines.len(), 1);
        assert_eq!(
            &*relay(&[goes("v=2"), Shared::Open], "en=a").into_request().url,
            "https://a.example/g/collect?v=2&_uip=203.0.113.7"
        );
    }
}

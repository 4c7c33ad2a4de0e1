//! Gathers the evidence: takes an event and the hit that it came with; finds every consent signal that the container
//! reads, and decodes those that are there. What cookies and headers say is read once a hit.

use http::{HeaderName, header::COOKIE};
use serde_json::{Map, Value};
use smallvec::SmallVec;

use super::{
    Answer, Answered, Choice, ConsentSettings, ConsentSource, ConsentStatus, ConsentType, Evidence, RegionalDefault,
    Said, Signal, Statement, Unreadable,
    cmp::{AllCookies, Cookies, Told, axeptio, complianz, cookiebot, cookieyes, onetrust},
    gcd, gcs, opt_out,
    region::{self, Region, Whereabouts},
    settings::{RegionHeaders, Unset},
    tcf,
};
use crate::{
    event,
    hit::{Hit, Through},
    trigger::condition::Wanted,
    variable::Moment,
};

static SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");

/// What a hit's cookies and headers say, for each of its events.
#[derive(Debug, Default)]
pub struct HitSignals<'h> {
    signals: SmallVec<[Signal; 1]>,
    /// What CMPs say of whether the visitor has answered.
    answered: SmallVec<[(ConsentSource, Answered); 1]>,
    /// The cookie with a TCF string, or several; an event may bring a newer one.
    tcf: Vec<&'h [u8]>,
    whereabouts: Whereabouts,
}

/// Reads what a hit says beside its events.
pub fn of_hit<'h>(hit: &'h Hit, settings: &ConsentSettings) -> HitSignals<'h> {
    let mut found = HitSignals { whereabouts: whereabouts(hit, &settings.region_headers), ..HitSignals::default() };
    let mut cookies = AllCookies::default();
    for header in hit.headers.get_all(COOKIE) {
        cookies.scan(header.as_bytes());
    }
    if cookies.first.any {
        found.take_cookies(&cookies.first, settings);
        cookies.again().for_each(|cookies| found.take_cookies(&cookies, settings));
    }
    let opt_outs =
        hit.headers.get_all(&SEC_GPC).iter().map(|value| {
            std::str::from_utf8(value.as_bytes()).map_err(|_| Unreadable::NotText).and_then(opt_out::sec_gpc)
        });
    // Sent twice, one that opts out is enough.
    if let Some(said) = opt_outs.reduce(|one, other| one.or(other)) {
        found.signals.push(Signal::new(ConsentSource::SecGpc, said));
    }
    found
}

/// The evidence for one event of a hit.
pub fn of_event(moment: &Moment<'_>, of_hit: &HitSignals<'_>) -> Evidence {
    let settings = &moment.container.consent;
    let page = &moment.event.signals;
    let mut evidence = Evidence {
        defaults: defaults(&page.defaults, settings, of_hit.whereabouts),
        whereabouts: of_hit.whereabouts,
        read: settings.read,
        ..Evidence::default()
    };
    if !page.assumed.is_silent() {
        evidence.signals.push(Signal::new(ConsentSource::Assumed, Ok(page.assumed)));
    }
    if !page.hit.is_silent() {
        evidence.signals.push(Signal::new(ConsentSource::Hit, Ok(page.hit)));
    }
    let fields = Fields::of(&moment.event.data, &page.again);
    let updated = evidence.take_google(&fields, settings);
    evidence.take_tcf(&fields, &of_hit.tcf, settings);
    evidence.signals.extend(of_hit.signals.iter().cloned());
    evidence.take_variables(moment, settings);
    for (turn, value) in fields.of_field(Field::Npa) {
        evidence.signals.push(Signal::new(ConsentSource::Npa, opt_out::npa(value)).at(turn));
    }
    for (turn, value) in fields.of_field(Field::UsPrivacy) {
        let said = text(value).and_then(opt_out::us_privacy);
        evidence.signals.push(Signal::new(ConsentSource::UsPrivacy, said).at(turn));
    }
    evidence.choice = choice(page.answered, &of_hit.answered, updated);
    evidence
}

/// Whether the visitor has answered: by the page's word, else by a CMP's, else because the site updated what it had set.
fn choice(page: Answered, cmps: &[(ConsentSource, Answered)], updated: Answered) -> Choice {
    let by_cmp = cmps.iter().find(|(_, answered)| *answered == Answered::Yes).or(cmps.first());
    match (page, by_cmp) {
        (Answered::NotSaid, Some((source, answered))) => Choice::new(*answered, *source),
        (Answered::NotSaid, None) => Choice::new(updated, ConsentSource::GcdUpdate),
        (said, _) => Choice::new(said, ConsentSource::Hit),
    }
}

/// The consent fields of an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Gcs,
    Gcd,
    Npa,
    UsPrivacy,
    Gdpr,
    Tcf,
}

impl Field {
    /// By GTM's names for what Google's tag sends, and by their short ones.
    fn of(key: &str) -> Option<Self> {
        // By its first letter, because every key of every event comes through here.
        let Some(b'g' | b'n' | b't' | b'u' | b'x') = key.as_bytes().first() else { return None };
        Some(match key {
            "gcs" | "x-ga-gcs" => Self::Gcs,
            "gcd" | "x-ga-gcd" => Self::Gcd,
            "npa" | "x-ga-npa" => Self::Npa,
            "us_privacy" | "x-ga-us_privacy" => Self::UsPrivacy,
            "gdpr" => Self::Gdpr,
            "tcf" | "gdpr_consent" => Self::Tcf,
            _ => return None,
        })
    }
}

/// Whether a consent signal is read from this key of event data.
pub fn is_signal(key: &str) -> bool {
    Field::of(key).is_some()
}

/// What an event has of each field. Said more than once, by another name or in another place, each value counts.
struct Fields<'e>(SmallVec<[(Field, &'e Value); 4]>);

impl<'e> Fields<'e> {
    /// Goes through the event once, because most events have none of these.
    fn of(data: &'e Map<String, Value>, again: &'e [(Box<str>, Value)]) -> Self {
        let mut fields = Self(SmallVec::new());
        let again = again.iter().map(|(key, value)| (&**key, value));
        for (key, value) in data.iter().map(|(key, value)| (key.as_str(), value)).chain(again) {
            let Some(field) = Field::of(key) else { continue };
            if !value.is_null() && value.as_str() != Some("") && !fields.0.contains(&(field, value)) {
                fields.0.push((field, value));
            }
        }
        fields
    }

    /// The values of one field, each with its turn.
    fn of_field(&self, field: Field) -> impl Iterator<Item = (usize, &'e Value)> {
        self.0.iter().filter(move |(own, _)| *own == field).map(|(_, value)| *value).enumerate()
    }

    fn has(&self, field: Field) -> bool {
        self.of_field(field).next().is_some()
    }
}

fn text(value: &Value) -> Result<&str, Unreadable> {
    value.as_str().ok_or(Unreadable::NotText)
}

impl Signal {
    fn new(source: ConsentSource, said: Result<Statement, Unreadable>) -> Self {
        Self { source, said: said.map_or_else(Said::Unreadable, Said::Types), variable: None, turn: 0 }
    }

    fn left_out(source: ConsentSource) -> Self {
        Self { source, said: Said::LeftOut, variable: None, turn: 0 }
    }

    fn at(self, turn: usize) -> Self {
        Self { turn: u8::try_from(turn).unwrap_or(u8::MAX), ..self }
    }
}

impl HitSignals<'_> {
    fn take_cmp(
        &mut self,
        source: ConsentSource,
        settings: &ConsentSettings,
        decode: impl FnOnce() -> Result<Told, Unreadable>,
    ) {
        let is_own = |signal: &&Signal| signal.source == source;
        let turn = self.signals.iter().filter(is_own).count();
        if !settings.read.contains(source) {
            if turn == 0 {
                self.signals.push(Signal::left_out(source));
            }
            return;
        }
        let told = decode();
        if let Ok(Told { answered: answered @ (Answered::Yes | Answered::No), .. }) = told {
            self.answered.push((source, answered));
        }
        let signal = Signal::new(source, told.map(|told| told.said));
        // Where a cookie came again, those beside it are read again.
        if !self.signals.iter().filter(is_own).any(|own| own.said == signal.said) {
            self.signals.push(signal.at(turn));
        }
    }
}

impl<'h> HitSignals<'h> {
    fn take_cookies(&mut self, cookies: &Cookies<'h>, settings: &ConsentSettings) {
        if let Some(raw) = cookies.cookiebot {
            self.take_cmp(ConsentSource::Cookiebot, settings, || cookiebot::decode(raw));
        }
        if let Some(raw) = cookies.onetrust {
            let decode = || onetrust::decode(raw, cookies.onetrust_closed, &settings.onetrust);
            self.take_cmp(ConsentSource::OneTrust, settings, decode);
        }
        if let Some(raw) = cookies.cookieyes {
            self.take_cmp(ConsentSource::CookieYes, settings, || cookieyes::decode(raw));
        }
        if cookies.complianz.are_there() {
            self.take_cmp(ConsentSource::Complianz, settings, || complianz::decode(&cookies.complianz));
        }
        if cookies.axeptio.are_there() {
            self.take_cmp(ConsentSource::Axeptio, settings, || axeptio::decode(&cookies.axeptio, &settings.axeptio));
        }
        if let Some(string) = cookies.tcf.filter(|string| !self.tcf.contains(string)) {
            self.tcf.push(string);
        }
    }
}

impl Evidence {
    /// `gcd` and `gcs`. Whether the site updated anything is given back: it does so when the visitor answers.
    fn take_google(&mut self, fields: &Fields<'_>, settings: &ConsentSettings) -> Answered {
        let mut updated = Answered::NotSaid;
        if !settings.read.contains(ConsentSource::Gcd) {
            self.leave_out(fields.has(Field::Gcd), ConsentSource::Gcd);
        } else {
            for (turn, value) in fields.of_field(Field::Gcd) {
                match text(value).and_then(gcd::decode) {
                    Ok(gcd) => {
                        if self.take_gcd(&gcd, settings.unset, turn) == Answered::Yes {
                            updated = Answered::Yes;
                        }
                    }
                    Err(fault) => self.signals.push(Signal::new(ConsentSource::Gcd, Err(fault)).at(turn)),
                }
            }
        }
        if !settings.read.contains(ConsentSource::Gcs) {
            self.leave_out(fields.has(Field::Gcs), ConsentSource::Gcs);
        } else {
            for (turn, value) in fields.of_field(Field::Gcs) {
                let said = text(value).and_then(gcs::decode);
                self.signals.push(Signal::new(ConsentSource::Gcs, said).at(turn));
            }
        }
        updated
    }

    fn leave_out(&mut self, came: bool, source: ConsentSource) {
        if came {
            self.signals.push(Signal::left_out(source));
        }
    }

    fn take_gcd(&mut self, gcd: &gcd::Gcd, unset: Unset, turn: usize) -> Answered {
        let mut implicit = Statement::default();
        for (kind, status) in gcd.implicit.known() {
            let is_set = [gcd.update, gcd.default].iter().any(|said| said.get(kind) != ConsentStatus::Unknown);
            if !is_set && (status == ConsentStatus::Denied || unset == Unset::Allow) {
                implicit.set(kind, status);
            }
        }
        let settings = [
            (ConsentSource::GcdUpdate, gcd.update),
            (ConsentSource::GcdDefault, gcd.default),
            (ConsentSource::GcdImplicit, implicit),
        ];
        let spoken = settings.iter().filter(|(_, said)| !said.is_silent());
        self.signals.extend(spoken.map(|(source, said)| Signal::new(*source, Ok(*said)).at(turn)));
        if settings.iter().all(|(_, said)| said.is_silent()) {
            self.signals.push(Signal::new(ConsentSource::GcdImplicit, Ok(implicit)).at(turn));
        }
        if gcd.update.is_silent() { Answered::NotSaid } else { Answered::Yes }
    }

    fn take_tcf(&mut self, fields: &Fields<'_>, cookies: &[&[u8]], settings: &ConsentSettings) {
        let mut flags = fields.of_field(Field::Gdpr).map(|(_, flag)| opt_out::flag(flag));
        // One that says it applies, or nothing that can be read, is enough.
        let applies = !fields.has(Field::Gdpr) || flags.any(|flag| flag != Ok(false));
        let of_cookie = |raw| std::str::from_utf8(raw).map_err(|_| Unreadable::NotText);
        let of_event: SmallVec<[_; 1]> = fields.of_field(Field::Tcf).map(|(_, value)| text(value)).collect();
        let strings = if of_event.is_empty() { cookies.iter().map(|raw| of_cookie(raw)).collect() } else { of_event };
        for (turn, string) in strings.into_iter().enumerate() {
            let said = if !settings.read.contains(ConsentSource::Tcf) {
                Said::LeftOut
            } else if !applies {
                Said::NoGdpr
            } else {
                match string.and_then(tcf::decode) {
                    Ok(string) => self.tcf_says(&string, settings),
                    Err(fault) => Said::Unreadable(fault),
                }
            };
            self.signals.push(Signal { source: ConsentSource::Tcf, said, variable: None, turn: 0 }.at(turn));
        }
    }

    fn tcf_says(&mut self, string: &tcf::TcString<'_>, settings: &ConsentSettings) -> Said {
        for id in &settings.vendors {
            let said = string.for_vendor(*id);
            match self.vendors.iter_mut().find(|(own, _)| own == id) {
                None => self.vendors.push((*id, said)),
                // Of several strings the strictest counts.
                Some((_, own)) => {
                    for (kind, status) in said.known() {
                        own.set(kind, own.get(kind).strictest(status));
                    }
                }
            }
        }
        let denied = string.in_general();
        let is_open = |kind: &ConsentType| denied.get(*kind) == ConsentStatus::Unknown;
        Said::Tcf { denied, open: ConsentType::AD.into_iter().filter(is_open).collect() }
    }

    fn take_variables(&mut self, moment: &Moment<'_>, settings: &ConsentSettings) {
        for source in &settings.variables {
            let Some(value) = event::to_text(moment.variable(source.variable)) else { continue };
            let is = |wanted: &[Wanted]| wanted.iter().any(|wanted| wanted.equals(&value));
            let status = if is(&source.denied_when) {
                ConsentStatus::Denied
            } else if is(&source.granted_when) {
                ConsentStatus::Granted
            } else {
                ConsentStatus::Unknown
            };
            let mut said = Statement::default();
            source.types.iter().for_each(|kind| said.set(kind, status));
            let variable = Some(std::sync::Arc::clone(&source.name));
            self.signals.push(Signal { variable, ..Signal::new(ConsentSource::Variable, Ok(said)) });
        }
    }
}

/// What holds where no signal speaks: the page's defaults and the container's by region, whichever is more specific, the
/// strictest of equals; else the container's own.
fn defaults(page: &[RegionalDefault], settings: &ConsentSettings, whereabouts: Whereabouts) -> [Answer; 7] {
    let own = |kind| match settings.default.get(kind) {
        ConsentStatus::Unknown => Answer::default(),
        status => Answer { status, source: ConsentSource::ContainerDefault },
    };
    if page.is_empty() && settings.regions.is_empty() {
        return ConsentType::ALL.map(own);
    }
    ConsentType::ALL.map(|kind| {
        let of_page = region::default_of(page, kind, whereabouts);
        let of_region = region::default_of(&settings.regions, kind, whereabouts);
        let page_goes_first = match of_page.0.cmp(&of_region.0) {
            std::cmp::Ordering::Equal => of_page.1 == ConsentStatus::Denied && of_region.1 != ConsentStatus::Denied,
            order => order.is_gt(),
        };
        let (status, source) = if page_goes_first {
            (of_page.1, ConsentSource::PageDefault)
        } else {
            (of_region.1, ConsentSource::RegionDefault)
        };
        if status == ConsentStatus::Unknown { own(kind) } else { Answer { status, source } }
    })
}

/// Where the visitor is. Only a trusted proxy is believed: anybody else may write any country into the header.
fn whereabouts(hit: &Hit, headers: &RegionHeaders) -> Whereabouts {
    let RegionHeaders::Named { country, subdivision } = headers else { return Whereabouts::NotAsked };
    let Some(code) = hit.header(country.as_str()) else { return Whereabouts::NotReceived };
    if hit.through != Through::TrustedProxy {
        return Whereabouts::NotTrusted;
    }
    let Some(region) = Region::parse(code) else { return Whereabouts::NotARegion };
    let subdivision = subdivision.as_ref().and_then(|name| hit.header(name.as_str()));
    Whereabouts::Known(subdivision.and_then(|code| region.within(code)).unwrap_or(region))
}

#[cfg(test)]
mod tests;

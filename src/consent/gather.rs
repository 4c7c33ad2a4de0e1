//! Gathers the evidence: takes an event and the hit that it came with; finds every consent signal that the container
//! reads, and decodes those that are there. What cookies and headers say is read once a hit.

use http::{HeaderName, header::COOKIE};
use serde_json::{Map, Value};
use smallvec::SmallVec;

use super::{
    Answer, Answered, Choice, ConsentSettings, ConsentSource, ConsentStatus, ConsentType, Evidence, RegionalDefault,
    Said, Signal, Statement, Unreadable,
    cmp::{Cookies, Told, axeptio, complianz, cookiebot, cookieyes, onetrust},
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
    /// The cookie with a TCF string; an event may bring a newer one.
    tcf: Option<&'h [u8]>,
    whereabouts: Whereabouts,
}

/// Reads what a hit says beside its events.
pub fn of_hit<'h>(hit: &'h Hit, settings: &ConsentSettings) -> HitSignals<'h> {
    let mut found = HitSignals { whereabouts: whereabouts(hit, &settings.region_headers), ..HitSignals::default() };
    let mut cookies = Cookies::default();
    for header in hit.headers.get_all(COOKIE) {
        cookies.scan(header.as_bytes());
    }
    if cookies.any {
        found.take_cookies(&cookies, settings);
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
    if !page.hit.is_silent() {
        evidence.signals.push(Signal::new(ConsentSource::Hit, Ok(page.hit)));
    }
    let fields = Fields::of(&moment.event.data);
    let updated = evidence.take_google(&fields, settings);
    evidence.take_tcf(&fields, of_hit.tcf, settings);
    evidence.signals.extend(of_hit.signals.iter().cloned());
    evidence.take_variables(moment, settings);
    if let Some(value) = fields.npa {
        evidence.signals.push(Signal::new(ConsentSource::Npa, opt_out::npa(value)));
    }
    if let Some(value) = fields.us_privacy {
        evidence.signals.push(Signal::new(ConsentSource::UsPrivacy, text(value).and_then(opt_out::us_privacy)));
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

/// The consent fields of an event, by GTM's names for what Google's tag sends, and by their short ones.
#[derive(Default)]
struct Fields<'e> {
    gcs: Option<&'e Value>,
    gcd: Option<&'e Value>,
    npa: Option<&'e Value>,
    us_privacy: Option<&'e Value>,
    gdpr: Option<&'e Value>,
    tcf: Option<&'e Value>,
}

impl<'e> Fields<'e> {
    /// Goes through the event once, because most events have none of these.
    fn of(data: &'e Map<String, Value>) -> Self {
        let mut fields = Self::default();
        for (key, value) in data {
            // By its first letter, because every event comes through here.
            let Some(b'g' | b'n' | b't' | b'u' | b'x') = key.as_bytes().first() else { continue };
            let place = match key.as_str() {
                "gcs" | "x-ga-gcs" => &mut fields.gcs,
                "gcd" | "x-ga-gcd" => &mut fields.gcd,
                "npa" | "x-ga-npa" => &mut fields.npa,
                "us_privacy" | "x-ga-us_privacy" => &mut fields.us_privacy,
                "gdpr" => &mut fields.gdpr,
                "tcf" | "gdpr_consent" => &mut fields.tcf,
                _ => continue,
            };
            if !value.is_null() && value.as_str() != Some("") {
                *place = Some(value);
            }
        }
        fields
    }
}

fn text(value: &Value) -> Result<&str, Unreadable> {
    value.as_str().ok_or(Unreadable::NotText)
}

impl Signal {
    fn new(source: ConsentSource, said: Result<Statement, Unreadable>) -> Self {
        Self { source, said: said.map_or_else(Said::Unreadable, Said::Types), variable: None }
    }

    fn left_out(source: ConsentSource) -> Self {
        Self { source, said: Said::LeftOut, variable: None }
    }
}

impl HitSignals<'_> {
    fn take_cmp(
        &mut self,
        source: ConsentSource,
        settings: &ConsentSettings,
        decode: impl FnOnce() -> Result<Told, Unreadable>,
    ) {
        if !settings.read.contains(source) {
            self.signals.push(Signal::left_out(source));
            return;
        }
        let told = decode();
        if let Ok(Told { answered: answered @ (Answered::Yes | Answered::No), .. }) = told {
            self.answered.push((source, answered));
        }
        self.signals.push(Signal::new(source, told.map(|told| told.said)));
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
        self.tcf = cookies.tcf;
    }
}

impl Evidence {
    /// `gcd` and `gcs`. Whether the site updated anything is given back: it does so when the visitor answers.
    fn take_google(&mut self, fields: &Fields<'_>, settings: &ConsentSettings) -> Answered {
        let mut updated = Answered::NotSaid;
        match fields.gcd {
            None => {}
            Some(_) if !settings.read.contains(ConsentSource::Gcd) => {
                self.signals.push(Signal::left_out(ConsentSource::Gcd));
            }
            Some(value) => match text(value).and_then(gcd::decode) {
                Ok(gcd) => updated = self.take_gcd(&gcd, settings.unset),
                Err(fault) => self.signals.push(Signal::new(ConsentSource::Gcd, Err(fault))),
            },
        }
        match fields.gcs {
            None => {}
            Some(_) if !settings.read.contains(ConsentSource::Gcs) => {
                self.signals.push(Signal::left_out(ConsentSource::Gcs));
            }
            Some(value) => self.signals.push(Signal::new(ConsentSource::Gcs, text(value).and_then(gcs::decode))),
        }
        updated
    }

    fn take_gcd(&mut self, gcd: &gcd::Gcd, unset: Unset) -> Answered {
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
        self.signals.extend(spoken.map(|(source, said)| Signal::new(*source, Ok(*said))));
        if settings.iter().all(|(_, said)| said.is_silent()) {
            self.signals.push(Signal::new(ConsentSource::GcdImplicit, Ok(implicit)));
        }
        if gcd.update.is_silent() { Answered::NotSaid } else { Answered::Yes }
    }

    fn take_tcf(&mut self, fields: &Fields<'_>, cookie: Option<&[u8]>, settings: &ConsentSettings) {
        let string = match (fields.tcf, cookie) {
            (Some(value), _) => text(value),
            (None, Some(raw)) => std::str::from_utf8(raw).map_err(|_| Unreadable::NotText),
            (None, None) => return,
        };
        let applies = fields.gdpr.map(opt_out::flag);
        let said = if !settings.read.contains(ConsentSource::Tcf) {
            Said::LeftOut
        } else if applies == Some(Ok(false)) {
            Said::NoGdpr
        } else {
            match string.and_then(tcf::decode) {
                Ok(string) => {
                    self.vendors = settings.vendors.iter().map(|id| (*id, string.for_vendor(*id))).collect();
                    let denied = string.in_general();
                    let is_open = |kind: &ConsentType| denied.get(*kind) == ConsentStatus::Unknown;
                    Said::Tcf { denied, open: ConsentType::AD.into_iter().filter(is_open).collect() }
                }
                Err(fault) => Said::Unreadable(fault),
            }
        };
        self.signals.push(Signal { source: ConsentSource::Tcf, said, variable: None });
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

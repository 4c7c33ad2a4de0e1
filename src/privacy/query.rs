//! What is taken out of addresses of pages: takes an address as it was sent, which need not be well-formed; gives it
//! without the parameters that a container names. What stays is not written anew.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use serde_json::Value;

use super::{
    Fate,
    email::{folded, holds_email},
};

/// What stands for the part of a path that was taken out.
const REDACTED: &str = "(redacted)";

/// The parameters that `default` names: what tells who somebody is, and what opens their account.
pub const DEFAULT: [&str; 34] = [
    "*email*",
    "mail",
    "*phone",
    "*phonenumber",
    "tel",
    "mobile",
    "msisdn",
    "*firstname",
    "*lastname",
    "*fullname",
    "surname",
    "username",
    "login",
    "*birthdate",
    "*birthday",
    "dob",
    "*street",
    "*streetaddress",
    "*postalcode",
    "*postcode",
    "*zipcode",
    "ssn",
    "iban",
    "cardnumber",
    "*password*",
    "passwd",
    "pwd",
    "*token",
    "jwt",
    "*apikey",
    "secret",
    "*sessionid",
    "phpsessid",
    "*signature",
];

/// An address in a parameter of an address, and how often a text may be percent-encoded.
const MAX_DEPTH: usize = 3;

/// What to take out.
#[derive(Clone, Debug, Default)]
pub struct StripQuery {
    names: Vec<NamePattern>,
    emails: Emails,
}

/// Whether what looks like an e-mail address goes too, wherever in an address it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Emails {
    #[default]
    Stay,
    Go,
}

/// A parameter's name, compared by its letters and digits alone, without regard to case; `*` at an end stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NamePattern {
    text: Box<str>,
    open: (Open, Open),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    No,
    Yes,
}

impl StripQuery {
    /// Adds the parameters of the default list, and all that looks like an e-mail address.
    pub fn add_default(&mut self) {
        self.names.extend(DEFAULT.iter().filter_map(|name| NamePattern::parse(name)));
        self.emails = Emails::Go;
    }

    /// Adds a parameter by its name, which may begin or end with `*`. `None` if it can be no name.
    #[must_use]
    pub fn add(&mut self, name: &str) -> Option<()> {
        self.names.push(NamePattern::parse(name)?);
        Some(())
    }

    /// An address without what is taken out; `None` if that is nothing.
    pub fn strip(&self, address: &str) -> Option<String> {
        self.address(address, 0)
    }

    fn address(&self, address: &str, depth: usize) -> Option<String> {
        let (page, fragment) = address.split_once('#').map_or((address, None), |(page, rest)| (page, Some(rest)));
        let (path, query) = page.split_once('?').map_or((page, None), |(path, query)| (path, Some(query)));
        let kept_path = self.path(path);
        let kept_query = query.map(|query| self.query(query, depth));
        let kept_fragment = fragment.map(|fragment| self.fragment(fragment, depth));
        let is_same = |kept: &Option<Cow<'_, str>>| matches!(kept, None | Some(Cow::Borrowed(_)));
        if matches!(kept_path, Cow::Borrowed(_)) && is_same(&kept_query) && is_same(&kept_fragment) {
            return None;
        }
        let mut kept = kept_path.into_owned();
        for (mark, part, before) in [('?', kept_query, query), ('#', kept_fragment, fragment)] {
            let Some(part) = part else { continue };
            // A lone mark stays if it was one.
            if !part.is_empty() || before == Some("") {
                kept.push(mark);
                kept.push_str(&part);
            }
        }
        Some(kept)
    }

    /// Scheme, host and path: an e-mail address can be a part of the path, and a name can stand before the host.
    fn path<'a>(&self, path: &'a str) -> Cow<'a, str> {
        if self.emails == Emails::Stay {
            return Cow::Borrowed(path);
        }
        let (scheme, rest) = match path.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, path),
        };
        let mut changed = false;
        let mut parts: Vec<Cow<'_, str>> = Vec::new();
        for (position, part) in rest.split('/').enumerate() {
            let host = part.rsplit_once('@').filter(|_| scheme.is_some() && position == 0);
            let kept = match host {
                Some((_, host)) => Cow::Borrowed(host),
                None if holds_email(part) => Cow::Borrowed(REDACTED),
                None => self.without_matrix(part),
            };
            changed |= *kept != *part;
            parts.push(kept);
        }
        if !changed {
            return Cow::Borrowed(path);
        }
        let rest = parts.join("/");
        Cow::Owned(scheme.map_or_else(|| rest.clone(), |scheme| format!("{scheme}://{rest}")))
    }

    /// A part of a path without such of its own parameters (`;name=value`) as are taken out.
    fn without_matrix<'a>(&self, part: &'a str) -> Cow<'a, str> {
        let goes = |parameter: &&str| self.names_one(parameter.split('=').next().unwrap_or_default());
        if !part.contains(';') || !part.split(';').skip(1).any(|parameter| goes(&parameter)) {
            return Cow::Borrowed(part);
        }
        let mut kept = part.split(';');
        let name = kept.next().unwrap_or_default();
        let rest: String = kept.filter(|parameter| !goes(parameter)).flat_map(|parameter| [";", parameter]).collect();
        Cow::Owned(format!("{name}{rest}"))
    }

    /// Single-page applications keep a path and a query of their own there.
    fn fragment<'a>(&self, fragment: &'a str, depth: usize) -> Cow<'a, str> {
        let kept = match fragment.split_once('?') {
            Some((path, query)) => match self.query(query, depth) {
                Cow::Borrowed(_) => Cow::Borrowed(fragment),
                Cow::Owned(query) if query.is_empty() => Cow::Owned(path.to_owned()),
                Cow::Owned(query) => Cow::Owned(format!("{path}?{query}")),
            },
            None if fragment.contains('=') => self.query(fragment, depth),
            None => Cow::Borrowed(fragment),
        };
        if self.emails == Emails::Go && holds_email(&kept) { Cow::Owned(String::new()) } else { kept }
    }

    fn query<'a>(&self, query: &'a str, depth: usize) -> Cow<'a, str> {
        rewrite(query, |name, value| {
            if self.names_one(name) || self.emails == Emails::Go && (holds_email(name) || holds_email(value)) {
                return Fate::Goes;
            }
            self.nested(value, depth)
        })
    }

    /// Whether a parameter of this name is taken out.
    fn names_one(&self, name: &str) -> bool {
        let letters = letters(&decoded(name));
        self.names.iter().any(|own| own.fits(&letters))
    }

    /// A value that holds parameters of its own: an address, a query (`state=a%3Db`), parameters behind semicolons, JSON.
    fn nested(&self, value: &str, depth: usize) -> Fate {
        let deeper = || if depth < MAX_DEPTH { Some(depth + 1) } else { None };
        let parts = || value.split(['&', ';']).filter_map(|part| part.split_once('='));
        if is_address(value) {
            // What lies too deep to be looked through is not kept for it.
            return match deeper() {
                Some(depth) => self.address(value, depth).map_or(Fate::Stays, Fate::Becomes),
                None if value.contains(['?', '#']) => Fate::Goes,
                None => Fate::Stays,
            };
        }
        if value.starts_with(['{', '[']) {
            let is_named = serde_json::from_str::<Value>(value).is_ok_and(|json| self.names_a_key(&json));
            return if is_named { Fate::Goes } else { Fate::Stays };
        }
        if value.contains(';') && parts().any(|(name, _)| self.names_one(name)) {
            return Fate::Goes;
        }
        if parts().next().is_none() {
            return Fate::Stays;
        }
        match deeper().map(|depth| self.query(value, depth)) {
            Some(Cow::Borrowed(_)) => Fate::Stays,
            Some(Cow::Owned(kept)) if kept.is_empty() => Fate::Goes,
            Some(Cow::Owned(kept)) => Fate::Becomes(kept),
            None => Fate::Goes,
        }
    }

    fn names_a_key(&self, json: &Value) -> bool {
        match json {
            Value::Object(map) => map.iter().any(|(key, value)| self.names_one(key) || self.names_a_key(value)),
            Value::Array(items) => items.iter().any(|item| self.names_a_key(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
}

/// A query with what becomes of its parameters, each told by its decoded name and value. What stays is not encoded anew.
pub fn rewrite(query: &str, mut judge: impl FnMut(&str, &str) -> Fate) -> Cow<'_, str> {
    let mut kept: Vec<Cow<'_, str>> = Vec::new();
    let mut changed = false;
    for pair in query.split('&') {
        let (raw_name, raw_value) = pair.split_once('=').unwrap_or((pair, ""));
        match judge(&decoded(raw_name), &decoded(raw_value)) {
            Fate::Stays => kept.push(Cow::Borrowed(pair)),
            Fate::Becomes(value) => {
                changed = true;
                let value: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
                kept.push(Cow::Owned(format!("{raw_name}={value}")));
            }
            Fate::Goes => changed = true,
        }
    }
    if changed { Cow::Owned(kept.join("&")) } else { Cow::Borrowed(query) }
}

/// Whether a text is an address: of a page, of a path, or of another program.
pub fn is_address(text: &str) -> bool {
    let text = text.trim_start();
    let has_scheme = |(scheme, _): (&str, &str)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    };
    text.starts_with('/') || text.split_once("://").is_some_and(has_scheme) || text.starts_with("mailto:")
}

impl NamePattern {
    fn parse(text: &str) -> Option<Self> {
        let (start, rest) = text.strip_prefix('*').map_or((Open::No, text), |rest| (Open::Yes, rest));
        let (end, rest) = rest.strip_suffix('*').map_or((Open::No, rest), |rest| (Open::Yes, rest));
        let is_any = rest.is_empty() && start == Open::Yes;
        let is_name = |c: char| !c.is_whitespace() && !c.is_control() && !"*?&=#/".contains(c);
        let letters = letters(rest);
        let is_good = is_any || (rest.chars().all(is_name) && !letters.is_empty());
        is_good.then(|| Self { text: letters.into(), open: (start, if is_any { Open::Yes } else { end }) })
    }

    /// `name` is one of [`letters`] alone.
    fn fits(&self, name: &str) -> bool {
        match self.open {
            (Open::No, Open::No) => *name == *self.text,
            (Open::No, Open::Yes) => name.starts_with(&*self.text),
            (Open::Yes, Open::No) => name.ends_with(&*self.text),
            (Open::Yes, Open::Yes) => name.contains(&*self.text),
        }
    }
}

/// `user[e-mail]` and `userEmail` are one name.
pub fn letters(name: &str) -> String {
    folded(name).chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A part of a query as people read it.
fn decoded(part: &str) -> Cow<'_, str> {
    if !part.contains(['%', '+']) {
        return Cow::Borrowed(part);
    }
    let spaced = part.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests;

//! The `user` object: takes event data, what the request told about the visitor, and the tag's options; gives
//! normalised, hashed identifiers in one of the API's two schemas.
//!
//! The API drops bad values without a word, so every value is judged here, and a note says what was left out.

use std::{borrow::Cow, fmt, net::IpAddr};

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};
use smallvec::SmallVec;

use super::{Note, Notes, Reason, Source, present, scalar_text};
use crate::{call::UserSchema, digest::Digest};

mod field;
mod normalise;

pub use field::UserField;
use field::{Form, Given};

/// How many values of a list the API uses.
const LIST_LIMIT: usize = 3;

/// How many elements of one list of an event are read. Nobody has more addresses or e-mails; a hostile body has.
const READ_LIMIT: usize = 10;

/// What is known about the visitor beside the event's own keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct Visitor<'a> {
    /// The visitor's address. The event's `ip_override` goes before it: whoever lets a caller set that must trust it.
    pub ip_address: Option<IpAddr>,
    /// The browser's name for itself. The event's `user_agent` goes before it, on the same condition.
    pub user_agent: Option<&'a str>,
    /// The raw value of the `__obref` cookie. It goes before the event's keys, and is never made up.
    pub obref: Option<&'a str>,
}

/// What a tag says about `user`.
#[derive(Clone, Debug, Default)]
pub struct UserOptions<'a> {
    pub schema: UserSchema,
    pub phone_hash: PhoneHash,
    pub fields: FieldSources<'a>,
}

/// Whether phone numbers that arrive hashed were hashed by `OpenAI`'s rules, that is without their `+`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PhoneHash {
    /// By others, such as Google's, which keep the `+`: they cannot match, and are left out.
    #[default]
    Foreign,
    /// By `OpenAI`'s: they are sent on.
    OpenAi,
}

/// For each field, whether it comes from the event, from the tag or not at all.
#[derive(Clone, Debug, Default)]
pub struct FieldSources<'a>([Source<'a>; UserField::ALL.len()]);

impl<'a> FieldSources<'a> {
    pub fn set(&mut self, field: UserField, source: Source<'a>) {
        self.0[field as usize] = source;
    }

    pub fn get(&self, field: UserField) -> Source<'a> {
        self.0[field as usize]
    }
}

/// A `user` object with at least one field.
#[derive(Clone, PartialEq)]
pub struct User {
    schema: UserSchema,
    entries: Vec<(UserField, Entry)>,
}

#[derive(Clone, PartialEq)]
enum Entry {
    Digests(List<Digest>),
    Texts(List<Box<str>>),
    Text(Box<str>),
}

/// Nearly always of one element.
type List<T> = SmallVec<[T; 1]>;

impl User {
    /// Everything that is known about the visitor; `None` if that is nothing, because the API may refuse an empty object.
    pub fn build(
        event: &Map<String, Value>,
        visitor: &Visitor<'_>,
        options: &UserOptions<'_>,
        notes: &mut Notes,
    ) -> Option<Self> {
        let mut builder = Builder::new(event, visitor, options, notes);
        let mut entries = Vec::with_capacity(UserField::ALL.len());
        for field in UserField::ALL {
            if let Some(entry) = builder.entry(field) {
                entries.push((field, entry));
            }
        }
        (!entries.is_empty()).then_some(Self { schema: options.schema, entries })
    }

    /// The fields that have a value, in the order in which they are sent.
    pub fn fields(&self) -> impl Iterator<Item = UserField> {
        self.entries.iter().map(|(field, _)| *field)
    }
}

/// Names the fields and keeps their values to itself.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.fields()).finish()
    }
}

impl Serialize for User {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (field, entry) in &self.entries {
            let Some(key) = field.key(self.schema) else { continue };
            match (entry, self.schema) {
                (Entry::Digests(digests), UserSchema::Lists) => map.serialize_entry(key, digests.as_slice())?,
                (Entry::Digests(digests), UserSchema::Scalars) => map.serialize_entry(key, &digests.first())?,
                (Entry::Texts(texts), UserSchema::Lists) => map.serialize_entry(key, texts.as_slice())?,
                (Entry::Texts(texts), UserSchema::Scalars) => map.serialize_entry(key, &texts.first())?,
                (Entry::Text(text), _) => map.serialize_entry(key, text)?,
            }
        }
        map.end()
    }
}

/// A value for a field: trimmed and not empty, but not yet known to be good.
struct Candidate<'a> {
    text: Cow<'a, str>,
    given: Given,
}

impl<'a> Candidate<'a> {
    fn of_request(text: &'a str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then_some(Self { text: Cow::Borrowed(text), given: Given::Plain })
    }
}

type Candidates<'a> = SmallVec<[Candidate<'a>; 2]>;

struct Builder<'a, 'n> {
    event: &'a Map<String, Value>,
    user_data: Option<&'a Map<String, Value>>,
    addresses: SmallVec<[&'a Map<String, Value>; 2]>,
    visitor: &'a Visitor<'a>,
    options: &'a UserOptions<'a>,
    notes: &'n mut Notes,
}

impl<'a, 'n> Builder<'a, 'n> {
    fn new(
        event: &'a Map<String, Value>,
        visitor: &'a Visitor<'a>,
        options: &'a UserOptions<'a>,
        notes: &'n mut Notes,
    ) -> Self {
        let user_data = present(event, "user_data");
        if user_data.is_some_and(|value| !value.is_object()) {
            notes.push(Note::new("user_data", Reason::NotAnObject));
        }
        let user_data = user_data.and_then(Value::as_object);
        let address = user_data.and_then(|data| present(data, "address")).unwrap_or(&Value::Null);
        if elements(address).len() > READ_LIMIT {
            notes.push(Note::new("user_data.address", Reason::TooLongAList(READ_LIMIT)));
        }
        let mut addresses = SmallVec::new();
        for address in elements(address).take(READ_LIMIT).filter(|address| !address.is_null()) {
            match address {
                Value::Object(address) => addresses.push(address),
                _ => notes.push(Note::new("user_data.address", Reason::NotAnObject)),
            }
        }
        Self { event, user_data, addresses, visitor, options, notes }
    }

    fn note(&mut self, field: UserField, reason: Reason) {
        self.notes.push(Note::new(field.path(), reason));
    }

    fn entry(&mut self, field: UserField) -> Option<Entry> {
        let candidates = self.candidates(field);
        if candidates.is_empty() {
            return None;
        }
        if field.key(self.options.schema).is_none() {
            self.note(field, Reason::NotPartOf("the user schema of June 2026"));
            return None;
        }
        match field.form() {
            Form::Hashed => {
                let phone_hash = self.options.phone_hash;
                let digests = self.list(field, &candidates, |found| digest_of(field, found, phone_hash));
                (!digests.is_empty()).then_some(Entry::Digests(digests))
            }
            Form::Plain => {
                let texts = self.list(field, &candidates, |found| normalise::plain(field, &found.text));
                (!texts.is_empty()).then_some(Entry::Texts(texts))
            }
            Form::Single => {
                let text = candidates.iter().find_map(|found| {
                    let text = normalise::plain(field, &found.text);
                    text.map_err(|reason| self.note(field, reason)).ok()
                });
                text.map(Entry::Text)
            }
        }
    }

    /// The first good values, each once.
    fn list<T: PartialEq>(
        &mut self,
        field: UserField,
        candidates: &[Candidate<'_>],
        normalise: impl Fn(&Candidate<'_>) -> Result<T, Reason>,
    ) -> List<T> {
        let limit = match self.options.schema {
            UserSchema::Lists => LIST_LIMIT,
            UserSchema::Scalars => 1,
        };
        let mut list = List::new();
        for candidate in candidates {
            match normalise(candidate) {
                Ok(value) if list.contains(&value) => {}
                Ok(_) if list.len() == limit => {
                    self.note(field, Reason::TooMany(limit));
                    break;
                }
                Ok(value) => list.push(value),
                Err(reason) => self.note(field, reason),
            }
        }
        list
    }

    /// Every value that the event, the visitor or the tag has for a field, the preferred ones first.
    fn candidates(&mut self, field: UserField) -> Candidates<'a> {
        let mut candidates = Candidates::new();
        match self.options.fields.get(field) {
            Source::Event => {}
            Source::Off => return candidates,
            Source::Value(value) => {
                self.collect(field, value, Given::Plain, &mut candidates);
                return candidates;
            }
        }
        let visitor = self.visitor;
        if field == UserField::Obref {
            candidates.extend(visitor.obref.and_then(Candidate::of_request));
            let cookies = present(self.event, "common_cookie").and_then(Value::as_object);
            if let Some(obref) = cookies.and_then(|cookies| present(cookies, "__obref")) {
                self.collect(field, obref, Given::Plain, &mut candidates);
            }
        }
        let keys = field.keys();
        for key in keys.event {
            if let Some(value) = present(self.event, key) {
                self.collect(field, value, Given::Plain, &mut candidates);
            }
        }
        for (key, given) in keys.user_data {
            if let Some(value) = self.user_data.and_then(|data| present(data, key)) {
                self.collect(field, value, *given, &mut candidates);
            }
        }
        for index in 0..self.addresses.len() {
            for (key, given) in keys.address {
                if let Some(value) = self.addresses.get(index).and_then(|address| present(address, key)) {
                    self.collect(field, value, *given, &mut candidates);
                }
            }
        }
        match field {
            UserField::IpAddress => {
                let text = visitor.ip_address.map(|address| Cow::Owned(address.to_string()));
                candidates.extend(text.map(|text| Candidate { text, given: Given::Plain }));
            }
            UserField::UserAgent => candidates.extend(visitor.user_agent.and_then(Candidate::of_request)),
            _ => {}
        }
        candidates
    }

    /// Adds a value, or each element of a list, that is neither null nor blank.
    fn collect(&mut self, field: UserField, value: &'a Value, given: Given, candidates: &mut Candidates<'a>) {
        if elements(value).len() > READ_LIMIT {
            self.note(field, Reason::TooLongAList(READ_LIMIT));
        }
        for value in elements(value).take(READ_LIMIT).filter(|value| !value.is_null()) {
            match scalar_text(value) {
                Ok(text) => candidates.extend(text.map(|text| Candidate { text, given })),
                Err(reason) => self.note(field, reason),
            }
        }
    }
}

/// An e-mail address as it is hashed.
///
/// # Errors
/// The text is none.
pub fn normalised_email(text: &str) -> Result<Cow<'_, str>, Reason> {
    normalise::before_hashing(UserField::Email, text.trim())
}

/// The elements of a list; any other value as if it were a list of one.
fn elements(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}

/// The digest of a value, which may be one already.
fn digest_of(field: UserField, found: &Candidate<'_>, phone_hash: PhoneHash) -> Result<Digest, Reason> {
    // An opaque id may well look like base64 of 32 bytes by being that; what its owner meant is the id itself.
    let may_be_base64 = field != UserField::ExternalId;
    let given =
        Digest::from_hex(&found.text).or_else(|| if may_be_base64 { Digest::from_base64(&found.text) } else { None });
    match (given, found.given) {
        (Some(digest), _) if digest.is_of_nothing() => Err(Reason::DigestOfNothing),
        (Some(_), _) if field == UserField::Phone && phone_hash == PhoneHash::Foreign => Err(Reason::HashedPhone),
        (Some(digest), _) => Ok(digest),
        (None, Given::Hashed) => Err(Reason::NotADigest),
        (None, Given::Plain) => Ok(Digest::of(&normalise::before_hashing(field, &found.text)?)),
    }
}

#[cfg(test)]
mod tests;

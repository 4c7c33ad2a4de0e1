//! The logical fields of a user: their names in both schemas of the API, and the keys of an event that they come from.

use crate::call::UserSchema;

/// A field by its logical name, the same in every schema; in the order in which fields are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UserField {
    Email,
    Phone,
    ExternalId,
    FirstName,
    LastName,
    Country,
    City,
    Region,
    PostalCode,
    Obref,
    IpAddress,
    UserAgent,
    AndroidAdvertisingId,
}

/// How a field's values are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As digests, of which there can be several.
    Hashed,
    /// As they are; there can be several.
    Plain,
    /// As it is, one in either schema.
    Single,
}

/// Whether an event's key says that its value is a digest. Under other keys it may be one, too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    Plain,
    Hashed,
}

/// The keys that hold a field, the preferred ones first.
#[derive(Default)]
pub(super) struct Keys {
    pub event: &'static [&'static str],
    pub user_data: &'static [(&'static str, Given)],
    /// In each element of `user_data.address`.
    pub address: &'static [(&'static str, Given)],
}

impl UserField {
    pub const ALL: [Self; 13] = [
        Self::Email,
        Self::Phone,
        Self::ExternalId,
        Self::FirstName,
        Self::LastName,
        Self::Country,
        Self::City,
        Self::Region,
        Self::PostalCode,
        Self::Obref,
        Self::IpAddress,
        Self::UserAgent,
        Self::AndroidAdvertisingId,
    ];

    /// The name within the whole event, as notes and a tag's `map` write it: `user.email`.
    pub fn path(self) -> &'static str {
        match self {
            Self::Email => "user.email",
            Self::Phone => "user.phone",
            Self::ExternalId => "user.external_id",
            Self::FirstName => "user.first_name",
            Self::LastName => "user.last_name",
            Self::Country => "user.country",
            Self::City => "user.city",
            Self::Region => "user.region",
            Self::PostalCode => "user.postal_code",
            Self::Obref => "user.obref",
            Self::IpAddress => "user.ip_address",
            Self::UserAgent => "user.user_agent",
            Self::AndroidAdvertisingId => "user.android_advertising_id",
        }
    }

    /// The logical name alone: `email`.
    pub fn name(self) -> &'static str {
        self.path().trim_start_matches("user.")
    }

    /// The field of exactly this logical name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// The key in the request; `None` if the schema has no such field.
    pub fn key(self, schema: UserSchema) -> Option<&'static str> {
        let (lists, scalars) = match self {
            Self::Email => ("emails_sha256", Some("email_sha256")),
            Self::Phone => ("phone_numbers_sha256", None),
            Self::ExternalId => ("external_ids_sha256", Some("external_id_sha256")),
            Self::FirstName => ("first_names_sha256", None),
            Self::LastName => ("last_names_sha256", None),
            Self::Country => ("countries", Some("country")),
            Self::City => ("cities", Some("city")),
            Self::Region => ("regions", None),
            Self::PostalCode => ("postal_codes", Some("zip_code")),
            Self::Obref => ("obref", None),
            Self::IpAddress => ("ip_address", Some("ip_address")),
            Self::UserAgent => ("user_agent", Some("user_agent")),
            Self::AndroidAdvertisingId => ("android_advertising_id", None),
        };
        match schema {
            UserSchema::Lists => Some(lists),
            UserSchema::Scalars => scalars,
        }
    }

    /// Whether a key of an event, beside `user_data`, is about the user.
    pub fn is_read_from(key: &str) -> bool {
        Self::ALL.into_iter().any(|field| field.keys().event.contains(&key))
    }

    pub(super) fn form(self) -> Form {
        match self {
            Self::Email | Self::Phone | Self::ExternalId | Self::FirstName | Self::LastName => Form::Hashed,
            Self::Country | Self::City | Self::Region | Self::PostalCode => Form::Plain,
            Self::Obref | Self::IpAddress | Self::UserAgent | Self::AndroidAdvertisingId => Form::Single,
        }
    }

    pub(super) fn keys(self) -> Keys {
        use Given::{Hashed, Plain};
        let none = Keys::default();
        match self {
            Self::Email => Keys {
                event: &["email", "email_address"],
                user_data: &[("email", Plain), ("email_address", Plain), ("sha256_email_address", Hashed)],
                ..none
            },
            Self::Phone => Keys {
                event: &["phone", "phone_number"],
                user_data: &[("phone", Plain), ("phone_number", Plain), ("sha256_phone_number", Hashed)],
                ..none
            },
            Self::ExternalId => Keys { event: &["user_id"], ..none },
            Self::FirstName => Keys { address: &[("first_name", Plain), ("sha256_first_name", Hashed)], ..none },
            Self::LastName => Keys { address: &[("last_name", Plain), ("sha256_last_name", Hashed)], ..none },
            Self::Country => Keys { address: &[("country", Plain)], ..none },
            Self::City => Keys { address: &[("city", Plain)], ..none },
            Self::Region => Keys { address: &[("region", Plain)], ..none },
            Self::PostalCode => Keys { address: &[("postal_code", Plain)], ..none },
            Self::Obref => Keys { event: &["__obref", "obref"], ..none },
            Self::IpAddress => Keys { event: &["ip_override"], ..none },
            Self::UserAgent => Keys { event: &["user_agent"], ..none },
            Self::AndroidAdvertisingId => Keys { event: &["android_advertising_id"], ..none },
        }
    }
}

//! Event types: takes the name that a tag sets or a GA4 event has, gives a standard `OpenAI` event or a valid custom
//! name, and with it the data shape and the action sources that the type allows.

use std::fmt;

use super::{Invalid, Note, Notes, Reason};

/// The standard events (supported-events). Only they can be a campaign's optimisation goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StandardEvent {
    PageViewed,
    ContentsViewed,
    ItemsAdded,
    CheckoutStarted,
    OrderCreated,
    LeadCreated,
    RegistrationCompleted,
    AppointmentScheduled,
    SubscriptionCreated,
    TrialStarted,
    AppInstalled,
    AppOpened,
}

impl StandardEvent {
    pub const ALL: [Self; 12] = [
        Self::PageViewed,
        Self::ContentsViewed,
        Self::ItemsAdded,
        Self::CheckoutStarted,
        Self::OrderCreated,
        Self::LeadCreated,
        Self::RegistrationCompleted,
        Self::AppointmentScheduled,
        Self::SubscriptionCreated,
        Self::TrialStarted,
        Self::AppInstalled,
        Self::AppOpened,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::PageViewed => "page_viewed",
            Self::ContentsViewed => "contents_viewed",
            Self::ItemsAdded => "items_added",
            Self::CheckoutStarted => "checkout_started",
            Self::OrderCreated => "order_created",
            Self::LeadCreated => "lead_created",
            Self::RegistrationCompleted => "registration_completed",
            Self::AppointmentScheduled => "appointment_scheduled",
            Self::SubscriptionCreated => "subscription_created",
            Self::TrialStarted => "trial_started",
            Self::AppInstalled => "app_installed",
            Self::AppOpened => "app_opened",
        }
    }

    /// The standard event of exactly this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }

    /// The standard event that a GA4 event name commonly means, or that the name is already.
    pub fn inherited(event_name: &str) -> Option<Self> {
        Some(match event_name {
            "page_view" => Self::PageViewed,
            "view_item" => Self::ContentsViewed,
            "add_to_cart" => Self::ItemsAdded,
            "begin_checkout" => Self::CheckoutStarted,
            "purchase" => Self::OrderCreated,
            "generate_lead" => Self::LeadCreated,
            "sign_up" => Self::RegistrationCompleted,
            name => return Self::from_name(name),
        })
    }

    fn shape(self) -> Shape {
        match self {
            Self::PageViewed | Self::ContentsViewed | Self::ItemsAdded | Self::CheckoutStarted | Self::OrderCreated => {
                Shape::Contents
            }
            Self::LeadCreated
            | Self::RegistrationCompleted
            | Self::AppointmentScheduled
            | Self::AppInstalled
            | Self::AppOpened => Shape::CustomerAction,
            Self::SubscriptionCreated | Self::TrialStarted => Shape::PlanEnrollment,
        }
    }
}

/// The type of an event: `type`, and for a custom one `custom_event_name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventType {
    Standard(StandardEvent),
    Custom(CustomName),
}

/// What to do with a GA4 event name that no standard event corresponds to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmapped {
    /// Send nothing.
    #[default]
    Skip,
    /// Send it as a custom event of the same name.
    Custom,
}

impl EventType {
    /// The standard event of this name.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn standard(name: &str) -> Result<Self, Invalid> {
        let event = StandardEvent::from_name(name.trim());
        event.map(Self::Standard).ok_or_else(|| Invalid::new("type", Reason::UnknownEvent))
    }

    /// A custom event; `notes` gets a remark when the name is not in lower case.
    ///
    /// # Errors
    /// The API does not take this name.
    pub fn custom(name: &str, notes: &mut Notes) -> Result<Self, Invalid> {
        let name = CustomName::parse(name).map_err(|reason| Invalid::new("custom_event_name", reason))?;
        if name.0.contains(|c: char| c.is_ascii_uppercase()) {
            notes.push(Note::new("custom_event_name", Reason::UpperCaseName));
        }
        Ok(Self::Custom(name))
    }

    /// The type that follows from the event's own name.
    ///
    /// # Errors
    /// [`Reason::UnknownEvent`] on `event_name` if nothing corresponds to the name and `unmapped` says to skip it, which
    /// is the normal end of an event that the tag does not want; as [`EventType::custom`] otherwise.
    pub fn inherit(event_name: &str, unmapped: Unmapped, notes: &mut Notes) -> Result<Self, Invalid> {
        match (StandardEvent::inherited(event_name), unmapped) {
            (Some(event), _) => Ok(Self::Standard(event)),
            (None, Unmapped::Skip) => Err(Invalid::new("event_name", Reason::UnknownEvent)),
            (None, Unmapped::Custom) => Self::custom(event_name, notes),
        }
    }

    /// The value of `type`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Standard(event) => event.name(),
            Self::Custom(_) => "custom",
        }
    }

    /// The name by which people know the event, and the API deduplicates it: the custom name, if it has one.
    pub fn name(&self) -> &str {
        match self {
            Self::Standard(event) => event.name(),
            Self::Custom(name) => &name.0,
        }
    }

    /// The shape that the event's `data` must have.
    pub fn shape(&self) -> Shape {
        match self {
            Self::Standard(event) => event.shape(),
            Self::Custom(_) => Shape::Custom,
        }
    }

    /// Whether such an event can happen there: the app events only in an app.
    pub fn allows(&self, source: ActionSource) -> bool {
        match self {
            Self::Standard(StandardEvent::AppInstalled | StandardEvent::AppOpened) => source == ActionSource::MobileApp,
            _ => true,
        }
    }
}

/// A custom event's name: 1 to 64 of `[A-Za-z0-9_-]`, alphanumeric at both ends, and no standard event's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomName(Box<str>);

impl CustomName {
    fn parse(name: &str) -> Result<Self, Reason> {
        let name = name.trim();
        let bytes = name.as_bytes();
        let ends = [bytes.first(), bytes.last()];
        let well_formed = bytes.len() <= 64
            && ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !well_formed {
            return Err(Reason::NotACustomName);
        }
        let is_reserved = |taken: &str| name.eq_ignore_ascii_case(taken);
        if is_reserved("custom") || StandardEvent::ALL.iter().any(|event| is_reserved(event.name())) {
            return Err(Reason::StandardName);
        }
        Ok(Self(name.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The shapes of `data`, by its `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    Contents,
    CustomerAction,
    PlanEnrollment,
    Custom,
}

impl Shape {
    /// The value of `data.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Contents => "contents",
            Self::CustomerAction => "customer_action",
            Self::PlanEnrollment => "plan_enrollment",
            Self::Custom => "custom",
        }
    }

    pub fn takes_contents(self) -> bool {
        self != Self::CustomerAction
    }

    pub fn takes_plan_id(self) -> bool {
        matches!(self, Self::PlanEnrollment | Self::Custom)
    }

    pub fn takes_extra_keys(self) -> bool {
        self == Self::Custom
    }
}

/// Where the visitor did it: `action_source`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ActionSource {
    #[default]
    Web,
    MobileApp,
    Offline,
    PhysicalStore,
    PhoneCall,
    Email,
    Other,
}

impl ActionSource {
    pub const ALL: [Self; 7] =
        [Self::Web, Self::MobileApp, Self::Offline, Self::PhysicalStore, Self::PhoneCall, Self::Email, Self::Other];

    pub fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::MobileApp => "mobile_app",
            Self::Offline => "offline",
            Self::PhysicalStore => "physical_store",
            Self::PhoneCall => "phone_call",
            Self::Email => "email",
            Self::Other => "other",
        }
    }

    /// The action source of exactly this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }
}

impl fmt::Display for ActionSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;

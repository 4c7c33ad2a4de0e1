//! `openai::…` in a script: wraps [`crate::openai`] and turns its notes into the trace's.

use std::{borrow::Cow, sync::Arc};

use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, Map, Module, NativeCallContext};
use serde_json::Value;

use super::{
    api::{CallRequest, EventHandle, ParamsHandle, Request, RequestHandle, Returned},
    cage::{self, Fallible},
    parameters::{Param, Params},
    value::{to_json, type_name},
};
use crate::{
    call::{Account, CallEvent, UserSchema},
    consent::{ConsentState, ConsentType},
    openai::{
        Invalid, Notes, Reason, Source,
        data::{AmountSource, Data, DataOptions},
        event::{Event, OptOut, timestamp},
        event_type::{ActionSource, EventType, Unmapped},
        oppref,
        source_url::SourceUrl,
        user::{FieldSources, PhoneHash, User, UserField, UserOptions, Visitor},
    },
    privacy::{AddressDetail, AgentDetail, Detail},
    time::Timestamp,
};

type Context<'a> = NativeCallContext<'a>;

pub fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<EventType>("EventType")
        .register_type_with_name::<Arc<Data>>("Data")
        .register_type_with_name::<Arc<User>>("User")
        .register_type_with_name::<Arc<SourceUrl>>("SourceUrl")
        .register_fn("to_string", |url: &mut Arc<SourceUrl>| ImmutableString::from(url.as_str()));
    let mut module = Module::new();
    module.set_native_fn("event_type", |context: Context<'_>, event: EventHandle, params: ParamsHandle| {
        cage::native(&context, || event_type(&event, &params.0))
    });
    module.set_native_fn("standard_event", |context: Context<'_>, name: ImmutableString| {
        cage::native(&context, || EventType::standard(&name).map_err(fault))
    });
    module.set_native_fn("data", |context: Context<'_>, kind: EventType, event: EventHandle, params: ParamsHandle| {
        cage::native(&context, || data(&kind, &event, &params.0))
    });
    module.set_native_fn(
        "user",
        |context: Context<'_>, event: EventHandle, request: RequestHandle, params: ParamsHandle| {
            cage::native(&context, || user(&event, &request, &params.0))
        },
    );
    module.set_native_fn("source_url", |context: Context<'_>, event: EventHandle| {
        cage::native(&context, || Ok(source_url(&event)))
    });
    module.set_native_fn("oppref", |context: Context<'_>, event: EventHandle, request: RequestHandle| {
        cage::native(&context, || Ok(find_oppref(&event, &request).map_or(Dynamic::UNIT, Into::into)))
    });
    module.set_native_fn("new_oppref", |context: Context<'_>, event: EventHandle| {
        cage::native(&context, || Ok(new_oppref(&event)))
    });
    module.set_native_fn(
        "conversion",
        |context: Context<'_>, event: EventHandle, request: RequestHandle, params: ParamsHandle, parts: Map| {
            cage::native(&context, || Ok(Returned::new(&context, conversion(&event, &request, &params, parts)?)))
        },
    );
    engine.register_static_module("openai", module.into());
}

/// `openai::event_type(event, params)`: what the tag's field `event` makes of this event; `()` where `inherit` knows no
/// event for its name.
fn event_type(event: &EventHandle, params: &Params) -> Fallible<Dynamic> {
    let mut notes = Notes::new();
    let found = match word(params, "event")?.as_deref() {
        None | Some("inherit") => {
            let unmapped = match word(params, "unmapped")?.as_deref() {
                Some("custom") => Unmapped::Custom,
                _ => Unmapped::Skip,
            };
            match EventType::inherit(&event.0.name, unmapped, &mut notes) {
                Err(Invalid(note)) if note.reason == Reason::UnknownEvent => return Ok(Dynamic::UNIT),
                found => found,
            }
        }
        Some("custom") => EventType::custom(&word(params, "custom_event_name")?.unwrap_or_default(), &mut notes),
        Some(name) => EventType::standard(name),
    };
    tell(notes);
    found.map(Dynamic::from).map_err(fault)
}

/// `openai::data(type, event, params)`: the `data` object.
fn data(event_type: &EventType, event: &EventHandle, params: &Params) -> Fallible<Arc<Data>> {
    let overrides = Overrides::of(params)?;
    let mut options = DataOptions {
        currency: overrides.source("currency"),
        contents: overrides.source("contents"),
        plan_id: overrides.source("plan_id"),
        extra: extra(params)?,
        ..DataOptions::default()
    };
    options.amount = match (overrides.source("amount"), overrides.source("amount_minor")) {
        (_, Source::Value(value)) => AmountSource::MinorUnits(value),
        (Source::Value(value), _) => AmountSource::RegularUnits(value),
        (Source::Off, _) | (_, Source::Off) => AmountSource::Off,
        (Source::Event, Source::Event) => AmountSource::Event,
    };
    let item_id_key = word(params, "item_id_key")?;
    if let Some(key) = item_id_key.as_deref().filter(|key| !key.is_empty()) {
        options.items.id_key = key;
    }
    let mut notes = Notes::new();
    let data = Data::build(event_type.shape(), &event.0.data, &options, &mut notes);
    tell(notes);
    data.map(Arc::new).map_err(fault)
}

/// The tag's field `extra`: further keys of a custom event's data.
fn extra(params: &Params) -> Fallible<Option<&serde_json::Map<String, Value>>> {
    match params.get("extra") {
        None | Some(Param::Value(Value::Null)) => Ok(None),
        Some(Param::Value(Value::Object(map))) => Ok(Some(map)),
        Some(Param::Value(_)) => Err("the field \"extra\" must be a mapping".into()),
        Some(_) => Err("the field \"extra\" holds a secret, which cannot be sent as data".into()),
    }
}

/// `openai::user(event, request, params)`: the `user` object; `()` if nothing is known about the visitor.
///
/// Without `ad_user_data` there is none, whatever the script says.
fn user(event: &EventHandle, request: &RequestHandle, params: &Params) -> Fallible<Dynamic> {
    if !event.1.is_granted(ConsentType::AdUserData) {
        cage::note("user", "left out: ad_user_data is not granted");
        return Ok(Dynamic::UNIT);
    }
    let overrides = Overrides::of(params)?;
    let mut fields = FieldSources::default();
    for field in UserField::ALL {
        fields.set(field, overrides.source(field.path()));
    }
    withhold(request.0.detail, &mut fields);
    let options = UserOptions {
        schema: user_schema(params)?,
        phone_hash: match word(params, "phone_hash")?.as_deref() {
            Some("openai") => PhoneHash::OpenAi,
            _ => PhoneHash::Foreign,
        },
        fields,
    };
    let visitor = Visitor {
        ip_address: request.0.address,
        user_agent: request.0.header("user-agent"),
        obref: request.0.cookie("__obref"),
    };
    let mut notes = Notes::new();
    let user = User::build(&event.0.data, &visitor, &options, &mut notes);
    tell(notes);
    Ok(user.map_or(Dynamic::UNIT, |user| Dynamic::from(Arc::new(user))))
}

/// What is not exact matches nobody, or somebody else: it is left out, whatever the tag says.
fn withhold(detail: Detail, fields: &mut FieldSources<'_>) {
    if detail.ip_address != AddressDetail::Whole {
        cage::note(UserField::IpAddress.path(), "left out: the container's privacy settings truncate addresses");
        fields.set(UserField::IpAddress, Source::Off);
    }
    let how = match detail.user_agent {
        AgentDetail::Whole => return,
        AgentDetail::Reduced => "left out: the container's privacy settings reduce user agents",
        AgentDetail::Dropped => "left out: the container's privacy settings drop user agents",
    };
    cage::note(UserField::UserAgent.path(), how);
    fields.set(UserField::UserAgent, Source::Off);
}

/// `openai::source_url(event)`: origin and path of the page; `()` if it is not known.
fn source_url(event: &EventHandle) -> Dynamic {
    let mut notes = Notes::new();
    let found = event.0.text("page_location").and_then(|page| SourceUrl::from_page(page, &mut notes));
    tell(notes);
    found.map_or(Dynamic::UNIT, |url| Dynamic::from(Arc::new(url)))
}

/// `openai::oppref(event, request)`: the click reference as it stands in the page's address, else in the cookie.
fn find_oppref<'a>(event: &'a EventHandle, request: &'a RequestHandle) -> Option<&'a str> {
    let cookie = request.0.cookie("__oppref");
    oppref::find(&event.0.data, event.0.click.as_deref(), cookie).map(|found| found.value)
}

/// `openai::new_oppref(event)`: the click reference that the page's address brings; `()` if it brings none.
fn new_oppref(event: &EventHandle) -> Dynamic {
    let in_address = || event.0.text("page_location").and_then(oppref::in_url);
    event.0.click.as_deref().or_else(in_address).map_or(Dynamic::UNIT, Into::into)
}

/// The parts that [`conversion`] takes.
const PARTS: [&str; 9] =
    ["id", "type", "timestamp_ms", "data", "action_source", "source_url", "oppref", "opt_out", "user"];

/// `openai::conversion(event, request, params, #{ type, user, … })`: a call that reports one event to the pixel of the tag.
///
/// Parts that the script does not name follow from the event, the request and the tag's fields, all but `user`, which is
/// sent only if it is named; one that is `()` is left out. `source_url` is a text or what `openai::source_url` gave. What
/// the tag's `map` says of a part goes before it. Without `ad_personalization` the event opts out, whatever the script says.
fn conversion(
    event: &EventHandle,
    request: &RequestHandle,
    ParamsHandle(params, consent): &ParamsHandle,
    mut parts: Map,
) -> Fallible<Request> {
    if parts.keys().any(|name| !PARTS.contains(&name.as_str())) {
        return Err(format!("a conversion has no such part; its parts are {}", PARTS.join(", ")).into());
    }
    let overrides = Overrides::of(params)?;
    let id = take_text(&mut parts, "id", overrides.source("event_id"), || Some(&event.0.id.text))?;
    let id = id.ok_or("openai::conversion needs an id")?;
    let event_type: EventType = take(&mut parts, "type")?.ok_or("openai::conversion needs a type")?;
    let data: Arc<Data> = match parts.contains_key("data") {
        true => take(&mut parts, "data")?.ok_or("openai::conversion needs data")?,
        false => data(&event_type, event, params)?,
    };
    let user: Option<Arc<User>> = take(&mut parts, "user")?;
    let oppref = take_text(&mut parts, "oppref", overrides.source("oppref"), || find_oppref(event, request))?;
    let opt_out = take_opt_out(&mut parts, params, *consent)?;
    let time = take_time(&mut parts, overrides.source("timestamp_ms"), event.0.time)?;
    let of_tag = word(params, "action_source")?;
    let action_source = take_text(&mut parts, "action_source", Source::Event, || of_tag.as_deref())?;
    let action_source = action_source.map_or(Ok(ActionSource::Web), |name| action_source_of(&name))?;
    let mut notes = Notes::new();
    let source_url = take_source_url(&mut parts, overrides.source("source_url"), event, &mut notes)?;
    let event = Event {
        id: &id,
        event_type: &event_type,
        time,
        data: &data,
        action_source,
        source_url: source_url.as_deref(),
        oppref: oppref.as_deref(),
        opt_out,
        user: user.as_deref(),
    };
    let body = event.to_json(&mut notes);
    tell(notes);
    Ok(Request::Call(CallRequest {
        account: account(params)?,
        event: CallEvent { id: (*id).into(), name: event_type.name().into(), time },
        body: body.map_err(fault)?.into(),
    }))
}

/// What the script or the tag says, which can keep an event out of personalisation and never let it in.
fn take_opt_out(parts: &mut Map, params: &Params, consent: ConsentState) -> Fallible<OptOut> {
    let asked = match params.get("opt_out") {
        _ if parts.contains_key("opt_out") => take(parts, "opt_out")?,
        None | Some(Param::Value(Value::Null)) => None,
        Some(Param::Value(Value::Bool(asked))) => Some(*asked),
        Some(_) => return Err("the field \"opt_out\" is true or false".into()),
    };
    let is_granted = consent.is_granted(ConsentType::AdPersonalization);
    if asked == Some(false) && !is_granted {
        cage::note("opt_out", "true all the same: ad_personalization is not granted");
    }
    Ok(if asked == Some(true) || !is_granted { OptOut::Yes } else { OptOut::No })
}

fn action_source_of(name: &str) -> Fallible<ActionSource> {
    let sources = || ActionSource::ALL.map(ActionSource::name).join(", ");
    ActionSource::from_name(name).ok_or_else(|| format!("this is no action source; they are {}", sources()).into())
}

/// A part that is a text, or what the tag's `map` says in place of it; `follows` gives what it is where the script does
/// not name it.
fn take_text<'a>(
    parts: &mut Map,
    name: &str,
    source: Source<'a>,
    follows: impl FnOnce() -> Option<&'a str>,
) -> Fallible<Option<Cow<'a, str>>> {
    match (source, parts.remove(name)) {
        (Source::Event, None) => Ok(follows().map(Cow::Borrowed)),
        (Source::Event, Some(part)) if part.is_unit() => Ok(None),
        (Source::Event, Some(part)) => as_part::<ImmutableString>(part, name).map(|text| Some(text.to_string().into())),
        (Source::Off | Source::Value(Value::Null), _) => Ok(None),
        (Source::Value(Value::String(text)), _) => Ok(Some(Cow::Borrowed(text))),
        (Source::Value(Value::Number(number)), _) => Ok(Some(number.to_string().into())),
        (Source::Value(_), _) => Err(format!("the field \"map\" has no text for {name:?}").into()),
    }
}

fn take_time(parts: &mut Map, source: Source<'_>, follows: Timestamp) -> Fallible<Timestamp> {
    match (source, parts.remove("timestamp_ms")) {
        (Source::Event, None) => Ok(follows),
        (Source::Event, Some(own)) => timestamp(&to_json(&own)?).map_err(fault),
        (Source::Value(value), _) => timestamp(value).map_err(fault),
        (Source::Off, _) => timestamp(&Value::Null).map_err(fault),
    }
}

fn take_source_url(
    parts: &mut Map,
    source: Source<'_>,
    event: &EventHandle,
    notes: &mut Notes,
) -> Fallible<Option<Arc<SourceUrl>>> {
    let is_page = |part: &Dynamic| part.is_unit() || part.is_string();
    if source == Source::Event && parts.get("source_url").is_some_and(|part| !is_page(part)) {
        return take(parts, "source_url");
    }
    let page = take_text(parts, "source_url", source, || event.0.text("page_location"))?;
    Ok(page.and_then(|page| SourceUrl::from_page(&page, notes)).map(Arc::new))
}

/// The account of a tag; made once for each set of parameters.
fn account(params: &Params) -> Fallible<Arc<Account>> {
    if let Some(account) = params.account.get() {
        return Ok(Arc::clone(account));
    }
    let account = Arc::new(new_account(params)?);
    Ok(Arc::clone(params.account.get_or_init(|| account)))
}

fn new_account(params: &Params) -> Fallible<Account> {
    let pixel_id = word(params, "pixel_id")?.unwrap_or_default();
    let pixel_id = pixel_id.trim();
    if pixel_id.is_empty() || pixel_id.len() > 200 || pixel_id.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("the field \"pixel_id\" has no value, or one that is no pixel id".into());
    }
    let Some(Param::Secret(key)) = params.get("api_key") else {
        return Err("the field \"api_key\" names no secret".into());
    };
    let validate_only = match params.get("validate_only") {
        None | Some(Param::Value(Value::Null)) => false,
        Some(Param::Value(Value::Bool(value))) => *value,
        Some(_) => return Err("the field \"validate_only\" is true or false".into()),
    };
    Ok(Account::OpenAi { pixel_id: pixel_id.into(), key: key.clone(), validate_only, schema: user_schema(params)? })
}

fn user_schema(params: &Params) -> Fallible<UserSchema> {
    match word(params, "user_schema")?.as_deref() {
        None | Some("lists") => Ok(UserSchema::Lists),
        Some("scalars") => Ok(UserSchema::Scalars),
        Some(_) => Err("the field \"user_schema\" is lists or scalars".into()),
    }
}

/// The tag's field `map`: a value, or `off`, for fields that are mapped by themselves otherwise.
struct Overrides<'a>(Option<&'a serde_json::Map<String, Value>>);

impl<'a> Overrides<'a> {
    /// The fields beside those of the user.
    const FIELDS: [&'static str; 9] = [
        "event_id",
        "timestamp_ms",
        "source_url",
        "oppref",
        "amount",
        "amount_minor",
        "currency",
        "contents",
        "plan_id",
    ];

    /// Fails on a field that there is not: whoever misspelt `user.email: off` must not go unheard.
    fn of(params: &'a Params) -> Fallible<Self> {
        let is_known =
            |name: &str| Self::FIELDS.contains(&name) || UserField::ALL.into_iter().any(|field| field.path() == name);
        match params.get("map") {
            None | Some(Param::Value(Value::Null)) => Ok(Self(None)),
            Some(Param::Value(Value::Object(map))) => match map.keys().find(|name| !is_known(name)) {
                None => Ok(Self(Some(map))),
                Some(unknown) => Err(format!("the field \"map\" takes no key {unknown:?}").into()),
            },
            Some(Param::Value(_)) => Err("the field \"map\" must be a mapping".into()),
            Some(_) => Err("the field \"map\" holds a secret, which cannot be sent as data".into()),
        }
    }

    fn source(&self, name: &str) -> Source<'a> {
        match self.0.and_then(|map| map.get(name)) {
            None => Source::Event,
            Some(Value::String(text)) if text == "off" => Source::Off,
            Some(value) => Source::Value(value),
        }
    }
}

/// A parameter that is a text, or a number in place of one, if it is set.
fn word<'a>(params: &'a Params, name: &str) -> Fallible<Option<Cow<'a, str>>> {
    match params.get(name) {
        None | Some(Param::Value(Value::Null)) => Ok(None),
        Some(Param::Value(Value::String(text))) => Ok(Some(Cow::Borrowed(text))),
        Some(Param::Value(Value::Number(number))) if number.is_i64() => Ok(Some(Cow::Owned(number.to_string()))),
        Some(_) => Err(format!("the field {name:?} must be a text").into()),
    }
}

/// Takes one part of an event, if it is there.
fn take<T: Clone + Send + Sync + 'static>(parts: &mut Map, name: &str) -> Fallible<Option<T>> {
    let Some(part) = parts.remove(name).filter(|part| !part.is_unit()) else { return Ok(None) };
    as_part(part, name).map(Some)
}

fn as_part<T: Clone + Send + Sync + 'static>(part: Dynamic, name: &str) -> Fallible<T> {
    part.try_cast_result::<T>()
        .map_err(|part| format!("{name:?} of a conversion cannot be of type {}", type_name(&part)).into())
}

fn tell(notes: Notes) {
    for note in notes {
        cage::note(&note.field, &note.reason.to_string());
    }
}

fn fault(Invalid(note): Invalid) -> Box<EvalAltResult> {
    note.to_string().into()
}

//! `openai::…` in a script: wraps [`crate::openai`] and turns its notes into the trace's.

use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, Map, Module, NativeCallContext};
use serde_json::Value;

use super::{
    api::{CallRequest, EventHandle, ParamsHandle, RequestHandle, Returned},
    cage,
    value::to_json,
};
use crate::{
    call::{Account, CallEvent, SecretName, UserSchema},
    openai::{
        Invalid, Notes, Reason, Source,
        data::{AmountSource, Data, DataOptions},
        event::{Event, OptOut, timestamp},
        event_type::{ActionSource, EventType, Unmapped},
        oppref,
        source_url::SourceUrl,
        user::{FieldSources, PhoneHash, User, UserField, UserOptions, Visitor},
    },
    time::Timestamp,
};

type Fallible<T> = Result<T, Box<EvalAltResult>>;

pub fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<EventType>("OpenAiEventType")
        .register_type_with_name::<Arc<Data>>("OpenAiData")
        .register_type_with_name::<Arc<User>>("OpenAiUser");
    let mut module = Module::new();
    module.set_native_fn("event_type", |at: NativeCallContext<'_>, event: EventHandle, params: ParamsHandle| {
        placed(&at, event_type(event, params))
    });
    module.set_native_fn("standard_event", |at: NativeCallContext<'_>, name: ImmutableString| {
        placed(&at, standard_event(name))
    });
    module.set_native_fn(
        "data",
        |at: NativeCallContext<'_>, event_type: EventType, event: EventHandle, params: ParamsHandle| {
            placed(&at, data(event_type, event, params))
        },
    );
    module.set_native_fn(
        "user",
        |at: NativeCallContext<'_>, event: EventHandle, request: RequestHandle, params: ParamsHandle| {
            placed(&at, user(event, request, params))
        },
    );
    module.set_native_fn("source_url", |at: NativeCallContext<'_>, event: EventHandle| placed(&at, source_url(event)));
    module.set_native_fn("oppref", |at: NativeCallContext<'_>, event: EventHandle, request: RequestHandle| {
        placed(&at, find_oppref(event, request))
    });
    module.set_native_fn("new_oppref", |at: NativeCallContext<'_>, event: EventHandle| placed(&at, new_oppref(event)));
    module.set_native_fn("conversion", |at: NativeCallContext<'_>, params: ParamsHandle, parts: Map| {
        placed(&at, conversion(params, parts))
    });
    engine.register_static_module("openai", module.into());
}

/// An error of a module's function, with the place in the script where it was called, which the engine leaves out.
fn placed<T>(at: &NativeCallContext<'_>, result: Fallible<T>) -> Fallible<T> {
    result.map_err(|mut error| {
        error.set_position(at.call_position());
        error
    })
}

/// `openai::event_type(event, params)`: what the tag's field `event` makes of this event; `()` where `inherit` knows no
/// event for its name.
fn event_type(event: EventHandle, params: ParamsHandle) -> Fallible<Dynamic> {
    let mut notes = Notes::new();
    let found = match word(&params, "event")?.as_deref() {
        None | Some("inherit") => {
            let unmapped = match word(&params, "unmapped")?.as_deref() {
                Some("custom") => Unmapped::Custom,
                _ => Unmapped::Skip,
            };
            match EventType::inherit(&event.0.name, unmapped, &mut notes) {
                Err(Invalid(note)) if note.reason == Reason::UnknownEvent => return Ok(Dynamic::UNIT),
                found => found,
            }
        }
        Some("custom") => EventType::custom(&word(&params, "custom_event_name")?.unwrap_or_default(), &mut notes),
        Some(name) => EventType::standard(name),
    };
    tell(notes);
    found.map(Dynamic::from).map_err(fault)
}

/// `openai::standard_event(name)`: the standard event of this name, such as `page_viewed`.
fn standard_event(name: ImmutableString) -> Fallible<EventType> {
    EventType::standard(&name).map_err(fault)
}

/// `openai::data(type, event, params)`: the `data` object.
fn data(event_type: EventType, event: EventHandle, params: ParamsHandle) -> Fallible<Arc<Data>> {
    let overrides = Overrides::of(&params)?;
    let mut options = DataOptions {
        currency: overrides.source("currency"),
        contents: overrides.source("contents"),
        plan_id: overrides.source("plan_id"),
        ..DataOptions::default()
    };
    options.amount = match (overrides.source("amount"), overrides.source("amount_minor")) {
        (_, Source::Value(value)) => AmountSource::MinorUnits(value),
        (Source::Value(value), _) => AmountSource::RegularUnits(value),
        (Source::Off, _) | (_, Source::Off) => AmountSource::Off,
        (Source::Event, Source::Event) => AmountSource::Event,
    };
    let item_id_key = word(&params, "item_id_key")?;
    if let Some(key) = item_id_key.as_deref().filter(|key| !key.is_empty()) {
        options.items.id_key = key;
    }
    let mut notes = Notes::new();
    let data = Data::build(event_type.shape(), &event.0.data, &options, &mut notes);
    tell(notes);
    data.map(Arc::new).map_err(fault)
}

/// `openai::user(event, request, params)`: the `user` object; `()` if nothing is known about the visitor.
fn user(event: EventHandle, request: RequestHandle, params: ParamsHandle) -> Fallible<Dynamic> {
    let overrides = Overrides::of(&params)?;
    let mut fields = FieldSources::default();
    for field in UserField::ALL {
        fields.set(field, overrides.source(field.path()));
    }
    let options = UserOptions {
        schema: user_schema(&params)?,
        phone_hash: match word(&params, "phone_hash")?.as_deref() {
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

/// `openai::source_url(event)`: origin and path of the page; `()` if it is not known.
fn source_url(event: EventHandle) -> Fallible<Dynamic> {
    let mut notes = Notes::new();
    let found = event.0.text("page_location").and_then(|page| SourceUrl::from_page(page, &mut notes));
    tell(notes);
    Ok(found.map_or(Dynamic::UNIT, |url| url.as_str().into()))
}

/// `openai::oppref(event, request)`: the click reference as it stands in the page's address, else in the cookie.
fn find_oppref(event: EventHandle, request: RequestHandle) -> Fallible<Dynamic> {
    let cookie = request.0.cookie("__oppref");
    Ok(oppref::find(&event.0.data, cookie).map_or(Dynamic::UNIT, |found| found.value.into()))
}

/// `openai::new_oppref(event)`: the click reference that the page's address brings; `()` if it brings none.
fn new_oppref(event: EventHandle) -> Fallible<Dynamic> {
    Ok(event.0.text("page_location").and_then(oppref::in_url).map_or(Dynamic::UNIT, Into::into))
}

/// `openai::conversion(params, #{ id, type, timestamp_ms, data, action_source, source_url, oppref, opt_out, user })`: a
/// call that reports one event to the pixel of the tag. What the tag's `map` says of a part goes before it.
fn conversion(params: ParamsHandle, mut parts: Map) -> Fallible<Returned> {
    let overrides = Overrides::of(&params)?;
    let mut notes = Notes::new();
    let id = take_text(&mut parts, "id", overrides.source("event_id"))?.ok_or("openai::conversion needs an id")?;
    let event_type: EventType = take(&mut parts, "type")?.ok_or("openai::conversion needs a type")?;
    let data: Arc<Data> = take(&mut parts, "data")?.ok_or("openai::conversion needs data")?;
    let user: Option<Arc<User>> = take(&mut parts, "user")?;
    let oppref = take_text(&mut parts, "oppref", overrides.source("oppref"))?;
    let opt_out: Option<bool> = take(&mut parts, "opt_out")?;
    let time = take_time(&mut parts, overrides.source("timestamp_ms"))?;
    let action_source = take_action_source(&mut parts)?;
    let page = take_text(&mut parts, "source_url", overrides.source("source_url"))?;
    let source_url = page.and_then(|page| SourceUrl::from_page(&page, &mut notes));
    if let Some(unknown) = parts.keys().next() {
        return Err(format!("openai::conversion knows no {unknown:?}").into());
    }
    let event = Event {
        id: &id,
        event_type: &event_type,
        time,
        data: &data,
        action_source,
        source_url: source_url.as_ref(),
        oppref: oppref.as_deref(),
        opt_out: if opt_out == Some(true) { OptOut::Yes } else { OptOut::No },
        user: user.as_deref(),
    };
    let body = event.to_json(&mut notes);
    tell(notes);
    Ok(Returned::Call(CallRequest {
        account: Arc::new(account(&params)?),
        event: CallEvent { id: id.as_str().into(), name: event_type.name().into(), time },
        body: body.map_err(fault)?.into(),
    }))
}

/// A part that is a text, or what the tag's `map` says in place of it.
fn take_text(parts: &mut Map, name: &str, source: Source<'_>) -> Fallible<Option<ImmutableString>> {
    let own: Option<ImmutableString> = take(parts, name)?;
    match source {
        Source::Event => Ok(own),
        Source::Off | Source::Value(Value::Null) => Ok(None),
        Source::Value(Value::String(text)) => Ok(Some(text.into())),
        Source::Value(Value::Number(number)) => Ok(Some(number.to_string().into())),
        Source::Value(_) => Err(format!("the field \"map\" has no text for {name:?}").into()),
    }
}

fn take_time(parts: &mut Map, source: Source<'_>) -> Fallible<Timestamp> {
    let own = parts.remove("timestamp_ms").unwrap_or_default();
    match source {
        Source::Event => timestamp(&to_json(&own)?),
        Source::Value(value) => timestamp(value),
        Source::Off => timestamp(&Value::Null),
    }
    .map_err(fault)
}

fn take_action_source(parts: &mut Map) -> Fallible<ActionSource> {
    match take::<ImmutableString>(parts, "action_source")?.as_deref() {
        None => Ok(ActionSource::Web),
        Some(name) => ActionSource::from_name(name).ok_or_else(|| "the action source is none that OpenAI knows".into()),
    }
}

fn account(params: &ParamsHandle) -> Fallible<Account> {
    let pixel_id = word(params, "pixel_id")?.unwrap_or_default();
    let pixel_id = pixel_id.trim();
    if pixel_id.is_empty() || pixel_id.len() > 200 || pixel_id.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("the field \"pixel_id\" has no value, or one that is no pixel id".into());
    }
    let key = params.0.get("api_key").and_then(|key| key.clone().try_cast::<SecretName>());
    let validate_only = match params.0.get("validate_only") {
        Some(value) if !value.is_unit() => value
            .as_bool()
            .map_err(|kind| format!("the field \"validate_only\" is true or false, not of type {kind}"))?,
        _ => false,
    };
    Ok(Account::OpenAi {
        pixel_id: pixel_id.into(),
        key: key.ok_or("the field \"api_key\" names no secret")?,
        validate_only,
        schema: user_schema(params)?,
    })
}

fn user_schema(params: &ParamsHandle) -> Fallible<UserSchema> {
    match word(params, "user_schema")?.as_deref() {
        None | Some("lists") => Ok(UserSchema::Lists),
        Some("scalars") => Ok(UserSchema::Scalars),
        Some(_) => Err("the field \"user_schema\" is neither lists nor scalars".into()),
    }
}

/// The tag's field `map`: a value, or `off`, for fields that are mapped by themselves otherwise.
struct Overrides(Vec<(String, Value)>);

impl Overrides {
    /// The fields beside those of the user.
    const FIELDS: [&str; 9] = [
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
    fn of(params: &ParamsHandle) -> Fallible<Self> {
        let Some(map) = params.0.get("map").filter(|map| !map.is_unit()) else { return Ok(Self(Vec::new())) };
        let map = map.read_lock::<Map>().ok_or("the field \"map\" must be a mapping")?;
        let is_known =
            |name: &str| Self::FIELDS.contains(&name) || UserField::ALL.into_iter().any(|field| field.path() == name);
        if let Some(unknown) = map.keys().find(|name| !is_known(name)) {
            return Err(format!("the field \"map\" takes no key {unknown:?}").into());
        }
        let entries = map.iter().map(|(name, value)| Ok((name.to_string(), to_json(value)?)));
        Ok(Self(entries.collect::<Result<_, String>>()?))
    }

    fn source(&self, name: &str) -> Source<'_> {
        match self.0.iter().find(|(own, _)| own == name) {
            None => Source::Event,
            Some((_, Value::String(text))) if text == "off" => Source::Off,
            Some((_, value)) => Source::Value(value),
        }
    }
}

/// A parameter that is a text, if it is set.
fn word(params: &ParamsHandle, name: &str) -> Fallible<Option<ImmutableString>> {
    match params.0.get(name) {
        None => Ok(None),
        Some(value) if value.is_unit() => Ok(None),
        Some(value) if value.is_int() => Ok(Some(value.to_string().into())),
        Some(value) => {
            let text = value.clone().into_immutable_string();
            text.map(Some).map_err(|kind| format!("the field {name:?} must be a text, but is of type {kind}").into())
        }
    }
}

/// Takes one part of an event, if it is there.
fn take<T: Clone + Send + Sync + 'static>(parts: &mut Map, name: &str) -> Fallible<Option<T>> {
    let Some(part) = parts.remove(name).filter(|part| !part.is_unit()) else { return Ok(None) };
    let kind = part.type_name();
    match part.try_cast::<T>() {
        Some(part) => Ok(Some(part)),
        None => Err(format!("{name:?} of a conversion cannot be of type {kind}").into()),
    }
}

fn tell(notes: Notes) {
    for note in notes {
        cage::note(&note.field, &note.reason.to_string());
    }
}

fn fault(Invalid(note): Invalid) -> Box<EvalAltResult> {
    note.to_string().into()
}

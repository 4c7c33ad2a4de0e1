//! Tidegate's own functions, properties and names.

use super::{
    Entry,
    Example::{Note, Script, Value},
    Section,
};

pub const SECTIONS: &[Section] = &[GIVEN, REQUEST, CONSENT, RESULTS, HELPERS, HTTP, GA4, OPENAI];

const GIVEN: Section = Section {
    title: "What a script is given",
    about: "Four names: `params`, `event`, `request` and `consent`. A function of the script does not see them; hand them on.",
    entries: &[
        Entry {
            names: &["index$get$"],
            form: "params.field",
            gives: "the value of the tag's field, or `()` if it is not set",
            about: "Variables are filled in. A secret can be compared with `()` and handed on, and nothing else.",
            fails: "if the value is larger than a script's may be. Reading a secret stops the script.",
            examples: &[
                Value("params.list", "weekly"),
                Value("params.days * 24", "2160"),
                Value("params.nothing == ()", "true"),
                Value("params.api_key != ()", "true"),
            ],
        },
        Entry {
            names: &["index$get$"],
            form: "event.key, event[\"path.to.key\"]",
            gives: "the event's data at a dotted path, or `()`",
            about: "`event_name`, `event_id` and `event_time` too. Numbers in a path count a list's elements from 0.",
            fails: "if the value is larger than a script's may be.",
            examples: &[
                Value("event.event_name", "purchase"),
                Value("event.value", "129.9"),
                Value("event[\"items.0.item_id\"]", "SKU-1"),
                Value("event.nothing == ()", "true"),
                Value("event.event_time > 1700000000000", "true"),
            ],
        },
    ],
};

const REQUEST: Section = Section {
    title: "The request",
    about: "What the browser sent beside the event.",
    entries: &[
        Entry {
            names: &["get$ip"],
            form: "request.ip",
            gives: "the visitor's address as a text, or `()`",
            about: "Behind a trusted proxy it is the one that the proxy names.",
            fails: "",
            examples: &[Value("request.ip", "203.0.113.7")],
        },
        Entry {
            names: &["get$user_agent"],
            form: "request.user_agent",
            gives: "the browser's name for itself, or `()`",
            about: "The same as `request.header(\"user-agent\")`.",
            fails: "",
            examples: &[Value("request.user_agent.starts_with(\"Mozilla\")", "true")],
        },
        Entry {
            names: &["get$host"],
            form: "request.host",
            gives: "the host that was asked for, as a text",
            about: "Without its port.",
            fails: "",
            examples: &[Value("request.host", "tags.example.com")],
        },
        Entry {
            names: &["get$method"],
            form: "request.method",
            gives: "the method, as a text",
            about: "",
            fails: "",
            examples: &[Value("request.method", "POST")],
        },
        Entry {
            names: &["get$client"],
            form: "request.client",
            gives: "the name of the client that read the hit, as a text",
            about: "`dataLayer` for `/hit`, `ga4` for `/g/collect`, `measurement` for `/mp/collect`, `pixel` for `/p.gif`.",
            fails: "",
            examples: &[Value("request.client", "dataLayer")],
        },
        Entry {
            names: &["get$path"],
            form: "request.path",
            gives: "the path that was asked for, as a text",
            about: "Without the query.",
            fails: "",
            examples: &[Value("request.path", "/hit")],
        },
        Entry {
            names: &["header"],
            form: "request.header(name: string)",
            gives: "a header's value, or `()`",
            about: "In any case. `cookie`, `authorization` and `proxy-authorization` are never there.",
            fails: "",
            examples: &[
                Value("request.header(\"Accept-Language\")", "en"),
                Value("request.header(\"cookie\") == ()", "true"),
            ],
        },
        Entry {
            names: &["cookie"],
            form: "request.cookie(name: string)",
            gives: "a cookie's value as it stands there, or `()`",
            about: "",
            fails: "",
            examples: &[
                Value("request.cookie(\"newsletter\")", "monthly"),
                Value("request.cookie(\"other\") == ()", "true"),
            ],
        },
        Entry {
            names: &["query"],
            form: "request.query(name: string)",
            gives: "a parameter of the request's own address, decoded, or `()`",
            about: "The page's address is `event.page_location`.",
            fails: "",
            examples: &[Value("request.query(\"v\")", "2")],
        },
    ],
};

const CONSENT: Section = Section {
    title: "Consent",
    about: "The tag runs only where what it needs is granted; these tell of other types.",
    entries: &[
        Entry {
            names: &["granted"],
            form: "consent.granted(type: string)",
            gives: "`true` if the type is granted; unknown is not granted",
            about: "",
            fails: "if there is no such type.",
            examples: &[
                Value("consent.granted(\"ad_user_data\")", "true"),
                Script("consent.granted(\"ads\")", "failed: this is no Consent Mode type; they are ad_storage"),
            ],
        },
        Entry {
            names: &["status"],
            form: "consent.status(type: string)",
            gives: "`\"granted\"`, `\"denied\"` or `\"unknown\"`",
            about: "",
            fails: "if there is no such type.",
            examples: &[
                Value("consent.status(\"ad_personalization\")", "denied"),
                Value("consent.status(\"analytics_storage\")", "unknown"),
            ],
        },
    ],
};

const RESULTS: Section = Section {
    title: "What a script returns",
    about: "One of these, a list of them, or nothing. They do nothing until they are returned.",
    entries: &[
        Entry {
            names: &["skip"],
            form: "skip(reason: string)",
            gives: "the end of a script that wants nothing",
            about: "The reason goes to the trace, without what looks like a person's.",
            fails: "if anything else is returned beside it.",
            examples: &[Script("skip(\"not for this event\")", "skipped: not for this event")],
        },
        Entry {
            names: &["set_cookie"],
            form: "set_cookie(name: string, value: string, options: map)",
            gives: "a first-party cookie",
            about: "Options: `days` or `seconds` (without either it ends with the browser's session), `same_site` (`\"lax\"`, \
                    `\"strict\"`, `\"none\"`), `http_only`. The manifest must permit the name; a value that no cookie can hold \
                    is refused with a reason, never altered.",
            fails: "if an option is none of these or has another type.",
            examples: &[
                Script("set_cookie(\"newsletter\", params.list, #{ days: 30 })", "ran: no call, cookie newsletter"),
                Script(
                    "set_cookie(\"newsletter\", params.list, #{ days: -1 })",
                    "failed: set_cookie: days is a whole number, zero or more",
                ),
                Script("set_cookie(event.event_name, \"x\", #{})", "failed: tags/example_"),
            ],
        },
        Entry {
            names: &["expire_cookie"],
            form: "expire_cookie(name: string)",
            gives: "a cookie that the browser is made to forget",
            about: "The manifest must permit the name.",
            fails: "",
            examples: &[Script("expire_cookie(\"newsletter\")", "ran: no call, cookie newsletter")],
        },
    ],
};

const HELPERS: Section = Section {
    title: "Helpers",
    about: "",
    entries: &[
        Entry {
            names: &["log"],
            form: "log(line: string), log(level: string, line: string)",
            gives: "nothing",
            about: "Leaves a line in the trace, without what looks like a person's. From the level `info` on it goes to the \
                    server's log too; the levels are `debug`, `info`, `warning` and `error`. `print` and `debug` do the \
                    same at the level `debug`.",
            fails: "if there is no such level.",
            examples: &[
                Note("log(`an order of ${event.value}`)", "an order of 129.9"),
                Note("log(\"warning\", \"no list\")", "no list"),
                Script("log(\"loud\", \"no list\")", "failed: this is no level; they are debug, info, warning, error"),
            ],
        },
        Entry {
            names: &["text"],
            form: "text(value)",
            gives: "the value as variables write it into texts",
            about: "Numbers in their shortest form, lists and maps as JSON, `()` as an empty text.",
            fails: "if the value has no JSON form, or is too deep.",
            examples: &[
                Value("text(12.50)", "12.5"),
                Value("text([1, \"a\"])", "[1,\"a\"]"),
                Value("text(()) == \"\"", "true"),
            ],
        },
        Entry {
            names: &["sha256"],
            form: "sha256(text: string)",
            gives: "the digest as 64 lower-case hex digits",
            about: "",
            fails: "",
            examples: &[Value(
                "sha256(\"oneill\") == \"fa0fd24b2d0175a5c48e1b82f4d707a8a95f5279c4abdc43fa2f19d8e30eb47d\"",
                "true",
            )],
        },
    ],
};

const HTTP: Section = Section {
    title: "Any host",
    about: "Requests to the hosts that the manifest permits under `permissions.hosts`.",
    entries: &[
        Entry {
            names: &["http::request"],
            form: "http::request(params: Params, event: Event, parts: map)",
            gives: "a call that sends one request",
            about: "Parts: `url` is required; `method` (else `POST` where there is a body, `GET` where there is none), \
                    `headers`, one of `json`, `form` and `text`, and `idempotency_key` (else `true`: a header of this name \
                    lets the receiver know a second copy). A secret among the headers must stand under the same name in \
                    the tag's field `headers`; the tag's field `bearer_token`, if it has one, becomes `Authorization`.",
            fails: "if a part is missing, contradicts another, or is none of these; and if the manifest does not permit the \
                    host.",
            examples: &[
                Script(
                    "http::request(params, event, #{ url: \"https://api.example.com/orders\", json: #{ id: event.event_id } })",
                    "ran: 1 call",
                ),
                Script(
                    "http::request(params, event, #{ url: \"/orders/\" + event.event_id })",
                    "failed: the url is no absolute address, such as https://api.example.com/path",
                ),
                Script("http::request(params, event, #{ json: 1 })", "failed: http::request needs a url"),
            ],
        },
        Entry {
            names: &["http::event"],
            form: "http::event(event: Event)",
            gives: "all of the event's data as a map, with `event_name`, `event_id` and `event_time`",
            about: "Without `ad_user_data` it leaves out [what is about a person](configuration.md#what-is-about-a-person), at any \
                    depth.",
            fails: "if the event is larger than a script's values may be.",
            examples: &[Value("http::event(event).event_id", "order-77")],
        },
    ],
};

const GA4: Section = Section {
    title: "GA4",
    about: "What the template [`ga4_relay`](configuration.md#the-template-ga4_relay) is made of. The manifest permits the host \
            under `permissions.hosts`.",
    entries: &[Entry {
        names: &["ga4::relay"],
        form: "ga4::relay(event: Event, request: Request, parts: map)",
        gives: "a call that passes the hit on, as it came",
        about: "Parts: `url` is required, without a query; `ip`, a network address, goes along as `_uip`, and `user_agent` as \
                the header. Calls of one tag for several events of a hit are one request, which holds their lines and no \
                others. `sst.…`, `richsstsse` and `_uip` of the hit are left out; client hints too, unless `user_agent` is the \
                browser's own; what is about a person, `em` and `ep.user_data…` before all, unless `ad_user_data` is granted. \
                What was changed in the event, or taken out of it, is changed or missing there too.",
        fails: "if the hit did not come by GA4's protocol, and if a part is missing or none of these.",
        examples: &[Script(
            "ga4::relay(event, request, #{ url: \"https://api.example.com/g/collect\" })",
            "failed: only hits of GA4's protocol can be relayed; ask for request.client first",
        )],
    }],
};

const OPENAI: Section = Section {
    title: "OpenAI Ads",
    about: "The parts of a conversion, by the rules of [OpenAI Ads](openai.md). They read the tag's fields of the same names \
            (`map`, `event`, `phone_hash`, …), and note in the trace what they leave out.",
    entries: &[
        Entry {
            names: &["openai::event_type"],
            form: "openai::event_type(event: Event, params: Params)",
            gives: "an `EventType`, or `()` where `inherit` knows no event for the name",
            about: "Reads the fields `event`, `custom_event_name` and `unmapped`.",
            fails: "if the API does not take the name.",
            examples: &[Value("openai::event_type(event, params) != ()", "true")],
        },
        Entry {
            names: &["openai::standard_event"],
            form: "openai::standard_event(name: string)",
            gives: "an `EventType`",
            about: "",
            fails: "if there is no standard event of this name.",
            examples: &[
                Value("openai::standard_event(\"page_viewed\") != ()", "true"),
                Script(
                    "openai::standard_event(\"purchase\")",
                    "failed: type: no standard event corresponds to this event name",
                ),
            ],
        },
        Entry {
            names: &["openai::data"],
            form: "openai::data(type: EventType, event: Event, params: Params)",
            gives: "a `Data`: amount, currency, contents and plan",
            about: "Reads the fields `map`, `item_id_key` and `extra`.",
            fails: "if the event's amount, or its currency beside one, cannot be read.",
            examples: &[Value("openai::data(openai::standard_event(\"order_created\"), event, params) != ()", "true")],
        },
        Entry {
            names: &["openai::user"],
            form: "openai::user(event: Event, request: Request, params: Params)",
            gives: "a `User`, or `()` if nothing is known of the visitor",
            about: "Without `ad_user_data` it is `()`, whatever a script does. Reads the fields `map`, `user_schema` and \
                    `phone_hash`.",
            fails: "if a field is none of what it may be.",
            examples: &[Value("openai::user(event, request, params) != ()", "true")],
        },
        Entry {
            names: &["openai::source_url"],
            form: "openai::source_url(event: Event)",
            gives: "a `SourceUrl`, or `()` if the page's address is none",
            about: "Origin and path of the page.",
            fails: "",
            examples: &[Value("openai::source_url(event).to_string()", "https://shop.example.com/thanks")],
        },
        Entry {
            names: &["openai::oppref"],
            form: "openai::oppref(event: Event, request: Request)",
            gives: "the click reference as it stands, or `()`",
            about: "From the page's address, else from the cookie `__oppref`, else from the event.",
            fails: "",
            examples: &[Value("openai::oppref(event, request)", "gAAAA")],
        },
        Entry {
            names: &["openai::new_oppref"],
            form: "openai::new_oppref(event: Event)",
            gives: "the click reference that the page's address brings, or `()`",
            about: "",
            fails: "",
            examples: &[Value("openai::new_oppref(event)", "gAAAA")],
        },
        Entry {
            names: &["openai::conversion"],
            form: "openai::conversion(event: Event, request: Request, params: Params, parts: map)",
            gives: "a call that reports one event",
            about: "Parts: `type` is required, and `user` is sent only if it is named. `id`, `timestamp_ms`, \
                    `action_source`, `source_url`, `oppref`, `opt_out` and `data` follow from the event, the request and \
                    the tag's fields unless they are named; `()` leaves a part out. What the tag's `map` says goes before \
                    a part. Without `ad_personalization` the event opts out, whatever a script says. Reads the fields \
                    `pixel_id`, `api_key`, `validate_only` and `user_schema`.",
            fails: "if a part is missing, contradicts another, or is none of these.",
            examples: &[
                Script(
                    "openai::conversion(event, request, params, #{
    type: openai::standard_event(\"order_created\"),
    user: openai::user(event, request, params),
})",
                    "ran: 1 call",
                ),
                Script(
                    "openai::conversion(event, request, params, #{ idd: 1 })",
                    "failed: a conversion has no such part; its parts are id",
                ),
            ],
        },
    ],
};

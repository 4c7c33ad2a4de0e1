// The site script. It reads `window.dataLayer` the way Google Tag Manager does and sends each event to the server, with
// the consent of the moment. docs/sites.md tells what it sends and when, and what its data-* attributes do.
//
// `scripts/web` makes web/dist of this file. Nothing here may throw into the
// page, make it wait, or keep anything in the browser before the visitor agreed.
(() => {
  const element = document.currentScript;
  // A module, or a script that was put together from text: it cannot know where to send.
  if (!element) return;
  const option = element.dataset;
  const mode = option.beforeConsent;
  const endpoint = new URL(option.endpoint || "hit", element.src || location).href;
  const layer = (window.dataLayer = window.dataLayer || []);
  // Of a script that is loaded twice, the second does nothing.
  if (layer[Symbol.for(endpoint)]) return;
  layer[Symbol.for(endpoint)] = true;

  const AD_TYPES = ["ad_storage", "ad_user_data", "ad_personalization"];
  const ANALYTICS = ["analytics_storage"];
  const FUNCTIONAL = ["functionality_storage", "personalization_storage"];
  const TYPES = [...AD_TYPES, ...ANALYTICS, ...FUNCTIONAL, "security_storage"];
  const GRANTED = "granted";
  const DENIED = "denied";
  const NAME = "tidegate";
  // Browsers allow 64 KiB to what outlives its document.
  const MAX_BODY = 6e4;
  const MAX_EVENTS = 100;
  const MAX_QUEUE = 500;
  const MAX_HELD = 50;
  const MAX_TRIES = 10;
  const MAX_WAIT = 2e3;
  const MAX_PAUSE = 3e4;
  // The server refuses what is nested deeper, the hit and its list included.
  const MAX_DEPTH = 28;

  const isOn = (name) => option[name] == "on";
  const isKind = (value, kind) => ({}).toString.call(value).includes(kind);
  // Neither an instance of a class nor a DOM node; also one of another frame.
  const { getPrototypeOf, keys } = Object;
  const isPlain = (value) => {
    const prototype = isKind(value, "Object") && getPrototypeOf(value);
    return prototype === null || (prototype && !getPrototypeOf(prototype));
  };
  const guarded =
    (call) =>
    (...given) => {
      try {
        return call(...given);
      } catch (error) {
        console.warn(NAME, error);
      }
    };
  const later = (call, pause) => setTimeout(guarded(call), pause);
  // On their way through the window: what is dispatched at the document need not come back to it.
  const listen = (name, call) => addEventListener(name, guarded(call), true);
  const address = () => location.href.split("#")[0];
  const word = (isYes) => (isYes ? GRANTED : DENIED);

  // The data layer's state.

  const model = {};

  const merge = (from, to, depth = MAX_DEPTH) => {
    for (const key of keys(from)) {
      const value = from[key];
      const isList = Array.isArray(value);
      if (key == "__proto__") continue;
      if (!from._clear && (isList || isPlain(value))) {
        const isAlike = isList ? Array.isArray : isPlain;
        if (!isAlike(to[key])) to[key] = isList ? [] : {};
        if (depth) merge(value, to[key], depth - 1);
      } else {
        to[key] = value;
      }
    }
    delete to._clear;
  };

  const toJson = (given) => JSON.stringify(given, (_, value) => value?.toWellFormed?.() ?? value);

  // A value as JSON has it; of a function, a circle, or what throws when it is looked at: nothing.
  const jsonOf = (state, key) => {
    try {
      return JSON.parse(toJson(state[key]));
    } catch (error) {}
  };

  const mergeState = (state) => {
    for (const key of keys(state)) {
      // `{"a.b": 1}` sets b in a.
      const put = (value) => merge(key.split(".").reduceRight((inner, name) => ({ [name]: inner }), value), model);
      if (state._clear) put();
      // Not the JSON itself: a key that was set to undefined is to be overwritten.
      put(jsonOf(state, key) && state[key]);
    }
  };

  // What of states is JSON, as it is now: the page may change its objects afterwards. A later one's key replaces an
  // earlier one's. What is said of an event stays with that event, and what only this script may say is not taken over.
  const dataOf = (...states) => {
    const data = {};
    for (const state of states) {
      for (const key of keys(state)) {
        if (/^(gtm|event(_?id|_time|Callback|Timeout)?|sent_at|consent(_.*)?)$/i.test(key)) continue;
        delete data[key];
        merge({ [key]: jsonOf(state, key) }, data);
      }
    }
    return data;
  };

  // Consent.

  const defaults = [];
  const updates = {};
  // What the TCF string comes to for a page; the server reads the string itself.
  let byTcf = {};
  let tcf;
  let isAnswered;
  // What the server told of a grant that the page does not know, such as a default of the visitor's region.
  let byServer = {};
  let waitUntil = 0;

  const isGranted = (type) => {
    const own = updates[type] || byTcf[type] || (!isAnswered && byServer[type]);
    if (own) return own == GRANTED;
    // Where the visitor is, only the server knows: a denial for any region holds here, a grant for one does not.
    const said = defaults.filter((entry) => entry[type]);
    return said.every((entry) => entry[type] == GRANTED) && said.some((entry) => !entry.region);
  };

  const answer = () => {
    isAnswered = true;
    waitUntil = 0;
    flushSoon();
  };

  const setConsent = (stated, into) => {
    for (const type of TYPES) if (stated[type]) into[type] = word(stated[type] == GRANTED);
  };

  const update = (stated) => {
    setConsent(stated, updates);
    answer();
  };

  const setDefault = (stated) => {
    const { wait_for_update: wait } = stated;
    // Of other than texts the server would refuse the hit.
    const region = stated.region?.toString().split(",");
    let entry = defaults.find((other) => other.region + "" == region + "");
    if (!entry) defaults.push((entry = { region }));
    setConsent(stated, entry);
    if (wait > 0 && !isAnswered) waitUntil = Date.now() + Math.min(wait, MAX_WAIT);
  };

  // Events.

  let referrer = document.referrer;
  let hasView = option.pageView == "off";
  let queue = [];
  // No timer will run again, unless the page comes back.
  let isLeaving;
  // Events that wait for the visitor's answer.
  let held = new Set();

  // Of these the first that the server takes for an id.
  const idOf = (...found) => found.find((id) => /^[sn]/.test(typeof id) && /^(?=.*\S)\P{Cc}{1,256}$/u.test(id));

  const emit = (name, own = {}, parameters = {}) => {
    if (typeof name != "string" || !/^(?!gtm\.).*\S/.test(name)) return;
    if (name == "page_view") hasView = true;
    const given = idOf(jsonOf(own, "event_id"), jsonOf(own, "eventId"));
    const id = given || crypto.getRandomValues(new Uint32Array(4)).join("-");
    // It names an event that brings no other id, but is nobody's business before consent.
    const order = idOf(
      given,
      jsonOf(own, "transaction_id"),
      jsonOf(own, "transactionId"),
      jsonOf(own, "ecommerce")?.transaction_id,
      id,
    );
    queue.push({
      bare: {
        event: name,
        event_id: id,
        event_time: Date.now(),
        page_location: location.origin + location.pathname,
      },
      data: {
        ...dataOf(
          {
            page_location: address(),
            // Which an element of this name would replace.
            page_title: document.title,
            page_referrer: referrer,
            screen_resolution: screen.width + "x" + screen.height,
            language: navigator.language,
          },
          model,
          parameters,
        ),
        event_id: order,
      },
    });
    queue = queue.slice(-MAX_QUEUE);
    if (isOn("shareEventId")) layer.push({ event: "tidegate.event", tidegate: { event_name: name, event_id: order } });
    if (isLeaving) leave();
    else if (!tries) flushSoon();
  };

  const view = () => hasView || emit("page_view");

  const command = (name, first, second) => {
    const parameters = second || {};
    if (name == "event") emit(first, parameters, parameters);
    if (name == "set") mergeState(isPlain(first) ? first : { [first]: second });
    if (name == "config") {
      if (parameters.send_page_view === false) hasView = true;
      mergeState(parameters);
    }
    if (name == "consent") (first == "update" ? update : setDefault)(parameters);
  };

  const read = guarded((entry) => {
    if (isKind(entry, "Arguments")) command(...entry);
    else if (isPlain(entry) && !entry.tidegate) {
      guarded(mergeState)(entry);
      if (isOn("usercentrics") && entry.ucCategory) readUsercentrics(entry);
      else emit(entry.event, entry);
    }
  });

  // Sending.

  let timer;
  let inFlight = [];
  let tries = 0;
  let maxEvents = MAX_EVENTS;

  const flushSoon = (pause) => {
    clearTimeout(timer);
    timer = later(flush, pause);
  };

  // Full, or forbidden: then the events live as long as their document.
  const store = guarded(() => {
    const waiting = [...held, ...inFlight.filter((event) => event.needs)];
    if (!isOn("sessionHold")) return;
    if (waiting.length) sessionStorage.setItem(NAME, toJson(waiting));
    else sessionStorage.removeItem(NAME);
  });

  // Once the visitor has answered, held events go out or are dropped.
  const settle = () => {
    if (!isAnswered) return;
    for (const event of held) {
      const { needs } = event;
      if (needs) {
        if (!needs.some(isGranted)) continue;
        event.bare.consent_then = {};
        for (const type of TYPES) event.bare.consent_then[type] = needs.includes(type) ? event.denial : GRANTED;
      }
      queue.push(event);
    }
    held.clear();
    store();
  };

  const maySendAll = () => mode == "full" || isGranted("ad_storage");

  // The next request's body, and the events in it, each as it may be sent now.
  const nextBatch = () => {
    const events = [];
    const shapes = [];
    let body;
    while (queue.length && events.length < maxEvents) {
      const event = queue[0];
      const isWhole = maySendAll();
      const isSent = isWhole || mode != "wait";
      if (isSent) {
        shapes.push({
          ...event.bare,
          consent_withheld: !(isWhole || isAnswered) || undefined,
          ...(isWhole && event.data),
        });
        const longer = toJson({
          ...tcf,
          sent_at: Date.now(),
          consent: updates,
          consent_answered: isAnswered,
          consent_defaults: defaults,
          events: shapes,
        });
        if (events.length && new Blob([longer]).size > MAX_BODY) break;
        body = longer;
        events.push(event);
      } else if (!isAnswered) {
        hold(event);
      }
      queue.shift();
      // Until the server tells more, the event may lack whatever nobody is known to grant.
      event.needs = isSent && !isAnswered && TYPES.filter((type) => !isGranted(type));
      // What of that counts as denied later, until there is an answer: of a bare event all, as nothing ran that needs it.
      // Of a whole one what the server's defaults granted has run, so that they decide.
      event.denial = isWhole ? undefined : DENIED;
    }
    return { events, body };
  };

  const hold = (event) => {
    held = new Set([...held, event].slice(-MAX_HELD));
  };

  // The server names the events that wait; all others are done with.
  const settleBatch = (events, waiting) => {
    for (const event of events) {
      const isIt = ({ event_id: id }) => id == event.bare.event_id || id == event.data.event_id;
      const { needs } = (waiting ? waiting.find(isIt) : event) || {};
      if (!event.needs || !needs) continue;
      event.needs = needs;
      if (waiting) event.denial = DENIED;
      if (needs.length) {
        hold(event);
      } else if (waiting) {
        byServer = { ad_storage: GRANTED };
        event.data.consent_withheld = false;
        if (maySendAll()) queue.push(event);
      }
    }
  };

  const send = async (events, body) => {
    // The network: as if the server had been too busy.
    let response = { status: 503 };
    try {
      response = await fetch(endpoint, {
        method: "POST",
        body,
        credentials: "include",
        // No header names the query either.
        referrerPolicy: "strict-origin",
        // Which browsers deny to what is too large for it, as one event may be.
        keepalive: !tries,
        headers: { accept: "application/json" },
      });
    } catch (error) {}
    const { status, headers } = response;
    if (/408|429|50[234]/.test(status)) {
      const asked = headers?.get("retry-after") * 1e3;
      const pause = Math.min(asked || 2 ** tries * 300 * (1 + Math.random()), MAX_PAUSE);
      tries = (tries + 1) % MAX_TRIES;
      if (tries) queue = events.concat(queue);
      return pause;
    }
    tries = 0;
    if (status < 300) {
      maxEvents = MAX_EVENTS;
      // The server, or something before it, may say no more than yes.
      settleBatch(events, (await response.json().catch(() => {}))?.held);
    } else if (/413|400/.test(status) && events.length > 1) {
      // What is wrong with one event is no reason to lose the others.
      maxEvents = events.length >> 1;
      queue = events.concat(queue);
    } else {
      console.warn(NAME, status);
    }
  };

  const flush = () => {
    const wait = waitUntil - Date.now();
    if (inFlight.length) return;
    if (wait > 0) return flushSoon(wait);
    settle();
    const { events, body } = nextBatch();
    inFlight = events;
    if (!body) return;
    const done = (pause) => {
      inFlight = [];
      flushSoon(pause);
    };
    send(events, body).then(done, done);
  };

  // The page may never run again: what is left goes without an answer.
  const leave = () => {
    view();
    settle();
    if (tries) queue = inFlight.concat(queue);
    // What the browser does not take, such as one event that is too large for it, does not stop the rest.
    const refused = [];
    while (queue.length) {
      const { events, body } = nextBatch();
      if (body && !navigator.sendBeacon(endpoint, body)) refused.push(...events);
      else settleBatch(events);
    }
    queue = refused;
    store();
  };

  // Other places where a visitor's answer stands.

  const followTcf = guarded(() => {
    if (tcf || !window.__tcfapi) return;
    tcf = {};
    window.__tcfapi(
      "addEventListener",
      2,
      guarded((found, isFine) => {
        if (!isFine) return;
        const { gdprApplies, purpose } = found;
        const allows = (...purposes) => word(purposes.every((id) => purpose.consents[id]));
        tcf = { gdpr: +gdprApplies, gdpr_consent: found.tcString };
        byTcf = {};
        if (gdprApplies && /^(tcl|usera)/.test(found.eventStatus)) {
          byTcf = { ad_storage: allows(1), ad_user_data: allows(1, 7), ad_personalization: allows(3, 4) };
          answer();
        }
      }),
    );
  });

  // `consent_status` in the data layer, and UC_CONSENT on the window since version 3; both also when a page begins.
  const readUsercentrics = ({ type, consent, categories, ucCategory: found = categories }) => {
    if (!/^expl/i.test(type || consent.type)) return;
    const stated = {};
    const types = { marketing: AD_TYPES, functional: FUNCTIONAL, analytics: ANALYTICS, statistics: ANALYTICS };
    for (const category in types) {
      const said = found[category];
      for (const kind of types[category])
        if (category in found) stated[kind] = word(/true|ALL_A/.test(said?.state || said));
    }
    update(stated);
  };

  const followHistory = () => {
    let here = address();
    const moved = () =>
      later(() => {
        if (address() == here) return;
        referrer = here;
        here = address();
        emit("page_view");
      });
    for (const name of ["pushState", "replaceState"]) {
      const own = history[name];
      history[name] = (...given) => {
        own.apply(history, given);
        moved();
      };
    }
    listen("popstate", moved);
  };

  // Begin.

  const begin = () => {
    if (isOn("sessionHold")) guarded(() => (held = new Set(JSON.parse(sessionStorage.getItem(NAME))?.filter((event) => event.bare))))();
    if (isOn("tcf")) {
      followTcf();
      listen("load", followTcf);
    }
    if (isOn("history")) followHistory();
    // After what the page itself does once it is ready.
    const ready = () => later(view);
    if (document.readyState == "loading") listen("DOMContentLoaded", ready);
    else ready();
    listen("pagehide", () => {
      isLeaving = true;
      leave();
    });
    // A page that is hidden may be discarded without a word.
    listen("visibilitychange", () => {
      if (document.hidden) return leave();
      isLeaving = false;
      flushSoon();
    });
    // Last what may throw: it costs nothing else.
    layer.slice().forEach(read);
    const { push } = layer;
    layer.push = (...entries) => {
      const result = push.apply(layer, entries);
      entries.forEach(read);
      return result;
    };
    if (isOn("usercentrics")) {
      listen("UC_CONSENT", (event) => readUsercentrics(event.detail));
      if (window.__ucCmp) window.__ucCmp.getConsentDetails().then(guarded(readUsercentrics));
    }
  };

  if (document.prerendering) listen("prerenderingchange", begin);
  else guarded(begin)();
})();

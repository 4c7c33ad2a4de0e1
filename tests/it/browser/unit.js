// The site script's own rules, one case each. A case gets a frame of its own, in which requests end in a list.
// `runCases()` comes to what failed: a list of texts.

const SAME = (found, expected) => {
  const order = (_, value) =>
    value && typeof value == "object" && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  const [left, right] = [found, expected].map((value) => JSON.stringify(value, order));
  if (left !== right) throw new Error(`found ${left}, expected ${right}`);
};

// Each of these lies in every whole event.
const CONTEXT = ["page_location", "page_title", "page_referrer", "screen_resolution", "language"];
const OWN = ["event", "event_id", "event_time"];

class Frame {
  requests = [];
  beacons = [];
  warnings = [];
  // What the server answers, in order; then that all is well.
  answers = [];
  takesBeacons = true;

  static async open(options = {}, prepare = () => {}) {
    const frame = new Frame();
    const element = document.createElement("iframe");
    element.src = "/blank";
    document.body.append(element);
    await new Promise((done) => (element.onload = done));
    frame.window = element.contentWindow;
    const { window } = frame;
    window.fetch = async (url, request) => {
      frame.requests.push({ url, ...request, hit: JSON.parse(request.body) });
      const answer = frame.answers.shift() || { held: [] };
      if (answer == "down") throw new window.TypeError("no network");
      const { status = 200, headers, held } = answer;
      return new window.Response(status == 204 ? null : JSON.stringify({ held }), { status, headers });
    };
    window.navigator.sendBeacon = (url, body) => {
      if (frame.takesBeacons) frame.beacons.push(JSON.parse(body));
      return frame.takesBeacons;
    };
    window.console.warn = (...words) => frame.warnings.push(words.join(" "));
    window.dataLayer = [];
    frame.gtag = function () {
      window.dataLayer.push(arguments);
    };
    frame.push = (...entries) => window.dataLayer.push(...entries);
    await prepare(frame);
    await frame.load(options);
    return frame;
  }

  load(options) {
    const script = this.window.document.createElement("script");
    script.src = "https://t.example.com/t.js";
    Object.assign(script.dataset, { pageView: "off", ...options });
    this.window.document.head.append(script);
    return new Promise((done) => (script.onload = done));
  }

  // With every type granted before the script is there.
  static granted(options, prepare = () => {}) {
    return Frame.open(options, async (frame) => {
      frame.gtag("consent", "update", ALL("granted"));
      await prepare(frame);
    });
  }

  get events() {
    return this.requests.flatMap((request) => request.hit.events);
  }

  until(holds) {
    return new Promise((done) => {
      const look = () => (holds() ? done() : setTimeout(look, 5));
      look();
    });
  }

  // The events of all requests, once there are so many; without what every event has.
  async sent(count) {
    await this.until(() => this.events.length >= count);
    return this.events.map((event) => {
      const rest = Object.entries(event).filter(([key]) => !CONTEXT.includes(key) && !OWN.slice(1).includes(key));
      return Object.fromEntries(rest);
    });
  }

  // Waits until nothing is left that could be sent: a marker, sent last, has arrived.
  async settled() {
    this.gtag("event", "marker");
    await this.until(() => this.events.some((event) => event.event == "marker"));
  }

  dispatch(target, name) {
    target.dispatchEvent(new this.window.Event(name));
  }
}

const TYPES = [
  "ad_storage",
  "ad_user_data",
  "ad_personalization",
  "analytics_storage",
  "functionality_storage",
  "personalization_storage",
  "security_storage",
];
const ALL = (status) => Object.fromEntries(TYPES.map((type) => [type, status]));

const CASES = {
  // The data layer

  async "a later event sees earlier keys, merged as GTM merges them"() {
    const frame = await Frame.granted();
    frame.push({ cart: { id: 1, owner: { name: "Ada" } }, list: [1, 2, 3] });
    frame.push({ cart: { owner: { city: "London" } }, list: [9], "cart.size": 2 });
    frame.push({ event: "first", own: true });
    frame.push({ event: "second", cart: { id: null }, own: undefined });
    SAME(await frame.sent(2), [
      { event: "first", cart: { id: 1, owner: { name: "Ada", city: "London" }, size: 2 }, list: [9, 2, 3], own: true },
      { event: "second", cart: { id: null, owner: { name: "Ada", city: "London" }, size: 2 }, list: [9, 2, 3] },
    ]);
  },

  async "_clear replaces in place of merging"() {
    const frame = await Frame.granted();
    frame.push({ a: { x: 1 }, b: { c: { x: 1 }, y: 1 }, list: [1, 2] });
    frame.push({ event: "first", _clear: true, a: { z: 1 } });
    frame.push({ event: "second", b: { _clear: true, c: { z: 1 } }, list: null });
    const [first, second] = await frame.sent(2);
    SAME([first.a, first.b, first.list], [{ z: 1 }, { c: { x: 1 }, y: 1 }, [1, 2]]);
    SAME([second.b, second.list, "_clear" in second], [{ c: { z: 1 }, y: 1 }, null, false]);
  },

  async "what is no data is left out, and what it stands beside is not"() {
    const frame = await Frame.granted();
    const circle = { round: true };
    circle.self = circle;
    class Widget {
      constructor() {
        this.self = this;
      }
    }
    frame.push(() => 1, null, "text", 7, [1, 2], new Date(0));
    frame.push({
      event: "e",
      call: () => 1,
      node: frame.window.document.body,
      widget: new Widget(),
      big: 1n,
      when: new Date(0),
      not: NaN,
      broken: "half an emoji: \ud83d",
      good: ["\ud83d\ude00", { deep: [[]] }],
    });
    frame.push(circle, { event: "f" });
    frame.push(JSON.parse('{"__proto__": {"polluted": 1}, "event": "g"}'));
    const [e, f] = await frame.sent(3);
    delete e.node;
    SAME(e, {
      event: "e",
      when: "1970-01-01T00:00:00.000Z",
      not: null,
      broken: "half an emoji: \ufffd",
      good: ["\ud83d\ude00", { deep: [[]] }],
    });
    SAME(f.event, "f");
    SAME(frame.window.Object.prototype.polluted, undefined);
  },

  async "an event is what it was when it was pushed"() {
    const frame = await Frame.granted();
    const items = [{ item_id: "A" }];
    frame.push({ event: "e", items });
    items[0].item_id = "B";
    items.push({ item_id: "C" });
    SAME((await frame.sent(1))[0].items, [{ item_id: "A" }]);
  },

  async "what was pushed before the script is read in its order"() {
    const frame = await Frame.open({}, (frame) => {
      frame.push({ shelf: 1 });
      frame.gtag("event", "early", { value: 1 });
      frame.push({ event: "gtm.js", "gtm.start": 1 }, { shelf: 2 });
      frame.gtag("consent", "update", ALL("granted"));
      frame.push({ event: "late" });
    });
    SAME(await frame.sent(2), [
      { event: "early", shelf: 1, value: 1 },
      { event: "late", shelf: 2 },
    ]);
  },

  async "gtag's parameters are its event's own, those of set and config everybody's"() {
    const frame = await Frame.granted();
    frame.gtag("js", new Date());
    frame.gtag("config", "G-1", { user_id: "u-1" });
    frame.gtag("set", { currency: "EUR" });
    frame.gtag("set", "user_data", { email_address: "ada@example.com" });
    frame.gtag("get", "G-1", "client_id", () => 1);
    frame.gtag("event", "a", { value: 1, currency: "GBP" });
    frame.gtag("event", "b");
    frame.gtag("event");
    const shared = { user_id: "u-1", user_data: { email_address: "ada@example.com" } };
    SAME(await frame.sent(2), [
      { event: "a", ...shared, value: 1, currency: "GBP" },
      { event: "b", ...shared, currency: "EUR" },
    ]);
  },

  async "the page's own words win over what the script finds"() {
    const frame = await Frame.granted();
    frame.push({ event: "e", page_location: "https://shop.example.com/virtual", page_title: "Virtual" });
    await frame.sent(1);
    SAME([frame.events[0].page_location, frame.events[0].page_title], ["https://shop.example.com/virtual", "Virtual"]);
    SAME(frame.events[0].screen_resolution, frame.window.screen.width + "x" + frame.window.screen.height);
    SAME(frame.requests[0].hit.sent_at >= frame.events[0].event_time, true);
  },

  async "ids are an event's own"() {
    const frame = await Frame.granted();
    frame.push({ event: "a", event_id: "a-1", transaction_id: "T-1" });
    frame.push({ event: "b", eventId: 7 });
    frame.push({ event: "c" });
    frame.push({ event: "d", ecommerce: { transaction_id: "T-2" } });
    frame.gtag("event", "e", { transaction_id: "T-3" });
    frame.gtag("event", "f");
    await frame.sent(6);
    const ids = frame.events.map((event) => event.event_id);
    SAME([ids[0], ids[1], ids[3], ids[4]], ["a-1", 7, "T-2", "T-3"]);
    SAME(ids[2] != ids[5] && [ids[2], ids[5]].every((id) => /^\d+-\d+-\d+-\d+$/.test(id)), true);
  },

  async "what the server would not take for an id is not sent as one"() {
    const frame = await Frame.granted();
    const bad = [["T-1"], " ", "x".repeat(257), "line\nbreak", { id: 1 }, true, NaN];
    for (const id of bad) frame.push({ event: "order", transaction_id: id });
    for (const id of bad) frame.push({ event: "order", transaction_id: "T-2", event_id: id });
    const good = [7, "0", "T 3", "\u{1f600}".repeat(256)];
    for (const id of good) frame.push({ event: "order", transaction_id: id });
    await frame.sent(18);
    const ids = frame.events.map((event) => event.event_id);
    SAME(ids.slice(0, 7).every((id) => /^\d+-\d+-\d+-\d+$/.test(id)), true);
    SAME(ids.slice(7), [...Array(7).fill("T-2"), ...good]);
    SAME([frame.events[0].transaction_id, frame.events[1].transaction_id], [["T-1"], " "]);
  },

  async "nobody but the script speaks of consent and time"() {
    const frame = await Frame.granted();
    frame.push({ event: "a", consent: "yes", consent_then: {}, consent_withheld: true, event_time: 1, sent_at: 2, eventCallback: 1, event_category: "c" });
    SAME(await frame.sent(1), [{ event: "a", event_category: "c" }]);
    SAME(frame.events[0].event_time > 1e12, true);
  },

  async "an event's id is shared on demand"() {
    const frame = await Frame.granted({ shareEventId: "on" });
    frame.gtag("event", "purchase", { transaction_id: "T-1" });
    frame.push({ event: "other" });
    await frame.sent(2);
    const shared = frame.window.dataLayer.filter((entry) => entry.event == "tidegate.event");
    SAME(shared.map((entry) => entry.tidegate), [
      { event_name: "purchase", event_id: "T-1" },
      { event_name: "other", event_id: frame.events[1].event_id },
    ]);
    await frame.settled();
    SAME(frame.events.length, 3);
  },

  async "the page's data layer works as before"() {
    const frame = await Frame.granted();
    const before = frame.window.dataLayer.length;
    SAME(frame.push({ a: 1 }, { b: 2 }), before + 2);
    const hostile = {};
    Object.defineProperty(hostile, "event", { enumerable: true, get: () => { throw new Error("no"); } });
    SAME(frame.push(hostile), before + 3);
    frame.push({ event: { no: "name" } }, { event: "" }, { event: 5 }, { event: "fine" });
    SAME((await frame.sent(1)).map((event) => event.event), ["fine"]);
    SAME(frame.warnings.length, 1);
  },

  async "what a page does to its own objects costs a key, not an event"() {
    const frame = await Frame.granted({}, (frame) => {
      // An image of this name is what the property then gives; frameworks hang circles onto elements.
      const image = frame.window.document.createElement("img");
      image.name = "title";
      image.circle = image;
      frame.window.document.body.append(image);
    });
    const thrower = (key) => Object.defineProperty({}, key, { enumerable: true, get: () => { throw new Error("no"); } });
    const circle = { list: [] };
    circle.list.push(circle);
    const web = Array.from({ length: 12 }, () => ({}));
    for (const one of web) web.forEach((other, at) => (one["x" + at] = other));
    let deep = 1;
    for (let i = 0; i < 5000; i++) deep = { deep };
    const before = { fine: 1, kept: { a: 1 }, shut: 1 };
    frame.push({ ...before, circle: { was: 1 } });
    frame.push({ event: "a", circle, web: web[0], good: 1 });
    frame.push({ event: "b", kept: Object.assign(thrower("b"), { c: 1 }) });
    frame.push({ event: "c", deep, late: Object.assign({}, { big: { big: 1n } }) });
    frame.push(Object.assign(thrower("shut"), { event: "d" }));
    frame.push(Object.assign(thrower("transaction_id"), { event: "e" }));
    frame.gtag("event", "f", Object.assign(thrower("event_id"), { own: { circle }, value: 1 }));
    frame.gtag("event", "g", { deep });
    frame.push({ event: "half \ud83d" });
    await frame.sent(8);
    const events = Object.fromEntries(frame.events.map((event) => [event.event, event]));
    SAME(Object.keys(events).join(), "a,b,c,d,e,f,g,half \ufffd");
    SAME([events.a.good, events.a.fine, "circle" in events.a, "web" in events.a], [1, 1, false, false]);
    SAME(["kept" in events.b, "late" in events.c, "shut" in events.c, "shut" in events.d], [false, false, true, false]);
    SAME([events.f.value, "own" in events.f, "page_title" in events.f], [1, false, false]);
    // What the server would refuse for its depth is cut off.
    for (const { deep } of [events.c, events.g]) {
      let levels = 0;
      for (let at = deep; at; at = at.deep) levels++;
      SAME(levels < 30, true);
    }
  },

  async "nor does a data layer that cannot be taken over cost the view"() {
    const views = async (layer) => {
      const frame = await Frame.open({ pageView: "on" }, (frame) => (frame.window.dataLayer = layer(frame)));
      await frame.until(() => frame.events.some((event) => event.event == "page_view"));
      return frame.events.map((event) => event.event);
    };
    SAME(await views(({ window }) => window.Object.freeze([{ event: "early" }])), ["early", "page_view"]);
    SAME(await views(() => ({ push() {} })), ["page_view"]);
  },

  async "a region that is none costs no event"() {
    const frame = await Frame.open({ beforeConsent: "full" }, (frame) => {
      frame.gtag("consent", "default", { ad_storage: "denied", region: 1n });
      frame.gtag("consent", "default", { ad_storage: "granted", region: ["ES", 7, null] });
      frame.gtag("consent", "default", { ad_storage: "granted", region: "" });
      frame.gtag("event", "e");
    });
    await frame.sent(1);
    SAME(frame.requests[0].hit.consent_defaults, [
      { ad_storage: "denied", region: ["1"] },
      { ad_storage: "granted", region: ["ES", "7", ""] },
      { ad_storage: "granted", region: [""] },
    ]);
  },

  async "a script that is loaded twice sends once"() {
    const frame = await Frame.granted();
    await frame.load({});
    frame.push({ event: "e" });
    await frame.settled();
    SAME(frame.events.map((event) => event.event), ["e", "marker"]);
  },

  // Views

  async "a view is sent, unless the page sent its own or does not want it"() {
    const names = async (options, prepare) => {
      const frame = await Frame.granted(options, prepare);
      await frame.settled();
      await frame.until(() => frame.window.document.readyState == "complete");
      await new Promise((done) => setTimeout(done));
      await frame.settled();
      return frame.events.map((event) => event.event).filter((name) => name != "marker");
    };
    SAME(await names({ pageView: "on" }), ["page_view"]);
    SAME(await names({ pageView: "off" }), []);
    SAME(await names({ pageView: "on" }, (frame) => frame.gtag("event", "page_view")), ["page_view"]);
    SAME(await names({ pageView: "on" }, (frame) => frame.gtag("config", "G-1", { send_page_view: false })), []);
  },

  // Consent

  async "defaults go with their regions, updates as what the visitor said"() {
    const frame = await Frame.open({ beforeConsent: "full" }, (frame) => {
      frame.gtag("consent", "default", { ad_storage: "denied", region: ["ES", "US-CA"] });
      frame.gtag("consent", "default", { ad_storage: "granted", analytics_storage: "denied" });
      frame.gtag("consent", "default", { analytics_storage: "granted" });
      frame.push({ event: "a" });
    });
    await frame.sent(1);
    frame.gtag("consent", "update", { ad_storage: "granted", ad_user_data: "maybe", bogus: "granted" });
    frame.push({ event: "b" });
    await frame.sent(2);
    const [first, second] = frame.requests.map((request) => request.hit);
    SAME(first.consent_defaults, [
      { ad_storage: "denied", region: ["ES", "US-CA"] },
      { ad_storage: "granted", analytics_storage: "granted" },
    ]);
    SAME([first.consent, first.consent_answered], [{}, undefined]);
    SAME([second.consent, second.consent_answered], [{ ad_storage: "granted", ad_user_data: "denied" }, true]);
  },

  async "a denial for some region counts for the page, a grant for one does not"() {
    const isWhole = async (...defaults) => {
      const frame = await Frame.open({}, (frame) => {
        for (const said of defaults) frame.gtag("consent", "default", said);
        frame.push({ event: "e", secret: 1 });
      });
      await frame.sent(1);
      return "secret" in frame.events[0];
    };
    SAME(await isWhole(), false);
    SAME(await isWhole({ ad_storage: "granted" }), true);
    SAME(await isWhole({ ad_storage: "granted", region: "US" }), false);
    SAME(await isWhole({ ad_storage: "granted" }, { ad_storage: "denied", region: "ES" }), false);
    SAME(await isWhole({ ad_storage: "granted" }, { analytics_storage: "denied" }), true);
  },

  async "what is sent before consent"() {
    const frame = await Frame.open({}, (frame) => {
      frame.gtag("consent", "default", ALL("denied"));
      frame.gtag("event", "purchase", { transaction_id: "T-1", value: 5, event_time: 1 });
      frame.gtag("event", "lead", { event_id: "l-1" });
    });
    await frame.sent(2);
    for (const event of frame.events) {
      SAME(Object.keys(event).sort(), [...OWN, "consent_withheld", "page_location"].sort());
      SAME([event.page_location, event.consent_withheld], [location.origin + "/blank", true]);
    }
    SAME([/^\d+-/.test(frame.events[0].event_id), frame.events[1].event_id], [true, "l-1"]);
    const { credentials, referrerPolicy, keepalive, headers, method, url } = frame.requests[0];
    SAME(
      [credentials, referrerPolicy, keepalive, headers, method, url],
      ["include", "strict-origin", true, { accept: "application/json" }, "POST", "https://t.example.com/hit"],
    );
  },

  async "what the server lets wait goes out whole after a grant"() {
    const frame = await Frame.open({}, (frame) => {
      frame.answers = [{ held: [] }];
      frame.gtag("consent", "default", ALL("denied"));
      frame.gtag("event", "purchase", { transaction_id: "T-1", value: 5 });
      frame.gtag("event", "nobody_waits_for_this");
      frame.window.fetch = new Proxy(frame.window.fetch, {
        apply(target, that, [url, request]) {
          const { events } = JSON.parse(request.body);
          frame.answers = [{ held: [{ event_id: events[0].event_id, needs: ["ad_storage", "ad_user_data"] }] }];
          return target.call(that, url, request);
        },
      });
    });
    await frame.sent(2);
    const bare = frame.events[0];
    await frame.until(() => frame.answers.length == 0);
    frame.gtag("consent", "update", { ...ALL("denied"), ad_storage: "granted" });
    await frame.sent(3);
    await frame.settled();
    SAME(frame.events.map((event) => event.event), ["purchase", "nobody_waits_for_this", "purchase", "marker"]);
    const whole = frame.events[2];
    SAME([whole.event_time, whole.event_id, whole.value, "consent_withheld" in whole], [bare.event_time, "T-1", 5, false]);
    SAME(whole.consent_then, { ...ALL("granted"), ad_storage: "denied", ad_user_data: "denied" });
  },

  async "what was held for another type than the granted one is dropped"() {
    const frame = await Frame.open({}, (frame) => {
      frame.gtag("event", "e", { event_id: "e-1" });
      frame.answers = [{ held: [{ event_id: "e-1", needs: ["ad_storage"] }] }];
    });
    await frame.sent(1);
    frame.gtag("consent", "update", { ...ALL("granted"), ad_storage: "denied" });
    await frame.settled();
    SAME(frame.events.map((event) => event.event), ["e", "marker"]);
    SAME(frame.events[1].consent_withheld, undefined);
  },

  async "where the answer says no more than yes, the event waits all the same"() {
    const frame = await Frame.open({}, (frame) => {
      frame.gtag("event", "e", { value: 1 });
      frame.answers = [{ status: 204 }];
    });
    await frame.sent(1);
    frame.gtag("consent", "update", ALL("granted"));
    await frame.sent(2);
    SAME([frame.events[1].value, frame.events[1].consent_then], [1, ALL("denied")]);
  },

  async "a server that knows of a grant is sent the whole event"() {
    const frame = await Frame.open({}, (frame) => {
      frame.gtag("event", "e", { event_id: "e-1", value: 1 });
      frame.answers = [{ held: [{ event_id: "e-1", needs: [] }] }, { held: [{ event_id: "e-1", needs: ["ad_user_data"] }] }];
    });
    await frame.sent(2);
    SAME(await frame.sent(2), [
      { event: "e", consent_withheld: true },
      { event: "e", value: 1, consent_withheld: false },
    ]);
    // So are the events after it, at once.
    frame.gtag("event", "f", { value: 2 });
    SAME((await frame.sent(3))[2], { event: "f", value: 2 });
    frame.gtag("consent", "update", { ad_user_data: "granted" });
    await frame.sent(4);
    SAME([frame.events[3].event_id, frame.events[3].consent_then.ad_user_data], ["e-1", "denied"]);
  },

  async "what may have run on the whole event is not asked for again"() {
    const leave = async (options, prepare) => {
      const frame = await Frame.open({ sessionHold: "on", ...options }, prepare);
      if (prepare) await frame.sent(2);
      frame.push({ event: "purchase", transaction_id: "T-1", value: 5 });
      frame.dispatch(frame.window, "pagehide");
      SAME(frame.beacons.flatMap((hit) => hit.events.map((event) => event.value)), [options.isBare ? undefined : 5]);
      const stored = frame.window.sessionStorage.getItem("tidegate");
      const next = await Frame.open({ sessionHold: "on" }, ({ window }) => window.sessionStorage.setItem("tidegate", stored));
      next.gtag("consent", "update", { ...ALL("granted"), security_storage: "denied" });
      await next.sent(1);
      next.window.sessionStorage.clear();
      return next.events[0].consent_then;
    };
    // The server knew of a grant of ad_storage; of other types it may have, and goes by its defaults.
    const isAsked = (frame) => {
      frame.gtag("consent", "default", { analytics_storage: "granted" });
      frame.answers = [{ held: [{ event_id: "e-1", needs: [] }] }];
      frame.gtag("event", "e", { event_id: "e-1" });
    };
    SAME(await leave({}, isAsked), { ad_storage: "granted", analytics_storage: "granted" });
    // Here nothing was heard of it.
    SAME(await leave({ beforeConsent: "full" }), {});
    // Of a bare one nothing ran.
    SAME(await leave({ isBare: true }), ALL("denied"));
    // What others left there costs nothing. (Cases share the store, so this one is the only one that uses it.)
    for (const foreign of ["[null]", "[5]", "{}", "no JSON"]) {
      const frame = await Frame.open({ sessionHold: "on" }, ({ window }) => window.sessionStorage.setItem("tidegate", foreign));
      frame.gtag("consent", "update", ALL("granted"));
      frame.gtag("event", "e", { value: 1 });
      SAME(await frame.sent(1), [{ event: "e", value: 1 }]);
      frame.window.sessionStorage.clear();
    }
  },

  async "full sends all, wait nothing"() {
    const full = await Frame.open({ beforeConsent: "full" }, (frame) => {
      frame.gtag("consent", "default", ALL("denied"));
      frame.gtag("event", "e", { value: 1 });
    });
    SAME(await full.sent(1), [{ event: "e", value: 1 }]);
    const wait = await Frame.open({ beforeConsent: "wait" }, (frame) => frame.gtag("event", "e", { value: 1 }));
    wait.dispatch(wait.window, "pagehide");
    wait.gtag("consent", "update", ALL("granted"));
    SAME(await wait.sent(1), [{ event: "e", value: 1 }]);
    SAME(wait.beacons, []);
    const refused = await Frame.open({ beforeConsent: "wait" }, (frame) => frame.gtag("event", "e"));
    refused.gtag("consent", "update", ALL("denied"));
    refused.gtag("event", "f");
    await new Promise((done) => setTimeout(done));
    refused.gtag("consent", "update", ALL("granted"));
    await refused.settled();
    SAME(refused.events.map((event) => event.event), ["marker"]);
  },

  async "wait_for_update waits for the update"() {
    const frame = await Frame.open({}, (frame) => {
      frame.gtag("consent", "default", { ...ALL("denied"), wait_for_update: 1e9 });
      frame.gtag("event", "e", { value: 1 });
    });
    await new Promise((done) => setTimeout(done));
    SAME(frame.requests, []);
    frame.gtag("consent", "update", ALL("granted"));
    SAME(await frame.sent(1), [{ event: "e", value: 1 }]);
  },

  async "but not for ever"() {
    const frame = await Frame.open({}, (frame) => {
      frame.gtag("consent", "default", { ...ALL("denied"), wait_for_update: 1e9 });
      frame.gtag("event", "e");
    });
    SAME(await frame.sent(1), [{ event: "e", consent_withheld: true }]);
  },

  async "a TCF string goes with the events, and its answer counts"() {
    let tell;
    const frame = await Frame.open({ tcf: "on" }, (frame) => {
      frame.window.__tcfapi = (command, version, call) => {
        SAME([command, version], ["addEventListener", 2]);
        tell = call;
      };
      frame.gtag("event", "e", { event_id: "e-1" });
      frame.answers = [{ held: [{ event_id: "e-1", needs: ["ad_storage"] }] }];
    });
    const found = { gdprApplies: true, tcString: "CQA", eventStatus: "cmpuishown", purpose: { consents: {} } };
    tell(found, true);
    await frame.sent(1);
    const purposes = { 1: true, 7: true };
    tell({ ...found, tcString: "CQB", eventStatus: "useractioncomplete", purpose: { consents: purposes } }, true);
    await frame.sent(2);
    const [first] = frame.requests;
    SAME([first.hit.gdpr, first.hit.gdpr_consent, first.hit.consent_answered], [1, "CQA", undefined]);
    const last = frame.requests.pop().hit;
    SAME([last.gdpr, last.gdpr_consent, last.consent_answered, last.consent], [1, "CQB", true, {}]);
    SAME("page_title" in last.events.pop(), true);
  },

  async "Usercentrics, from the data layer and from the window"() {
    const older = await Frame.open({ usercentrics: "on" }, (frame) => {
      frame.push({ event: "consent_status", type: "implicit", ucCategory: { marketing: true } });
      frame.push({ event: "e" });
    });
    SAME((await older.sent(1)).map((event) => event.consent_withheld), [true]);
    older.push({ event: "consent_status", type: "explicit", ucCategory: { essential: true, marketing: true, functional: null } });
    await older.settled();
    const denied = { functionality_storage: "denied", personalization_storage: "denied" };
    const marketing = { ad_storage: "granted", ad_user_data: "granted", ad_personalization: "granted" };
    SAME(older.requests.pop().hit.consent, { ...marketing, ...denied });
    const details = { consent: { type: "EXPLICIT" }, categories: { marketing: { state: "SOME_ACCEPTED" }, analytics: { state: "ALL_ACCEPTED" } } };
    const latest = await Frame.open({ usercentrics: "on" });
    const event = new latest.window.CustomEvent("UC_CONSENT", { detail: details });
    latest.window.dispatchEvent(event);
    await latest.settled();
    const consent = { ad_storage: "denied", ad_user_data: "denied", ad_personalization: "denied", analytics_storage: "granted" };
    SAME(latest.requests.pop().hit.consent, consent);
    const late = await Frame.open({ usercentrics: "on" }, (frame) => {
      frame.window.__ucCmp = { getConsentDetails: async () => details };
    });
    await late.until(() => true);
    await late.settled();
    SAME(late.requests.pop().hit.consent, consent);
  },

  // Sending

  async "what comes in one tick goes in one request"() {
    const frame = await Frame.granted();
    for (let i = 0; i < 5; i++) frame.push({ event: "e" + i });
    await frame.sent(5);
    SAME(frame.requests.length, 1);
  },

  async "what may work later is tried again, with the same id"() {
    const frame = await Frame.granted();
    const again = { status: 429, headers: { "retry-after": "0.01" } };
    frame.answers = ["down", again, { ...again, status: 503 }, { ...again, status: 502 }, { ...again, status: 504 }];
    frame.push({ event: "e" });
    await frame.until(() => frame.requests.length == 6);
    SAME(new Set(frame.events.map((event) => event.event_id)).size, 1);
    await frame.settled();
    SAME(frame.requests.length, 7);
  },

  async "what will not work is not tried again"() {
    const frame = await Frame.granted();
    for (const status of [400, 403, 404, 413, 500]) {
      frame.answers = [{ status }];
      const before = frame.requests.length;
      frame.push({ event: "e" });
      await frame.until(() => frame.warnings.some((warning) => warning.includes(status)));
      SAME(frame.requests.length, before + 1);
    }
  },

  async "not for ever"() {
    const frame = await Frame.granted();
    frame.answers = Array(10).fill({ status: 503, headers: { "retry-after": "0.001" } });
    frame.push({ event: "e" });
    await frame.until(() => !frame.answers.length);
    await frame.settled();
    SAME(frame.requests.length, 11);
    SAME(frame.requests.pop().hit.events.map((event) => event.event), ["marker"]);
  },

  async "one bad event does not cost the others"() {
    const frame = await Frame.granted();
    const accepted = [];
    frame.window.fetch = async (_, request) => {
      const { events } = JSON.parse(request.body);
      const isBad = events.some((event) => event.event == "e5");
      if (!isBad) accepted.push(...events.map((event) => event.event));
      return new frame.window.Response("{}", { status: isBad ? 400 : 200 });
    };
    for (let i = 0; i < 9; i++) frame.push({ event: "e" + i });
    await frame.until(() => accepted.length == 8);
    SAME(accepted.includes("e5"), false);
  },

  async "a page that goes away leaves its events with the browser"() {
    const frame = await Frame.granted();
    frame.push({ event: "e" });
    frame.dispatch(frame.window, "pagehide");
    SAME(frame.beacons.flatMap((hit) => hit.events.map((event) => event.event)), ["e"]);
    // Other listeners may have something to say, too.
    frame.push({ event: "f" });
    SAME(frame.beacons.flatMap((hit) => hit.events.map((event) => event.event)), ["e", "f"]);
    // What the browser does not take is sent when the page is back.
    frame.takesBeacons = false;
    frame.push({ event: "g" });
    frame.dispatch(frame.window.document, "visibilitychange");
    SAME((await frame.sent(1)).map((event) => event.event), ["g"]);
  },

  async "what the browser does not take with it does not stop the rest"() {
    const frame = await Frame.granted();
    const { window } = frame;
    const taken = window.navigator.sendBeacon;
    window.navigator.sendBeacon = (url, body) => body.length < 65536 && taken(url, body);
    const text = "x".repeat(70000);
    frame.push({ event: "huge", text }, { event: "a", text: "" }, { event: "b", text }, { event: "c", text: "" });
    frame.dispatch(window, "pagehide");
    const beaconed = () => frame.beacons.flatMap((hit) => hit.events.map((event) => event.event));
    SAME(beaconed(), ["a", "c"]);
    frame.push({ event: "d" });
    SAME(beaconed(), ["a", "c", "d"]);
    frame.dispatch(window.document, "visibilitychange");
    SAME((await frame.sent(2)).map((event) => event.event), ["huge", "b"]);
  },

  async "a page in the background asks as any other"() {
    const hide = (frame) => Object.defineProperty(frame.window.document, "hidden", { value: true });
    const frame = await Frame.open({}, hide);
    frame.answers = [{ held: [{ event_id: "e-1", needs: [] }] }];
    frame.push({ event: "e", event_id: "e-1", value: 1 });
    SAME((await frame.sent(2))[1], { event: "e", value: 1, consent_withheld: false });
    SAME(frame.beacons, []);
  },
};

const runCases = async () => {
  const run = async ([name, test]) => {
    const late = new Promise((_, fail) => setTimeout(fail, 45e3, new Error("never ended")));
    return Promise.race([test(), late]).then(
      () => [],
      (error) => [`${name}: ${error.message}`],
    );
  };
  return (await Promise.all(Object.entries(CASES).map(run))).flat();
};

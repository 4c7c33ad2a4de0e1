use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{client::ga4, time::Timestamp};

fn hit(query: &str, body: &[u8]) -> Hit {
    Hit {
        path: "/g/collect".into(),
        query: query.into(),
        host: "t.example.com".into(),
        body: Bytes::copy_from_slice(body),
        ..Hit::silent(Timestamp(0))
    }
}

/// Every event of a hit, changed, and what of the hit goes on for it: the shared parameters, open ones as `?`, and the line.
fn onwards(query: &str, body: &[u8], change: impl Fn(&mut Event)) -> Vec<(String, Option<String>)> {
    let hit = hit(query, body);
    let events = ga4::read(&hit, &Uuid::nil).expect("a good hit").into_iter().map(|read| read.event);
    let of_event = |(position, mut event): (usize, Event)| {
        change(&mut event);
        let Onward { shared, line, .. } = onward(&event, &hit, position, Passing::Passed, Passing::Passed);
        let shared = shared.iter().filter_map(|shared| match shared {
            Shared::Goes(pair) => Some(&**pair),
            Shared::Open => Some("?"),
            Shared::LeftOut => None,
        });
        (shared.collect::<Vec<_>>().join("&"), line.map(Into::into))
    };
    events.enumerate().map(of_event).collect()
}

fn one(query: &str, change: impl Fn(&mut Event)) -> String {
    onwards(query, b"", change).remove(0).0
}

#[test]
fn parameters_go_on_byte_by_byte() {
    let query = "v=2&tid=G-1&en=page_view&dl=https%3a%2f%2Fshop.example%2F%3fq%3Da+b&uafvl=A%3B1%7CB%253B2&ep.a=&epn.n=007\
                 &ep.a.b=1&up.tier=gold&upn.age=5&ep.user_data.email=x%40y.example&pr1=idA~nmB%7E~C&ep.event_id=e&em=tv.1~em.x\
                 &unknown=%F0%9F&ep.event_name=other&ep.a=2";
    assert_eq!(one(query, |_| ()), query);
}

/// What a transformation did to the event is done to the hit, or costs the parameter.
#[test]
fn what_was_changed_in_the_event_does_not_go_on_as_it_came() {
    let query = "v=2&tid=G-1&en=purchase&epn.value=5&cn=spring&pr1=idX~nmC~pr5&unknown=1&em=tv.1~em.x\
                 &ep.user_data.phone_number=1";
    let left = |change: fn(&mut Event)| one(query, change);
    let put = |event: &mut Event, key: &str, value: serde_json::Value| {
        event.data.insert(key.to_owned(), value);
    };
    assert_eq!(left(|_| ()), query);
    let without = |gone: &str| query.replace(gone, "");
    assert_eq!(left(|event| event.name = "order".into()), query.replace("en=purchase", "en=order"));
    let changed = one(query, |event| put(event, "value", 2.5.into()));
    assert_eq!(changed, query.replace("epn.value=5", "epn.value=2.5"));
    assert_eq!(left(|event| drop(event.data.remove("value"))), without("&epn.value=5"));
    assert_eq!(left(|event| drop(event.data.remove("items"))), without("&pr1=idX~nmC~pr5"));
    let of_item = |event: &mut Event| {
        let items = event.data.get_mut("items").and_then(serde_json::Value::as_array_mut).expect("items");
        assert!(items[0].as_object_mut().expect("an item").remove("item_name").is_some());
    };
    assert_eq!(one(query, of_item), without("&pr1=idX~nmC~pr5"));
    assert_eq!(left(|event| drop(event.data.remove("x-ga-mp2-unknown"))), without("&unknown=1"));
    let of_user = |event: &mut Event| {
        let user = event.data.get_mut("user_data").and_then(serde_json::Value::as_object_mut).expect("user data");
        assert!(user.remove("phone_number").is_some());
    };
    assert_eq!(one(query, of_user), without("&em=tv.1~em.x&ep.user_data.phone_number=1"));
}

#[test]
fn what_only_a_tagging_server_understands_stays() {
    let query = "v=2&tid=G-1&en=a&sst.rnd=1&sst.etld=google.de&s%73t.x=1&_uip=192.0.2.1&richsstsse&ep.sst=1";
    assert_eq!(one(query, |_| ()), "v=2&tid=G-1&en=a&ep.sst=1");
    let lines = onwards("v=2&tid=G-1", b"en=a&_uip=192.0.2.1&_s=1\r\n\nsst.x=1&en=b", |_| ());
    assert_eq!(lines.iter().map(|(_, line)| line.as_deref().unwrap()).collect::<Vec<_>>(), ["en=a&_s=1", "en=b"]);
}

#[test]
fn what_was_changed_in_the_event_is_changed_in_the_hit() {
    let change = |event: &mut Event| {
        event.data.insert("page_location".to_owned(), "https://shop.example/?email=".into());
        event.data.remove("page_referrer");
        event.data.insert("link_url".to_owned(), "https://other.example/".into());
        event.data.remove("coupon");
        event.data.remove("user_properties");
        event.data.remove("client_hints");
        event.data.remove("user_data");
    };
    let query = "v=2&tid=G-1&en=click&dl=https%3A%2F%2Fshop.example%2F%3Femail%3Da%40b.example&dr=https%3A%2F%2Fa.example%2F\
                 &ep.link_url=https%3A%2F%2Fother.example%2F%3Fk%3D1&ep.coupon=x&up.tier=gold&uaa=arm&ep.user_data.email=a%40b.example&em=tv.1~em.x&sid=1";
    assert_eq!(
        one(query, change),
        "v=2&tid=G-1&en=click&dl=https%3A%2F%2Fshop.example%2F%3Femail%3D&ep.link_url=https%3A%2F%2Fother.example%2F&sid=1"
    );
}

#[test]
fn of_two_parameters_for_one_key_neither_counts_as_changed() {
    let query = "v=2&tid=G-1&en=a&dl=https%3A%2F%2Fa.example%2F&ep.page_location=https%3A%2F%2Fb.example%2F";
    assert_eq!(one(query, |_| ()), query);
}

#[test]
fn a_line_says_nothing_of_what_it_does_not_share() {
    let of = onwards("v=2&tid=G-1&dl=x", b"en=a\nen=b&dl=y", |_| ());
    assert_eq!(of[0], ("v=2&tid=G-1&dl=x".to_owned(), Some("en=a".to_owned())));
    assert_eq!(of[1], ("v=2&tid=G-1&?".to_owned(), Some("en=b&dl=y".to_owned())));
}

#[test]
fn a_line_of_which_nothing_is_left_is_an_event_all_the_same() {
    let of = onwards("v=2&tid=G-1&en=a", b"sst.x=1\n&\nep.x=1", |_| ());
    assert_eq!(of.iter().map(|(_, line)| line.as_deref().unwrap()).collect::<Vec<_>>(), ["&", "&", "ep.x=1"]);
}

#[test]
fn stray_bytes_get_their_encoding() {
    let of = onwards("v=2&tid=G-1&ep.a=#1\t&dt=\u{e4}", b"en=a&ep.x=\xff\x00 y", |_| ());
    assert_eq!(of[0], ("v=2&tid=G-1&ep.a=%231%09&dt=\u{e4}".to_owned(), Some("en=a&ep.x=%FF%00%20y".to_owned())));
}

proptest! {
    /// Whatever goes on reads as the same event, and where nothing of ours was in the hit, it is the hit.
    #[test]
    fn any_hit_that_is_read_goes_on_as_it_came(
        query in "(&?(ep\\.[a-c.]{1,4}|epn\\.[ab]|up\\.[ab]|dl|dt|cu|uid|pr1|sst\\.a|x)=[a-c0-9%~.+]{0,5}){0,8}",
        line in "(&?(ep\\.[a-c.]{1,4}|epn\\.[ab]|up\\.[ab]|dl|dt|cu|uid|pr1|x)=[a-c0-9%~.+]{0,5}){0,8}",
    ) {
        let query = format!("v=2&tid=G-1&en=e&{query}");
        let hit = hit(&query, line.as_bytes());
        for (position, read) in ga4::read(&hit, &Uuid::nil).expect("a good hit").into_iter().enumerate() {
            let on = onward(&read.event, &hit, position, Passing::Passed, Passing::Passed);
            let whole = |raw: &str| {
                let pairs = raw.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("sst."));
                pairs.map(str::to_owned).collect::<Vec<_>>()
            };
            if let Some(own) = &on.line {
                prop_assert_eq!(whole(own), whole(&line));
            }
            let shared = on.shared.iter().filter(|shared| **shared != Shared::LeftOut).count();
            prop_assert_eq!(shared, whole(&query).len());
        }
    }
}

fn without_persons(query: &str) -> (String, usize) {
    let hit = hit(query, b"");
    let event = ga4::read(&hit, &Uuid::nil).expect("a good hit").remove(0).event;
    let Onward { shared, withheld, .. } = onward(&event, &hit, 0, Passing::Passed, Passing::Withheld);
    let goes = |shared: &Shared| if let Shared::Goes(pair) = shared { Some(pair.to_string()) } else { None };
    (shared.iter().filter_map(goes).collect::<Vec<_>>().join("&"), withheld)
}

#[test]
fn a_hit_about_nobody_goes_on_byte_by_byte() {
    let query = "v=2&tid=G-1&gtm=45je4840v9129512345z8917001234za200zb91700&_p=1&gcs=G111&gcd=13r3r3p2r5l1&npa=1&dma=1\
                 &tag_exp=101509157~103116026&cid=1.2&sid=3&uid=7&ul=de&sr=1920x1080&uaa=x86&uafvl=A%3B1.2.3.4&uapv=10.0.0.1\
                 &pscdl=noapi&_s=2&dl=https%3a%2f%2fshop.example%2F%3fq%3Da+b&dt=Tea+%26+more&en=purchase&epn.value=5&ep.shipping=4\
                 &pr1=idA~nmB%7E~C~k0colour~v0red&ur=DE-BE&cn=spring&_et=5&gdpr_consent=CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA";
    assert_eq!(without_persons(query), (query.to_owned(), 0));
}

#[test]
fn what_is_about_a_person_is_counted_where_it_is_withheld() {
    let query = "v=2&tid=G-1&en=a&=ada%40example.com&ada%40example.com=1&pr300=k0email~v0x&pr1=k0email~v0x&cid=ada%40example.com\
                 &uid=b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72&ep.event_id=ada%40example.com&cn=+49151123456";
    assert_eq!(without_persons(query), ("v=2&tid=G-1&en=a&cn=+49151123456".to_owned(), 7));
    assert_eq!(without_persons("v=2&tid=G-1&en=a&cn=%2B49151123456"), ("v=2&tid=G-1&en=a".to_owned(), 1));
}

proptest! {
    #[test]
    fn no_email_goes_on_wherever_it_stands(
        name in "(ep\\.|epn\\.|up\\.|upn\\.)?[a-z_]{1,6}|dl|dr|dt|pr1|pr300|uid|cid|ul|gtm|uafvl|sid",
        around in "[ ,;:<>/?&=#\"{}()~]{0,4}",
    ) {
        let value: String = form_urlencoded::byte_serialize(format!("{around}ada@example.com{around}").as_bytes()).collect();
        let (on, _) = without_persons(&format!("v=2&tid=G-1&{name}={value}&en=a"));
        prop_assert!(!on.contains("example.com"), "{on}");
    }
}

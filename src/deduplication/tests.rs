use uuid::Uuid;

use super::*;
use crate::call::{SecretName, UserSchema};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn account(pixel: &str, validate_only: bool) -> Arc<Account> {
    let (key, schema) = (SecretName("key".into()), UserSchema::Lists);
    Arc::new(Account::OpenAi { pixel_id: pixel.into(), key, validate_only, schema })
}

fn call(id: &str) -> Call {
    Call {
        tag: "Purchase".into(),
        account: account("px", false),
        event: CallEvent { id: id.into(), name: "order_created".into(), time: NOW },
        body: "{}".into(),
    }
}

fn recent() -> RecentCalls {
    RecentCalls::new(1 << 20, [RandomState::new(), RandomState::new()])
}

/// One hit with one event: which of its calls are new, and what becomes of the others. Its calls become durable.
fn take(recent: &RecentCalls, calls: Vec<Call>, now: Timestamp) -> (usize, Vec<Original>) {
    let (new, suppressed, keys) = look(recent, calls, IdOrigin::Site, now);
    recent.remember(&keys, now);
    (new, suppressed)
}

/// The same where they do not.
fn look(
    recent: &RecentCalls,
    calls: Vec<Call>,
    origin: IdOrigin,
    now: Timestamp,
) -> (usize, Vec<Original>, BTreeSet<CallKey>) {
    let mut sieve = Sieve::new(Some(recent), now);
    let mut new = Vec::new();
    let suppressed = sieve.sift(calls, origin, &mut new);
    assert!(suppressed.iter().all(|call| call.destination == "openai"));
    (new.len(), suppressed.into_iter().map(|call| call.original).collect(), sieve.into_keys())
}

#[test]
fn a_call_suppresses_its_copies_for_ten_minutes() {
    let recent = recent();
    assert_eq!(take(&recent, vec![call("a")], NOW), (1, vec![]));
    for (later, ago) in [(0, Some(0)), (12_345, Some(12_345)), (599_999, Some(599_999)), (600_000, None)] {
        let (new, suppressed, _) =
            look(&recent, vec![call("a")], IdOrigin::Transaction, NOW.plus(Duration::from_millis(later)));
        let expected: Vec<_> =
            ago.map(|ago| Original::Accepted { ago: Duration::from_millis(ago) }).into_iter().collect();
        assert_eq!((new, suppressed), (usize::from(ago.is_none()), expected), "after {later} ms");
    }
}

#[test]
fn a_clock_that_was_set_back_by_far_suppresses_nothing() {
    let recent = recent();
    take(&recent, vec![call("a")], NOW);
    let before = |span| look(&recent, vec![call("a")], IdOrigin::Site, NOW.minus(span)).0;
    assert_eq!(before(Duration::from_millis(3)), 0, "hits side by side");
    assert_eq!(before(Duration::from_hours(1)), 1);
}

#[test]
fn what_differs_in_anything_but_the_body_is_no_copy() {
    let recent = recent();
    take(&recent, vec![call("a")], NOW);
    let other: [fn(&mut Call); 5] = [
        |call| call.tag = "Another".into(),
        |call| call.account = account("another", false),
        |call| call.event.name = "lead_created".into(),
        |call| call.event.id = "b".into(),
        |call| (call.event.name, call.event.id) = ("order_".into(), "createda".into()),
    ];
    for (nth, change) in other.into_iter().enumerate() {
        let mut changed = call("a");
        change(&mut changed);
        assert_eq!(look(&recent, vec![changed], IdOrigin::Site, NOW).0, 1, "change {nth}");
    }
    let mut same = call("a");
    (same.body, same.event.time) = ("{\"other\":1}".into(), Timestamp(7));
    assert_eq!(look(&recent, vec![same], IdOrigin::Site, NOW).0, 0);
}

#[test]
fn calls_of_one_tag_that_are_alike_are_told_apart_by_their_order() {
    let recent = recent();
    assert_eq!(take(&recent, vec![call("a"), call("b"), call("a")], NOW), (3, vec![]));
    let again = Original::Accepted { ago: Duration::ZERO };
    // A fourth one is new, wherever it stands.
    assert_eq!(take(&recent, vec![call("a"), call("a"), call("a"), call("b")], NOW), (1, vec![again; 3]));
}

#[test]
fn ids_that_were_made_here_and_accounts_that_only_validate_suppress_nothing() {
    let recent = recent();
    let mut validated = call("a");
    validated.account = account("px", true);
    for (call, origin) in
        [(call("a"), IdOrigin::Generated), (call("a"), IdOrigin::Derived), (validated, IdOrigin::Site)]
    {
        let (new, _, keys) = look(&recent, vec![call], origin, NOW);
        assert_eq!((new, keys.len()), (1, 0));
    }
    let everything = Sieve::new(None, NOW).sift(vec![call("a"), call("a")], IdOrigin::Site, &mut Vec::new());
    assert_eq!(everything, []);
}

#[test]
fn a_call_that_did_not_become_durable_suppresses_nothing_in_other_hits() {
    let recent = recent();
    assert_eq!(look(&recent, vec![call("a")], IdOrigin::Site, NOW).0, 1);
    assert_eq!(look(&recent, vec![call("a")], IdOrigin::Site, NOW).0, 1);
}

#[test]
fn events_of_one_hit_suppress_each_other() {
    let recent = recent();
    let mut sieve = Sieve::new(Some(&recent), NOW);
    let mut new = Vec::new();
    assert_eq!(sieve.sift(vec![call("a")], IdOrigin::Site, &mut new), []);
    let copy = SuppressedCall { destination: "openai", original: Original::SameHit };
    assert_eq!(sieve.sift(vec![call("a"), call("b")], IdOrigin::Site, &mut new), [copy]);
    assert_eq!((new.len(), sieve.into_keys().len()), (2, 2));
}

#[test]
fn there_is_room_for_so_many_and_the_oldest_go_first() {
    let recent = RecentCalls::new(64 << 10, [RandomState::new(), RandomState::new()]);
    // Half of it is certain; a shard that has just begun its younger generation has forgotten the rest.
    let room = recent.room * SHARDS;
    assert!((400..1_000).contains(&room), "{room}");
    let known = |nth: usize, now| look(&recent, vec![call(&nth.to_string())], IdOrigin::Site, now).0 == 0;
    let at = |nth: usize| NOW.plus(Duration::from_millis(nth as u64));
    for nth in 0..5 * room {
        take(&recent, vec![call(&nth.to_string())], at(nth));
    }
    let now = at(5 * room);
    let remembered: Vec<bool> = (0..5 * room).map(|nth| known(nth, now)).collect();
    let count = remembered.iter().filter(|known| **known).count();
    assert!((room..=2 * room).contains(&count), "{count} of {room}");
    // Shards fill unevenly, each in its own order.
    assert!(remembered[..2 * room].iter().all(|known| !known));
    assert!(remembered[5 * room - room / 2..].iter().all(|known| *known));
    assert!(bytes(&recent) <= 64 << 10);
}

/// What the maps take. They keep an eighth of their buckets empty.
fn bytes(recent: &RecentCalls) -> usize {
    let buckets = |generation: &Generation| generation.accepted.capacity() / 7 * 8;
    let of_shard = |shard: &Mutex<Shard>| {
        let shard = shard.lock().unwrap();
        (buckets(&shard.younger) + buckets(&shard.elder)) * (size_of::<(CallKey, Timestamp)>() + 1)
    };
    recent.shards.iter().map(of_shard).sum()
}

#[test]
fn what_is_old_takes_no_memory() {
    let recent = recent();
    assert_eq!(bytes(&recent), 0);
    for nth in 0..5_000 {
        take(&recent, vec![call(&nth.to_string())], NOW);
    }
    let at_work = bytes(&recent);
    for minutes in [10, 20] {
        for nth in 0..200 {
            take(&recent, vec![call(&nth.to_string())], NOW.plus(Duration::from_mins(minutes)));
        }
    }
    assert!(bytes(&recent) < at_work / 5, "{} of {at_work}", bytes(&recent));
}

#[test]
fn of_two_copies_that_went_the_later_one_counts() {
    let recent = recent();
    let (_, _, first) = look(&recent, vec![call("a")], IdOrigin::Site, NOW);
    recent.remember(&first, NOW);
    recent.remember(&first, NOW.plus(Duration::from_mins(5)));
    // Another in the same shard, which begins its next generation.
    let CallKey([shard, _]) = *first.first().unwrap();
    recent.remember(&BTreeSet::from([CallKey([shard, 0])]), NOW.plus(WINDOW));
    assert_eq!(look(&recent, vec![call("a")], IdOrigin::Site, NOW.plus(Duration::from_mins(14))).0, 0);
}

fn past(hit: u128, call: Call, accepted: Timestamp) -> PastCall {
    PastCall { hit: HitId(Uuid::from_u128(hit)), tag: call.tag, account: call.account, event: call.event, accepted }
}

#[test]
fn past_calls_suppress_copies_after_a_restart() {
    let shared = Arc::new(recent());
    let mut restoring = Restoring::new(Arc::clone(&shared));
    let mut validated = call("v");
    validated.account = account("px", true);
    for call in [call("a"), call("b"), call("a"), validated.clone()] {
        restoring.see(&past(1, call, NOW));
    }
    // The same call in another hit is not a second call of one tag.
    restoring.see(&past(2, call("c"), NOW));
    restoring.see(&past(3, call("c"), NOW.plus(Duration::from_secs(1))));
    let later = NOW.plus(Duration::from_secs(5));
    let ago = |seconds| Original::Accepted { ago: Duration::from_secs(seconds) };
    let again = vec![call("a"), call("a"), call("a"), call("b")];
    assert_eq!(take(&shared, again, later), (1, vec![ago(5), ago(5), ago(5)]));
    assert_eq!(take(&shared, vec![call("c"), call("c")], later), (1, vec![ago(4)]));
    assert_eq!(take(&shared, vec![validated], later), (1, vec![]));
}

//! Lists, single calls, replay and discard: what people ask for, well or badly meant.

use super::*;

fn query(state: CallState) -> ListQuery {
    ListQuery { state, filter: CallFilter::default(), after: None, limit: 100 }
}

fn listed(page: &Page) -> Vec<CallId> {
    page.calls.iter().map(|call| call.id).collect()
}

/// An outbox with this many dead letters, and their ids.
async fn with_dead(dir: &TempDir, account: &Arc<Account>, count: usize) -> (Embedded, Vec<CallId>) {
    let outbox = open(dir);
    outbox.accept(hit(account, &vec!["{}"; count])).await.unwrap();
    let calls = lease(&outbox, account, ALL).await;
    settle(&outbox, &calls, Settlement::Dead(death())).await;
    (outbox, ids(&calls))
}

#[tokio::test]
async fn a_dead_letter_is_kept_with_its_death() {
    let dir = TempDir::new().unwrap();
    let account = account("p1");
    let (outbox, ids) = with_dead(&dir, &account, 2).await;
    assert_eq!(state(&outbox, &account), (0, 2, None));
    assert!(lease(&outbox, &account, 10).await.is_empty());

    let page = outbox.list(&query(CallState::Dead)).await.unwrap();
    assert_eq!((listed(&page), page.next), (ids.clone(), None));
    let listed = &page.calls[0];
    assert_eq!((&listed.death, &listed.body), (&Some(death()), &None));
    assert!(outbox.list(&query(CallState::Pending)).await.unwrap().calls.is_empty());

    let dir = killed(&dir);
    let outbox = open(&dir);
    assert_eq!(state(&outbox, &account), (0, 2, None));
    let shown = outbox.show(ids[1]).await.unwrap().unwrap();
    assert_eq!((shown.body.as_deref(), shown.death, &shown.account), (Some("{}"), Some(death()), &*account));
    assert_eq!((&*shown.tag, &*shown.version, shown.accepted), ("purchase", "c0ffee", NOW));
    assert_eq!((shown.event, shown.hit), (call(&account, "").event, HitId(Uuid::from_u128(7))));
}

#[tokio::test]
async fn every_kind_of_death_is_read_back() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let account = account("p1");
    for reason in [DeathReason::Refused, DeathReason::TooOld, DeathReason::TooLarge] {
        outbox.accept(hit(&account, &["1"])).await.unwrap();
        let calls = lease(&outbox, &account, 1).await;
        let death = Death { reason, status: None, words: String::new(), at: NOW };
        settle(&outbox, &calls, Settlement::Dead(death.clone())).await;
        assert_eq!(outbox.show(calls[0].id).await.unwrap().unwrap().death, Some(death));
    }
}

#[tokio::test]
async fn pages_are_stable_while_calls_come_and_go() {
    let dir = TempDir::new().unwrap();
    let account = account("p1");
    let (outbox, dead) = with_dead(&dir, &account, 6).await;
    let mut asked = ListQuery { limit: 2, ..query(CallState::Dead) };
    let first = outbox.list(&asked).await.unwrap();
    assert_eq!(listed(&first), dead[..2]);

    assert_eq!(outbox.discard(&[dead[1], dead[2]]).await.unwrap(), 2);
    outbox.accept(hit(&account, &["new"])).await.unwrap();
    let more = lease(&outbox, &account, 1).await;
    settle(&outbox, &more, Settlement::Dead(death())).await;

    let mut seen = Vec::new();
    asked.after = first.next;
    while asked.after.is_some() {
        let page = outbox.list(&asked).await.unwrap();
        seen.extend(listed(&page));
        asked.after = page.next;
    }
    assert_eq!(seen, [dead[3], dead[4], dead[5], more[0].id]);
}

#[tokio::test]
async fn a_list_can_be_of_one_account() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let (one, two) = (account("p1"), account("p2"));
    for _ in 0..3 {
        outbox.accept(record(vec![call(&one, "1"), call(&two, "2")])).await.unwrap();
    }
    let mut asked = ListQuery {
        filter: CallFilter { account: Some(two.to_string()), ..CallFilter::default() },
        limit: 2,
        ..query(CallState::Pending)
    };
    let page = outbox.list(&asked).await.unwrap();
    assert!(page.calls.len() == 2 && page.calls.iter().all(|call| call.account == *two));
    asked.after = page.next;
    let page = outbox.list(&asked).await.unwrap();
    assert_eq!((page.calls.len(), page.next), (1, None));
    asked = ListQuery {
        filter: CallFilter { account: Some("' OR 1=1 --".into()), ..CallFilter::default() },
        after: None,
        ..asked
    };
    assert!(outbox.list(&asked).await.unwrap().calls.is_empty());
}

#[tokio::test]
async fn a_list_can_be_of_one_tag_and_of_a_time() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let account = account("p1");
    for (seconds, tag) in [(0, "purchase"), (1, "lead"), (2, "purchase"), (3, "purchase")] {
        let of_tag = crate::call::Call { tag: tag.into(), ..call(&account, "1") };
        let accepted = Timestamp(NOW.0 + seconds * 1_000);
        outbox.accept(Record { accepted, ..record(vec![of_tag]) }).await.unwrap();
    }
    let at = |seconds: i64| Some(Timestamp(NOW.0 + seconds * 1_000));
    for (tag, since, until, found) in [
        (Some("purchase"), None, None, vec![0, 2, 3]),
        (None, at(1), None, vec![1, 2, 3]),
        (None, None, at(2), vec![0, 1]),
        (Some("purchase"), at(1), at(3), vec![2]),
        (Some("purchas"), None, None, vec![]),
    ] {
        let filter = CallFilter { account: None, tag: tag.map(Into::into), since, until };
        let page = outbox.list(&ListQuery { filter, ..query(CallState::Pending) }).await.unwrap();
        let seconds = page.calls.iter().map(|call| (call.accepted.0 - NOW.0) / 1_000).collect::<Vec<_>>();
        assert_eq!(seconds, found, "{tag:?} {since:?} {until:?}");
    }
}

#[tokio::test]
async fn hostile_cursors_limits_and_ids_do_no_harm() {
    let dir = TempDir::new().unwrap();
    let account = account("p1");
    let (outbox, dead) = with_dead(&dir, &account, 1_200).await;
    for text in ["", "d", "d-1", "p0", "dx", "d 1", "d99999999999999999999", "\u{0}", "d1; DROP TABLE calls"] {
        let asked = ListQuery { after: Some(Cursor(text.into())), ..query(CallState::Dead) };
        let error = outbox.list(&asked).await.expect_err(text).to_string();
        assert!(error.contains("is not a place in this list"), "{error}");
    }
    let page = outbox.list(&ListQuery { limit: usize::MAX, ..query(CallState::Dead) }).await.unwrap();
    assert_eq!(listed(&page), dead[..1_000]);
    let none = outbox.list(&ListQuery { limit: 0, ..query(CallState::Dead) }).await.unwrap();
    assert!(none.calls.is_empty() && none.next.is_some(), "nothing was asked for, and there is more");

    let hostile = [CallId(0), CallId(u64::MAX), CallId(1 << 63), CallId(i64::MAX.unsigned_abs())];
    for id in hostile {
        assert!(outbox.show(id).await.unwrap().is_none());
    }
    assert_eq!(outbox.replay(&hostile).await.unwrap(), 0);
    assert_eq!(outbox.discard(&hostile).await.unwrap(), 0);
    assert_eq!(state(&outbox, &account), (0, 1_200, None));
}

#[tokio::test]
async fn a_replayed_call_is_due_at_once_with_all_its_attempts_before_it() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let account = account("p1");
    outbox.accept(hit(&account, &["1", "2"])).await.unwrap();
    let calls = lease(&outbox, &account, 1).await;
    settle(&outbox, &calls, Settlement::Retry { at: NOW }).await;
    let calls = lease(&outbox, &account, 1).await;
    assert_eq!(calls[0].attempts, 1);
    settle(&outbox, &calls, Settlement::Dead(death())).await;
    assert_eq!(outbox.show(calls[0].id).await.unwrap().unwrap().attempts, 1);

    let id = calls[0].id;
    assert_eq!(outbox.replay(&[id, id, CallId(id.0 + 1)]).await.unwrap(), 1, "the other one is not dead");
    assert_eq!(state(&outbox, &account), (2, 0, Some(NOW)));
    let again = lease(&outbox, &account, 10).await;
    assert_eq!((bodies(&again), again[0].id, again[0].attempts), (vec!["1", "2"], id, 0));
    assert_eq!(again[0].event, call(&account, "").event, "the event keeps its time");
}

#[tokio::test]
async fn replayed_calls_that_lie_among_unread_ones_come_once_and_in_order() {
    let dir = TempDir::new().unwrap();
    let account = account("p1");
    let outbox = open(&dir);
    outbox.accept(hit(&account, &["1", "2", "3", "4", "5"])).await.unwrap();
    let calls = lease(&outbox, &account, 10).await;
    for dead in [0, 2, 4] {
        settle(&outbox, &calls[dead..=dead], Settlement::Dead(death())).await;
    }
    let dir = killed(&dir);
    let outbox = open(&dir);
    assert_eq!(outbox.replay(&ids(&calls)).await.unwrap(), 3);
    assert_eq!(state(&outbox, &account), (5, 0, Some(NOW)));
    assert_eq!(bodies(&lease(&outbox, &account, 10).await), ["1", "2", "3", "4", "5"]);
    settle(&outbox, &calls, Settlement::Delivered).await;
    assert!(lease(&outbox, &account, 10).await.is_empty());
    assert_eq!(state(&outbox, &account), (0, 0, None));
    assert_eq!(outbox.shared.queues().resident(), 0);
}

#[tokio::test]
async fn discarding_takes_calls_from_everywhere_but_a_lease() {
    let dir = TempDir::new().unwrap();
    let account = account("p1");
    let outbox = open_with(&dir, Options { read_ahead_bytes: 1_500, ..Options::default() });
    for _ in 0..20 {
        outbox.accept(hit(&account, &["1"])).await.unwrap();
    }
    let leased = lease(&outbox, &account, 4).await;
    settle(&outbox, &leased[..1], Settlement::Dead(death())).await;
    settle(&outbox, &leased[1..2], Settlement::PutBack).await;
    settle(&outbox, &leased[2..3], Settlement::Retry { at: NOW.plus(Duration::from_secs(9)) }).await;

    let all: Vec<_> = (leased[0].id.0..leased[0].id.0 + 20).map(CallId).collect();
    assert_eq!(outbox.discard(&all[10..12]).await.unwrap(), 2, "from the middle of the tail");
    assert_eq!(outbox.discard(&all).await.unwrap(), 17);
    assert_eq!(state(&outbox, &account), (1, 0, Some(NOW)));
    assert!(outbox.lease(&account, 10, ALL, NOW.plus(Duration::from_secs(99))).await.unwrap().is_empty());
    settle(&outbox, &leased[3..], Settlement::Delivered).await;
    assert_eq!(count(&dir, "SELECT (SELECT count(*) FROM calls) + (SELECT count(*) FROM dead_letters)"), 0);
    assert_eq!(outbox.shared.queues().resident(), 0);
}

#[tokio::test]
async fn old_dead_letters_lose_their_bodies_and_cannot_be_replayed() {
    let dir = TempDir::new().unwrap();
    let account = account("p1");
    let clock = Arc::new(AtomicI64::new(NOW.0));
    let hands = Arc::clone(&clock);
    let options = Options { clock: Arc::new(move || Timestamp(hands.load(Ordering::Relaxed))), ..Options::default() };
    let outbox = open_with(&dir, options);
    let mut young = call(&account, "young");
    young.event.time = NOW.plus(Duration::from_hours(1));
    outbox.accept(record(vec![call(&account, "old"), young])).await.unwrap();
    let calls = lease(&outbox, &account, 10).await;
    settle(&outbox, &calls, Settlement::Dead(death())).await;
    let body = async |call: &Leased| outbox.show(call.id).await.unwrap().unwrap().body;

    clock.store(NOW.0 + Duration::from_hours(7 * 24 - 1).as_millis() as i64, Ordering::Relaxed);
    outbox.accept(hit(&account, &["1"])).await.unwrap();
    assert_eq!(body(&calls[0]).await.as_deref(), Some("old"), "not yet a week");
    clock.store(NOW.0 + Duration::from_hours(7 * 24).as_millis() as i64, Ordering::Relaxed);
    // The chores come before the group, so its answer says that they are done.
    outbox.accept(hit(&account, &["1"])).await.unwrap();
    assert_eq!(body(&calls[0]).await, None);
    assert_eq!(body(&calls[1]).await.as_deref(), Some("young"));
    assert_eq!(outbox.replay(&ids(&calls)).await.unwrap(), 1);
    assert_eq!(outbox.show(calls[0].id).await.unwrap().unwrap().death, Some(death()), "the rest stays");
    assert_eq!(state(&outbox, &account).1, 1);
}

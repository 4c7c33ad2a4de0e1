//! What was accepted lately.

use super::*;
use crate::deduplication::PastCall;

async fn seen(outbox: &Embedded, since: Timestamp) -> Vec<PastCall> {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    outbox.accepted_since(since, Box::new(move |past| sink.lock().unwrap().push(past))).await.unwrap();
    let seen = seen.lock().unwrap();
    seen.clone()
}

#[tokio::test]
async fn pending_and_dead_calls_are_shown_from_a_time_on_in_their_order() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let (one, two) = (account("p1"), account("p2"));
    let at = |minute: u64| NOW.plus(Duration::from_mins(minute));
    for minute in 0..6 {
        let account = if minute % 2 == 0 { &one } else { &two };
        outbox.accept(record_at(at(minute), vec![call(account, "{}")])).await.unwrap();
    }
    let calls = outbox.lease(&one, 2, ALL, NOW).await.unwrap();
    settle(&outbox, &calls[..1], Settlement::Delivered).await;
    settle(&outbox, &calls[1..], Settlement::Dead(death())).await;

    let times = |seen: &[PastCall]| seen.iter().map(|past| past.accepted).collect::<Vec<_>>();
    let all = seen(&outbox, NOW).await;
    assert_eq!(times(&all), [at(1), at(2), at(3), at(4), at(5)]);
    assert_eq!((&all[0].account, &all[1].account), (&two, &one));
    assert_eq!((&*all[1].tag, &all[1].event, all[1].hit), ("purchase", &calls[1].event, calls[1].hit));
    assert_eq!(times(&seen(&outbox, at(3)).await), [at(3), at(4), at(5)]);
    assert!(seen(&outbox, at(6)).await.is_empty());

    drop(outbox);
    assert_eq!(times(&seen(&open(&dir), at(2)).await), [at(2), at(3), at(4), at(5)]);
}

//! Forgetting: everywhere, for good, from the files too, and at a bounded cost.

use super::*;
use crate::outbox::{Forgotten, StoreError, sought::Sought};

const ADA: &str = "ada@example.com";
const CLICK: &str = "gAAAABclickOfAda";

fn ada() -> Sought {
    Sought::email(ADA).unwrap()
}

/// A body of about this size with what is to be forgotten in its midst.
fn of_ada(size: usize) -> String {
    let filler = "x".repeat(size / 2);
    format!(r#"{{"a":"{filler}","mail":"{ADA}","oppref":"{CLICK}","z":"{filler}"}}"#)
}

fn of_bob(size: usize) -> String {
    format!(r#"{{"a":"{}","mail":"bob@example.com"}}"#, "y".repeat(size))
}

/// Whether a text stands in any file of a folder.
fn is_on_disk(dir: &TempDir, text: &str) -> bool {
    let files = fs::read_dir(dir.path()).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    files.into_iter().any(|bytes| memchr::memmem::find(&bytes, text.as_bytes()).is_some())
}

#[tokio::test]
async fn calls_are_forgotten_wherever_they_are() {
    let dir = TempDir::new().unwrap();
    let account = account("p1");
    let outbox = open_with(&dir, Options { read_ahead_bytes: 3_000, ..Options::default() });
    for nth in 0..20 {
        let body = if nth % 2 == 0 { of_ada(0) } else { of_bob(0) };
        outbox.accept(hit(&account, &[&body])).await.unwrap();
    }
    let later = NOW.plus(Duration::from_secs(9));
    let leased = lease(&outbox, &account, 8).await;
    settle(&outbox, &leased[..2], Settlement::Dead(death())).await;
    settle(&outbox, &leased[2..4], Settlement::PutBack).await;
    settle(&outbox, &leased[4..6], Settlement::Retry { at: later }).await;

    let forgotten = outbox.forget(&ada()).await.unwrap();
    assert_eq!(forgotten, Forgotten { pending: 8, dead: 1, in_flight: 1 });
    assert_eq!(outbox.forget(&ada()).await.unwrap(), Forgotten::default());
    // What was being sent is not sent again, whatever came of it.
    settle(&outbox, &leased[6..], Settlement::Retry { at: NOW }).await;
    let left = outbox.lease(&account, 100, ALL, later).await.unwrap();
    assert_eq!(bodies(&left), vec![of_bob(0); 9]);
    settle(&outbox, &left, Settlement::Delivered).await;
    assert_eq!(state(&outbox, &account), (0, 1, None));
    assert_eq!(outbox.shared.queues().resident(), 0);
}

#[tokio::test]
async fn a_forgotten_call_that_was_being_sent_stays_forgotten_after_a_crash() {
    for end in [Settlement::Delivered, Settlement::PutBack, Settlement::Retry { at: NOW }, Settlement::Dead(death())] {
        let dir = TempDir::new().unwrap();
        let account = account("p1");
        let outbox = open(&dir);
        outbox.accept(hit(&account, &[&of_ada(0)])).await.unwrap();
        let leased = lease(&outbox, &account, 1).await;
        assert_eq!(outbox.forget(&ada()).await.unwrap().in_flight, 1);
        assert!(open(&killed(&dir)).accounts().is_empty());
        settle(&outbox, &leased, end.clone()).await;
        assert_eq!(state(&outbox, &account), (0, 0, None), "{end:?}");
        assert!(lease(&outbox, &account, 1).await.is_empty());
        assert_eq!(outbox.replay(&ids(&leased)).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn only_what_was_accepted_before_is_forgotten() {
    let dir = TempDir::new().unwrap();
    let account = account("p1");
    let outbox = open(&dir);
    // Not awaited yet: queued, and so accepted before.
    let accepting: Vec<_> = (0..50).map(|_| outbox.accept(hit(&account, &[&of_ada(0)]))).collect();
    let (accepted, forgotten) = tokio::join!(join_all(accepting), async { outbox.forget(&ada()).await.unwrap() });
    assert!(accepted.iter().all(Result::is_ok));
    assert_eq!(forgotten, Forgotten { pending: 50, ..Forgotten::default() });
    outbox.accept(hit(&account, &[&of_ada(0)])).await.unwrap();
    assert_eq!(state(&outbox, &account).0, 1);
}

#[tokio::test]
async fn what_was_forgotten_delivered_or_discarded_leaves_the_files() {
    let dir = TempDir::new().unwrap();
    let account = account("p1");
    let outbox = open(&dir);
    // Bodies that share pages, fill them, and overflow them.
    let sizes = [0, 100, 1_000, 3_000, 7_000, 8_000, 20_000, 70_000];
    for round in 0..40 {
        let size = sizes[round % sizes.len()];
        outbox.accept(hit(&account, &[&of_ada(size), &of_bob(size), &of_bob(size / 3)])).await.unwrap();
    }
    let calls = lease(&outbox, &account, 60).await;
    settle(&outbox, &calls[..20], Settlement::Delivered).await;
    settle(&outbox, &calls[20..40], Settlement::Dead(death())).await;
    settle(&outbox, &calls[40..50], Settlement::Retry { at: NOW }).await;
    settle(&outbox, &calls[50..55], Settlement::PutBack).await;
    outbox.replay(&ids(&calls[20..25])).await.unwrap();
    outbox.discard(&ids(&calls[25..30])).await.unwrap();
    assert!(is_on_disk(&dir, ADA), "in the log, if nowhere else");

    let forgotten = outbox.forget(&ada()).await.unwrap();
    assert!(forgotten.pending > 20 && forgotten.dead > 2 && forgotten.in_flight > 0, "{forgotten:?}");
    outbox.scrub().await.unwrap();
    assert!(!is_on_disk(&dir, ADA) && !is_on_disk(&dir, CLICK));
    assert!(is_on_disk(&dir, "bob@example.com"));
    assert_eq!(count(&dir, "SELECT count(*) FROM calls WHERE body LIKE '%ada@%'"), 0);
    assert_eq!(sqlite(&dir).query_row("PRAGMA integrity_check", [], |row| row.get(0)), Ok("ok".to_owned()));

    outbox.forget(&Sought::email("bob@example.com").unwrap()).await.unwrap();
    outbox.scrub().await.unwrap();
    assert!(!is_on_disk(&dir, "bob@example.com"));
    outbox.close().await;
    assert!(!is_on_disk(&dir, ADA));
}

#[tokio::test]
async fn scrubbing_goes_on_while_hits_come_and_waits_for_readers() {
    let dir = TempDir::new().unwrap();
    let account = account("p1");
    let outbox = Arc::new(open(&dir));
    let body = of_ada(70_000);
    for _ in 0..200 {
        outbox.accept(hit(&account, &[&body])).await.unwrap();
    }
    assert_eq!(outbox.forget(&ada()).await.unwrap().pending, 200);
    assert!(count(&dir, "PRAGMA freelist_count") > 1_200, "more than one step gives back");
    let reader = sqlite(&dir);
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM calls", [], |row| row.get::<_, i64>(0)).unwrap();
    let scrubbing = tokio::spawn({
        let outbox = Arc::clone(&outbox);
        async move { outbox.scrub().await }
    });
    outbox.accept(hit(&account, &[&of_bob(0)])).await.unwrap();
    drop(reader);
    soon(scrubbing).await.unwrap().unwrap();
    assert!(!is_on_disk(&dir, ADA));
    assert_eq!(state(&outbox, &account).0, 1);
}

#[tokio::test]
async fn many_wishes_are_served_by_one_pass_and_no_more_wait_than_there_is_room_for() {
    let dir = TempDir::new().unwrap();
    let account = account("p1");
    let outbox = open(&dir);
    for nth in 0..100 {
        outbox.accept(hit(&account, &[&format!(r#"{{"oppref":"click-{nth}"}}"#)])).await.unwrap();
    }
    let turn = outbox.shared.passes.turn.lock().await;
    let wishes: Vec<_> = (0..100).map(|nth| Sought::oppref(&format!("click-{nth}")).unwrap()).collect();
    let mut asked: Vec<_> = wishes.iter().map(|sought| outbox.forget(sought)).collect();
    // Each is asked for by its first poll.
    for wish in &mut asked {
        assert!(wish.now_or_never().is_none());
    }
    let large = Sought::oppref(&"x".repeat(1 << 20)).unwrap();
    let turned_away = outbox.forget(&large).now_or_never().expect("at once");
    assert!(turned_away.is_err_and(|StoreError(error)| error.to_string().contains("too many wait")));
    drop(turn);
    let counts = soon(join_all(asked)).await;
    assert!(counts.iter().all(|count| count.as_ref().is_ok_and(|count| count.pending == 1)));
    assert_eq!(state(&outbox, &account).0, 0);
}

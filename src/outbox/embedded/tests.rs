//! The contract of [`Outbox`], held against real files.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, future::join_all};
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

use super::{Embedded, Options};
use crate::{
    call::{Account, Call, CallEvent, SecretName, UserSchema},
    hit::HitId,
    outbox::{
        AcceptError, AccountState, CallFilter, CallId, CallState, Cursor, Death, DeathReason, Leased, ListQuery,
        Outbox as _, Page, Record, Settlement,
    },
    time::Timestamp,
};

mod disk;
mod forget;
mod model;
mod people;
mod recent;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const ALL: usize = usize::MAX;

fn account(pixel: &str) -> Arc<Account> {
    Arc::new(Account::OpenAi {
        pixel_id: pixel.into(),
        key: SecretName("openai_key".into()),
        validate_only: false,
        schema: UserSchema::Lists,
    })
}

fn call(account: &Arc<Account>, body: &str) -> Call {
    Call {
        tag: "purchase".into(),
        account: Arc::clone(account),
        event: CallEvent {
            id: "order-7".into(),
            name: "order_created".into(),
            time: NOW.minus(Duration::from_secs(3)),
        },
        body: body.into(),
    }
}

fn record(calls: Vec<Call>) -> Record {
    record_at(NOW, calls)
}

fn record_at(accepted: Timestamp, calls: Vec<Call>) -> Record {
    Record { hit: HitId(Uuid::from_u128(7)), accepted, version: "c0ffee".into(), calls }
}

/// A hit with one call for each body.
fn hit(account: &Arc<Account>, bodies: &[&str]) -> Record {
    record(bodies.iter().map(|body| call(account, body)).collect())
}

fn open(dir: &TempDir) -> Embedded {
    open_with(dir, Options::default())
}

fn open_with(dir: &TempDir, options: Options) -> Embedded {
    Embedded::open(dir.path(), options).unwrap()
}

/// A copy of the files as they are at this moment: what a process that is killed now would leave.
fn killed(dir: &TempDir) -> TempDir {
    let copy = TempDir::new().unwrap();
    for name in ["outbox.db", "outbox.db-wal"] {
        fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    copy
}

/// A person's connection to the file.
fn sqlite(dir: &TempDir) -> Connection {
    Connection::open(dir.path().join("outbox.db")).unwrap()
}

fn count(dir: &TempDir, sql: &str) -> i64 {
    sqlite(dir).query_row(sql, [], |row| row.get(0)).unwrap()
}

async fn lease(outbox: &Embedded, account: &Arc<Account>, max_calls: usize) -> Vec<Leased> {
    outbox.lease(account, max_calls, ALL, NOW).await.unwrap()
}

async fn settle(outbox: &Embedded, calls: &[Leased], settlement: Settlement) {
    outbox.settle(calls.iter().map(|call| (call.id, settlement.clone())).collect()).await.unwrap();
}

fn bodies(calls: &[Leased]) -> Vec<&str> {
    calls.iter().map(|call| std::str::from_utf8(&call.body).unwrap()).collect()
}

fn ids(calls: &[Leased]) -> Vec<CallId> {
    calls.iter().map(|call| call.id).collect()
}

fn death() -> Death {
    Death { reason: DeathReason::Refused, status: Some(422), words: "no such \u{1f6d2}".into(), at: NOW }
}

fn state(outbox: &Embedded, account: &Arc<Account>) -> (u64, u64, Option<Timestamp>) {
    let states = outbox.accounts();
    let found = states.iter().find(|state| state.account == *account);
    found.map(|AccountState { pending, dead, oldest, .. }| (*pending, *dead, *oldest)).unwrap()
}

/// What must happen by itself; the limit only ends a test that has failed.
async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), event).await.expect("it never happened")
}

/// Waits for something that another thread brings about by itself.
async fn until(mut condition: impl FnMut() -> bool) {
    soon(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_call_is_leased_as_it_was_accepted() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let account = account("p1");
    outbox.accept(hit(&account, &[r#"{"a":1}"#, r#"{"b":2}"#])).await.unwrap();

    let calls = lease(&outbox, &account, 10).await;
    assert_eq!(bodies(&calls), [r#"{"a":1}"#, r#"{"b":2}"#]);
    let first = &calls[0];
    assert_eq!((first.hit, first.attempts, first.accepted), (HitId(Uuid::from_u128(7)), 0, NOW));
    assert_eq!((&*first.tag, &first.event), ("purchase", &call(&account, "").event));
    assert_eq!(state(&outbox, &account), (2, 0, Some(NOW)), "leased calls are pending");
    assert!(lease(&outbox, &account, 10).await.is_empty(), "nobody else gets a leased call");
}

#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost_when_the_process_is_killed() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let (one, two) = (account("p1"), account("p2"));
    outbox.accept(record(vec![call(&one, "1"), call(&two, "2")])).await.unwrap();
    outbox.accept(hit(&one, &["3"])).await.unwrap();
    let leased = lease(&outbox, &one, 1).await;

    let dir = killed(&dir);
    let outbox = open(&dir);
    assert_eq!((state(&outbox, &one).0, state(&outbox, &two).0), (2, 1));
    let again = lease(&outbox, &one, 10).await;
    assert_eq!(bodies(&again), ["1", "3"], "leases end with the process");
    assert_eq!((&again[0].tag, &again[0].event, again[0].hit), (&leased[0].tag, &leased[0].event, leased[0].hit));
    assert_eq!(again[0].id, leased[0].id);
    assert_eq!(bodies(&lease(&outbox, &two, 10).await), ["2"]);
}

#[tokio::test]
async fn delivered_calls_are_forgotten_and_their_ids_never_used_again() {
    let dir = TempDir::new().unwrap();
    let mut last = CallId(0);
    let account = account("p1");
    for _ in 0..3 {
        let outbox = open(&dir);
        outbox.accept(hit(&account, &["1", "2"])).await.unwrap();
        let calls = lease(&outbox, &account, 10).await;
        assert!(calls[0].id > last, "{} after {last}", calls[0].id);
        last = calls[1].id;
        settle(&outbox, &calls, Settlement::Delivered).await;
        assert_eq!(state(&outbox, &account), (0, 0, None));
        assert_eq!(count(&dir, "SELECT count(*) FROM calls"), 0);
    }
    assert!(open(&dir).accounts().is_empty(), "an account without calls is forgotten at the next start");
}

#[tokio::test]
async fn a_retry_waits_for_its_time_and_counts_the_attempt_for_good() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let account = account("p1");
    outbox.accept(hit(&account, &["1", "2"])).await.unwrap();
    let first = lease(&outbox, &account, 1).await;
    let at = NOW.plus(Duration::from_secs(5));
    settle(&outbox, &first, Settlement::Retry { at }).await;

    assert_eq!(bodies(&lease(&outbox, &account, 10).await), ["2"]);
    assert!(outbox.lease(&account, 10, ALL, Timestamp(at.0 - 1)).await.unwrap().is_empty());
    assert_eq!(state(&outbox, &account), (2, 0, Some(NOW)), "a call that waits is pending");
    let again = outbox.lease(&account, 10, ALL, at).await.unwrap();
    assert_eq!((ids(&again), again[0].attempts, bodies(&again)), (ids(&first), 1, vec!["1"]));

    let reopened = open(&killed(&dir)).lease(&account, 1, ALL, NOW).await.unwrap();
    assert_eq!((ids(&reopened), reopened[0].attempts), (ids(&first), 1), "due at once after a crash");
}

#[tokio::test]
async fn a_call_that_was_put_back_is_due_at_once_in_its_old_place() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let account = account("p1");
    outbox.accept(hit(&account, &["1", "2", "3", "4"])).await.unwrap();
    let calls = lease(&outbox, &account, 3).await;
    settle(&outbox, &calls[1..2], Settlement::PutBack).await;
    let again = lease(&outbox, &account, 10).await;
    assert_eq!(bodies(&again), ["2", "4"]);
    assert_eq!(again[0].attempts, 0);
}

#[tokio::test]
async fn a_lease_keeps_to_its_size_but_gives_a_larger_call_alone() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let account = account("p1");
    let large = "x".repeat(50);
    outbox.accept(hit(&account, &["12345", "12345", "1", &large, "1"])).await.unwrap();
    for expected in [vec!["12345", "12345"], vec!["1"], vec![&large], vec!["1"]] {
        assert_eq!(bodies(&outbox.lease(&account, 10, 10, NOW).await.unwrap()), expected);
    }
    outbox.accept(hit(&account, &["1", "2", "3"])).await.unwrap();
    assert!(lease(&outbox, &account, 0).await.is_empty());
    assert_eq!(bodies(&lease(&outbox, &account, 2).await), ["1", "2"]);
    assert_eq!(bodies(&outbox.lease(&account, 10, 0, NOW).await.unwrap()), ["3"]);
}

#[tokio::test]
async fn only_a_lease_can_be_settled_and_only_once() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let account = account("p1");
    outbox.accept(hit(&account, &["1", "2"])).await.unwrap();
    let calls = lease(&outbox, &account, 1).await;
    let not_leased = CallId(calls[0].id.0 + 1);
    let hostile = [not_leased, CallId(0), CallId(u64::MAX), CallId(1 << 63)];
    outbox.settle(hostile.map(|id| (id, Settlement::Delivered)).to_vec()).await.unwrap();
    assert_eq!(state(&outbox, &account).0, 2);

    let twice = vec![(calls[0].id, Settlement::PutBack), (calls[0].id, Settlement::Delivered)];
    outbox.settle(twice).await.unwrap();
    settle(&outbox, &calls, Settlement::Delivered).await;
    assert_eq!(bodies(&lease(&outbox, &account, 10).await), ["1", "2"]);
}

#[tokio::test]
async fn settling_some_calls_of_a_lease_leaves_those_between_them() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let (one, two) = (account("p1"), account("p2"));
    outbox.accept(record(vec![call(&one, "1"), call(&two, "2"), call(&one, "3"), call(&one, "4")])).await.unwrap();
    outbox.accept(hit(&one, &["5", "6"])).await.unwrap();
    let calls = lease(&outbox, &one, 10).await;
    let some = [4, 0, 1, 2].map(|index: usize| (calls[index].id, Settlement::Delivered));
    outbox.settle(some.to_vec()).await.unwrap();
    let dir = killed(&dir);
    let outbox = open(&dir);
    assert_eq!(bodies(&lease(&outbox, &one, 10).await), ["5"]);
    assert_eq!(bodies(&lease(&outbox, &two, 10).await), ["2"]);
}

#[tokio::test]
async fn what_does_not_fit_into_memory_keeps_its_order() {
    let dir = TempDir::new().unwrap();
    let outbox = open_with(&dir, Options { read_ahead_bytes: 3_000, ..Options::default() });
    let (one, two) = (account("p1"), account("p2"));
    let filler = "x".repeat(500);
    let body = |n: usize| format!("{n:03}{filler}");
    let (mut accepted, mut seen) = (0, Vec::new());
    for round in 0..20 {
        for _ in 0..10 {
            outbox.accept(record(vec![call(&one, &body(accepted)), call(&two, &filler)])).await.unwrap();
            accepted += 1;
        }
        assert!(outbox.shared.queues().resident() <= 3_000 + 2 * 7 * 756, "bounded by the option and a lease each");
        let calls = lease(&outbox, &one, 7).await;
        assert_eq!(calls.len(), 7, "round {round}");
        seen.extend(bodies(&calls).iter().map(|body| body[..3].parse::<usize>().unwrap()));
        settle(&outbox, &calls, Settlement::Delivered).await;
    }
    while let calls = lease(&outbox, &one, 7).await
        && !calls.is_empty()
    {
        seen.extend(bodies(&calls).iter().map(|body| body[..3].parse::<usize>().unwrap()));
    }
    assert_eq!(seen, (0..200).collect::<Vec<_>>());
    assert_eq!(lease(&outbox, &two, ALL).await.len(), 200, "one account's backlog does not keep another's calls");
}

#[tokio::test]
async fn the_oldest_pending_call_is_known_wherever_it_is() {
    let dir = TempDir::new().unwrap();
    let outbox = open_with(&dir, Options { read_ahead_bytes: 0, ..Options::default() });
    let account = account("p1");
    let at = |n: i64| Timestamp(NOW.0 + n);
    for n in 0..4 {
        outbox.accept(record_at(at(n), vec![call(&account, "1")])).await.unwrap();
    }
    let oldest = || state(&outbox, &account).2;
    assert_eq!(oldest(), Some(at(0)), "in the file only");
    let calls = lease(&outbox, &account, 2).await;
    assert_eq!(oldest(), Some(at(0)), "leased");
    settle(&outbox, &calls[..1], Settlement::Delivered).await;
    assert_eq!(oldest(), Some(at(1)));
    settle(&outbox, &calls[1..], Settlement::Retry { at: at(9) }).await;
    assert_eq!(oldest(), Some(at(1)), "waits for its retry");
    assert_eq!(outbox.discard(&[calls[1].id, CallId(calls[1].id.0 + 1)]).await.unwrap(), 2);
    assert_eq!(state(&outbox, &account), (1, 0, Some(at(3))), "the tail has lost its first");
}

#[tokio::test]
async fn a_wake_up_between_an_empty_lease_and_the_wait_is_not_missed() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let account = account("p1");
    assert!(lease(&outbox, &account, 1).await.is_empty());
    outbox.accept(record(Vec::new())).await.unwrap();
    assert!(outbox.accounts().is_empty(), "asking for an account does not make it appear");
    let mut waiting = outbox.arrival(&account);
    assert!((&mut waiting).now_or_never().is_none());

    outbox.accept(hit(&account, &["1"])).await.unwrap();
    soon(waiting).await;
    soon(outbox.new_account()).await;
    soon(outbox.arrival(&account)).await;
    assert!(outbox.arrival(&account).now_or_never().is_none(), "one ring more is enough");

    for settlement in [Settlement::PutBack, Settlement::Retry { at: NOW }] {
        let calls = lease(&outbox, &account, 1).await;
        settle(&outbox, &calls, settlement).await;
        soon(outbox.arrival(&account)).await;
    }
    let calls = lease(&outbox, &account, 1).await;
    settle(&outbox, &calls, Settlement::Dead(death())).await;
    assert!(outbox.arrival(&account).now_or_never().is_none());
    outbox.replay(&ids(&calls)).await.unwrap();
    soon(outbox.arrival(&account)).await;
}

#[tokio::test]
async fn every_account_that_appears_is_announced() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let announced = outbox.new_account();
    outbox.accept(hit(&account("p1"), &["1"])).await.unwrap();
    soon(announced).await;
    soon(outbox.new_account()).await;
    outbox.accept(hit(&account("p1"), &["2"])).await.unwrap();
    let mut waiting = outbox.new_account();
    assert!((&mut waiting).now_or_never().is_none(), "known by now");
    outbox.accept(hit(&account("p2"), &["1"])).await.unwrap();
    soon(waiting).await;
    assert_eq!(outbox.accounts().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_accept_and_deliver_at_once() {
    let dir = TempDir::new().unwrap();
    let outbox = Arc::new(open_with(&dir, Options { read_ahead_bytes: 20_000, ..Options::default() }));
    let account = account("p1");
    let accepts = (0..64).map(|task| {
        let (outbox, account) = (Arc::clone(&outbox), Arc::clone(&account));
        tokio::spawn(async move {
            for n in 0..20 {
                let (a, b) = (format!("{task}.{n}a"), format!("{task}.{n}b"));
                outbox.accept(hit(&account, &[&a, &b])).await.unwrap();
            }
        })
    });
    let accepts: Vec<_> = accepts.collect();
    let mut seen = Vec::new();
    while seen.len() < 64 * 20 * 2 {
        let calls = lease(&outbox, &account, 100).await;
        if calls.is_empty() {
            soon(outbox.arrival(&account)).await;
        }
        settle(&outbox, &calls, Settlement::Delivered).await;
        seen.extend(calls);
    }
    join_all(accepts).await.into_iter().for_each(Result::unwrap);
    assert!(seen.is_sorted_by_key(|call| call.id), "oldest first");
    assert!(
        seen.chunks(2).all(|pair| pair[0].body[..pair[0].body.len() - 1] == pair[1].body[..pair[1].body.len() - 1])
    );
    seen.dedup_by_key(|call| call.body.clone());
    assert_eq!(seen.len(), 64 * 20 * 2);
    assert_eq!(state(&outbox, &account), (0, 0, None));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_what_is_queued_waits_for_its_commit() {
    let dir = TempDir::new().unwrap();
    let outbox = open_with(&dir, Options { queue_bytes: 2_000, ..Options::default() });
    let account = account("p1");
    let large = "x".repeat(1_000);
    let person = sqlite(&dir);
    person.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut queued = outbox.accept(hit(&account, &[&large]));
    assert!((&mut queued).now_or_never().is_none());
    assert_eq!(outbox.accept(hit(&account, &[&large])).now_or_never(), Some(Err(AcceptError::Busy)));
    assert_eq!(outbox.writable(), Ok(()));
    person.execute_batch("ROLLBACK").unwrap();
    queued.await.unwrap();
    outbox.accept(hit(&account, &[&large])).await.unwrap();
    assert_eq!(state(&outbox, &account).0, 2);
}

#[tokio::test]
async fn after_closing_everything_fails_and_the_file_is_whole() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let account = account("p1");
    let mut queued = outbox.accept(hit(&account, &["1"]));
    assert!((&mut queued).now_or_never().is_none());
    outbox.close().await;
    queued.await.unwrap();
    outbox.close().await;

    assert_eq!(outbox.accept(hit(&account, &["2"])).await, Err(AcceptError::Closed));
    assert_eq!(outbox.writable(), Err(AcceptError::Closed));
    assert!(outbox.lease(&account, 1, ALL, NOW).await.is_err());
    assert!(outbox.settle(vec![(CallId(1), Settlement::Delivered)]).await.is_err());
    assert!(outbox.show(CallId(1)).await.is_err());
    assert!(outbox.replay(&[CallId(1)]).await.is_err());
    assert!(!dir.path().join("outbox.db-wal").exists());
    let person = sqlite(&dir);
    let whole: String = person.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    let row = person.query_row(
        "SELECT accounts.name, hit, tag, event_id, event_name, version, body FROM calls JOIN accounts ON accounts.id = calls.account",
        [],
        |row| (0..7).map(|column| row.get(column)).collect::<rusqlite::Result<Vec<String>>>(),
    );
    let hit = "00000000000000000000000000000007";
    assert_eq!(
        row.unwrap(),
        ["openai:p1 (key openai_key)", hit, "purchase", "order-7", "order_created", "c0ffee", "1"]
    );
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_left_alone() {
    let refusal = |prepare: &dyn Fn(&Path)| {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("outbox.db");
        prepare(&path);
        let before = fs::read(&path).unwrap();
        let error = format!("{:#}", Embedded::open(dir.path(), Options::default()).err().unwrap());
        assert_eq!(fs::read(&path).unwrap(), before);
        assert!(error.starts_with("cannot open the outbox /") && error.contains("outbox.db: "), "{error}");
        error
    };
    let text = refusal(&|path| fs::write(path, "x".repeat(5_000)).unwrap());
    assert!(text.contains("file is not a database"), "{text}");
    let foreign = refusal(&|path| Connection::open(path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap());
    assert!(foreign.contains("not a Tidegate outbox"), "{foreign}");
    let newer = refusal(&|path| {
        drop(Embedded::open(path.parent().unwrap(), Options::default()).unwrap());
        Connection::open(path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    });
    assert!(newer.contains("written by a newer Tidegate (schema 99"), "{newer}");
    assert!(Embedded::open(Path::new("/nowhere/at/all"), Options::default()).is_err());
}

#[test]
fn the_writer_syncs_every_commit_and_leaves_checkpoints_to_others() {
    let dir = TempDir::new().unwrap();
    let conn = super::file::open_writer(&dir.path().join("outbox.db"), u64::MAX).unwrap();
    let setting = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(setting("synchronous"), 2, "FULL");
    assert_eq!(setting("wal_autocheckpoint"), 0);
    assert_eq!(setting("auto_vacuum"), 2, "INCREMENTAL");
    assert_eq!(setting("page_size"), 8_192);
}

#[test]
fn nobody_else_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new().unwrap();
    let _outbox = open(&dir);
    for name in ["outbox.db", "outbox.db-wal", "outbox.db-shm"] {
        assert_eq!(fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
}

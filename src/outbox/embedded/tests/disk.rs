//! Disks that are full, fail and recover.

use super::*;

fn with_free_space(reserve_bytes: u64, free: impl Fn() -> u64 + Send + Sync + 'static) -> Options {
    Options { reserve_bytes, free_space: Arc::new(move |_| Ok(free())), ..Options::default() }
}

#[tokio::test]
async fn below_the_reserve_hits_are_refused_and_deliveries_settled() {
    let dir = TempDir::new().unwrap();
    let free = Arc::new(AtomicU64::new(100 << 20));
    let disk = Arc::clone(&free);
    let outbox = open_with(&dir, with_free_space(64 << 20, move || disk.load(Ordering::Relaxed)));
    let account = account("p1");
    outbox.accept(hit(&account, &["1"])).await.unwrap();

    free.store(63 << 20, Ordering::Relaxed);
    let words = "63 MiB are free, 64 MiB are kept in reserve".to_owned();
    let full = Err(AcceptError::DiskFull { words });
    assert_eq!(outbox.accept(hit(&account, &["2"])).await, full);
    assert_eq!(outbox.writable(), full);
    let calls = lease(&outbox, &account, 10).await;
    settle(&outbox, &calls, Settlement::Delivered).await;
    assert_eq!(state(&outbox, &account).0, 0);

    free.store(64 << 20, Ordering::Relaxed);
    until(|| outbox.writable().is_ok()).await;
    outbox.accept(hit(&account, &["3"])).await.unwrap();
}

#[tokio::test]
async fn a_disk_that_fills_while_idle_is_noticed() {
    let dir = TempDir::new().unwrap();
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let disk = Arc::clone(&free);
    let outbox = open_with(&dir, with_free_space(1, move || disk.load(Ordering::Relaxed)));
    free.store(0, Ordering::Relaxed);
    until(|| outbox.writable().is_err()).await;
}

#[tokio::test]
async fn a_hit_that_finds_the_disk_full_is_refused_whole_and_room_is_noticed() {
    let dir = TempDir::new().unwrap();
    let outbox = open_with(&dir, Options { max_file_bytes: 1 << 20, ..Options::default() });
    let account = account("p1");
    let body = "x".repeat(3_000);
    let mut accepted = 0;
    let error = loop {
        match outbox.accept(hit(&account, &[body.as_str(); 4])).await {
            Ok(()) => accepted += 4,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, AcceptError::DiskFull { words } if words.contains("full")), "{error}");
    assert_eq!(outbox.writable(), Err(error));
    assert_eq!(count(&dir, "SELECT count(*) FROM calls"), accepted, "all of a hit or nothing");
    assert_eq!(state(&outbox, &account).0, accepted.unsigned_abs());

    let calls = lease(&outbox, &account, ALL).await;
    settle(&outbox, &calls, Settlement::Delivered).await;
    until(|| outbox.writable().is_ok()).await;
    outbox.accept(hit(&account, &[body.as_str(); 4])).await.unwrap();
    assert_eq!(lease(&outbox, &account, ALL).await.len(), 4);
}

#[tokio::test]
async fn settlements_outlast_a_store_that_cannot_be_written() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let account = account("p1");
    outbox.accept(hit(&account, &["1", "2"])).await.unwrap();
    let calls = lease(&outbox, &account, 1).await;
    let person = sqlite(&dir);
    person.execute_batch("CREATE TRIGGER stuck BEFORE DELETE ON calls BEGIN SELECT RAISE(FAIL, 'stuck'); END").unwrap();

    let mut settling = outbox.settle(vec![(calls[0].id, Settlement::Delivered)]);
    assert!((&mut settling).now_or_never().is_none());
    until(|| outbox.writable().is_err()).await;
    assert_eq!(outbox.accept(hit(&account, &["3"])).await, Err(AcceptError::Store { words: "stuck".into() }));
    assert!((&mut settling).now_or_never().is_none(), "kept, not given up");
    assert_eq!(state(&outbox, &account).0, 2);

    person.execute_batch("DROP TRIGGER stuck").unwrap();
    soon(settling).await.unwrap();
    until(|| outbox.writable().is_ok()).await;
    assert_eq!(count(&dir, "SELECT count(*) FROM calls"), 1);
    assert_eq!(bodies(&lease(&outbox, &account, 10).await), ["2"]);
}

#[tokio::test]
async fn settlements_that_can_never_be_written_do_not_keep_it_from_closing() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let account = account("p1");
    outbox.accept(hit(&account, &["1"])).await.unwrap();
    let calls = lease(&outbox, &account, 1).await;
    sqlite(&dir)
        .execute_batch("CREATE TRIGGER stuck BEFORE DELETE ON calls BEGIN SELECT RAISE(FAIL, 'stuck'); END")
        .unwrap();
    let mut settling = outbox.settle(vec![(calls[0].id, Settlement::Delivered)]);
    assert!((&mut settling).now_or_never().is_none());
    outbox.close().await;
    assert!(settling.await.is_err());
    assert_eq!(count(&dir, "SELECT count(*) FROM calls"), 1, "one more attempt, not a loss");
}

/// The disk is as large as the reserve and four mebibytes, and the outbox is alone on it.
#[tokio::test]
async fn a_backlog_that_filled_the_disk_gives_it_back_once_delivered() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("outbox.db");
    let free = move || (5_u64 << 20).saturating_sub(fs::metadata(&path).map_or(0, |file| file.len()));
    let outbox = open_with(&dir, with_free_space(1 << 20, free));
    let account = account("p1");
    let body = "x".repeat(100_000);
    let mut accepted = 0;
    while outbox.accept(hit(&account, &[&body])).await.is_ok() {
        accepted += 1;
        assert!(accepted < 1_000, "the disk never fills");
    }
    let calls = lease(&outbox, &account, ALL).await;
    assert_eq!(calls.len(), accepted);
    settle(&outbox, &calls, Settlement::Delivered).await;
    until(|| outbox.writable().is_ok()).await;
    outbox.accept(hit(&account, &[&body])).await.unwrap();
}

#[tokio::test]
async fn the_log_is_emptied_although_a_reader_kept_it_from_starting_over() {
    let dir = TempDir::new().unwrap();
    let outbox = open(&dir);
    let account = account("p1");
    let body = "x".repeat(1 << 20);
    let log = || fs::metadata(dir.path().join("outbox.db-wal")).unwrap().len();
    outbox.accept(hit(&account, &["1"])).await.unwrap();
    let person = sqlite(&dir);
    person.execute_batch("BEGIN; SELECT count(*) FROM calls").unwrap();
    for _ in 0..70 {
        outbox.accept(hit(&account, &[&body])).await.unwrap();
    }
    assert!(log() > 64 << 20, "a reader needs it");
    drop(person);
    for _ in 0..30 {
        outbox.accept(hit(&account, &[&body])).await.unwrap();
    }
    assert!(log() < 40 << 20, "{}", log());
}

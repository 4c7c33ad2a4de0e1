//! How many calls a second the embedded outbox makes durable, and what each costs.
//!
//! `cargo bench --bench outbox` accepts one-kilobyte calls from 64 tasks, first alone, then while a delivery leases and
//! settles them a thousand at a time; then opens the file with a backlog, and looks through it. Works in the system's folder for temporary
//! files: set `TMPDIR` to a folder on the disk in question.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark prints, and makes its own ids")]

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tidegate::{
    call::{Account, Call, CallEvent, SecretName, UserSchema},
    hit::HitId,
    outbox::{
        Outbox as _, Record, Settlement,
        embedded::{Embedded, Options},
        sought::Sought,
    },
    time::Timestamp,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TASKS: usize = 64;
const CALLS: usize = 400_000;
const BATCH: usize = 1_000;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        measure("accept", false).await?;
        measure("accept, lease and settle", true).await
    })
}

async fn measure(name: &str, delivered: bool) -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let outbox = Arc::new(Embedded::open(dir.path(), Options::default())?);
    let (started, cpu) = (Instant::now(), cpu_time()?);
    let delivery = delivered.then(|| tokio::spawn(deliver(Arc::clone(&outbox))));
    let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(accept(Arc::clone(&outbox)))).collect();
    let mut waits = Vec::with_capacity(CALLS);
    for task in tasks {
        waits.extend(task.await??);
    }
    let wall = started.elapsed();
    if let Some(delivery) = delivery {
        delivery.await??;
    }
    let cpu = cpu_time()?.saturating_sub(cpu);
    waits.sort_unstable();
    println!(
        "{name}: {:.0} calls/s, {:.1} µs CPU a call, waits p50 {:.2?} p99 {:.2?} max {:.2?}",
        waits.len() as f64 / wall.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / waits.len() as f64,
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100],
        waits[waits.len() - 1],
    );
    outbox.close().await;
    if !delivered {
        let started = Instant::now();
        let reopened = Embedded::open(dir.path(), Options::default())?;
        println!("opened with {} pending in {:.2?}", reopened.accounts()[0].pending, started.elapsed());
        let started = Instant::now();
        let forgotten = reopened.forget(&Sought::email("ada@example.com")?).await?;
        println!("looked through in {:.2?} for {} calls to forget", started.elapsed(), forgotten.pending);
        let (started, mut read) = (Instant::now(), 0);
        while let calls = reopened.lease(&account(), BATCH, usize::MAX, Timestamp::now()).await?
            && !calls.is_empty()
        {
            read += calls.len();
        }
        println!("read back {:.0} calls/s", read as f64 / started.elapsed().as_secs_f64());
    }
    Ok(())
}

/// One visitor after the other; gives how long each waited for its answer.
async fn accept(outbox: Arc<Embedded>) -> anyhow::Result<Vec<Duration>> {
    let (account, tag, version) = (account(), Arc::from("purchase"), Arc::from("c0ffee"));
    let name: Arc<str> = Arc::from("order_created");
    let body = "x".repeat(1_000);
    let mut waits = Vec::with_capacity(CALLS / TASKS);
    for _ in 0..CALLS / TASKS {
        let (hit, accepted) = (uuid::Uuid::now_v7(), Timestamp::now());
        let event = CallEvent { id: hit.to_string().into(), name: Arc::clone(&name), time: accepted };
        let call = Call { tag: Arc::clone(&tag), account: Arc::clone(&account), event, body: body.as_str().into() };
        let record = Record { hit: HitId(hit), accepted, version: Arc::clone(&version), calls: vec![call] };
        let started = Instant::now();
        outbox.accept(record).await?;
        waits.push(started.elapsed());
    }
    Ok(waits)
}

/// Settles calls as delivered, in full batches.
async fn deliver(outbox: Arc<Embedded>) -> anyhow::Result<()> {
    let (account, mut left) = (account(), CALLS);
    while left > 0 {
        let mut batch = Vec::with_capacity(BATCH);
        while batch.len() < BATCH.min(left) {
            let calls = outbox.lease(&account, BATCH - batch.len(), usize::MAX, Timestamp::now()).await?;
            if calls.is_empty() {
                outbox.arrival(&account).await;
            }
            batch.extend(calls.iter().map(|call| (call.id, Settlement::Delivered)));
        }
        left -= batch.len();
        outbox.settle(batch).await?;
    }
    Ok(())
}

fn account() -> Arc<Account> {
    let (key, schema) = (SecretName("openai_key".into()), UserSchema::Lists);
    Arc::new(Account::OpenAi { pixel_id: "pixel".into(), key, validate_only: false, schema })
}

/// What the process has used of all processors, from `proc(5)`: fields 14 and 15 of `stat`, in hundredths of a second.
fn cpu_time() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

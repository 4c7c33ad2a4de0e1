//! Durability: the real program, killed at any instant under load, with destinations that are well, slow or failing.
//! Everything that was answered 2xx arrives; what had been settled before the kill is never sent again.

use std::{collections::BTreeSet, env, time::Duration};

use reqwest::StatusCode;
use rusqlite::Connection;
use tidegate::standin::{Failure, Lasting};

use crate::harness::{Left, Load, PATIENCE, Place, Shop, purchase};

/// Connections that send hits at the same time.
const CONNECTIONS: usize = 4;

/// How the destination behaves while the program is killed.
const MOODS: [fn() -> Option<Failure>; 5] = [
    || None,
    || Some(Failure::Slow(Duration::from_millis(30))),
    || Some(Failure::Hold),
    || Some(Failure::status(StatusCode::SERVICE_UNAVAILABLE)),
    || Some(Failure::LoseAnswer),
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_program_is_killed() {
    let seed = fresh_seed();
    println!("repeat with TIDEGATE_SOAK_SEED={seed}");
    survive(5, seed).await;
}

/// The same for longer: `scripts/soak`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; scripts/soak runs it"]
async fn soak() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    let (kills, seed) = (number("TIDEGATE_SOAK_KILLS"), number("TIDEGATE_SOAK_SEED"));
    let (kills, seed) = (kills.unwrap_or(50), seed.unwrap_or_else(fresh_seed));
    println!("{kills} kills; repeat with TIDEGATE_SOAK_SEED={seed}");
    survive(kills, seed).await;
}

fn fresh_seed() -> u64 {
    tidegate::app::random_id().as_u64_pair().0
}

async fn survive(kills: u64, seed: u64) {
    let mut random = Random(seed);
    let mut shop = Shop::spawn(Place::own_rules(), &[]).await;
    let mut acknowledged = BTreeSet::new();
    for round in 0..kills {
        let settled = settle_some(&shop, round).await;
        acknowledged.extend(settled.iter().cloned());
        if let Some(failure) = MOODS[usize::try_from(round).expect("few rounds") % MOODS.len()]() {
            shop.standin.fail_with(failure, Lasting::UntilCleared);
        }
        let load = Load::start(&shop, CONNECTIONS, &format!("load-{round}"), purchase);
        load.acknowledged_at_least(usize::try_from(1 + random.below(300)).expect("few")).await;
        tokio::time::sleep(Duration::from_micros(random.below(20_000))).await;
        shop.crash().await;
        acknowledged.extend(load.end().await.acknowledged);
        let again: Vec<_> = shop.standin.duplicates().iter().map(|event| event.event["id"].clone()).collect();
        assert!(
            !again.iter().any(|id| settled.contains(id.as_str().expect("an id"))),
            "sent again although it was settled, seed {seed}"
        );
        shop.standin.clear_failures();
        shop.start(&[]).await;
    }
    let all = acknowledged.clone();
    let arrived = async || {
        let stored: BTreeSet<_> = shop.stored_ids().into_iter().collect();
        all.difference(&stored).cloned().collect::<Vec<_>>()
    };
    // What is stored may be more than was acknowledged: an answer may have been lost in the kill.
    let mut stored = shop.standin.requests().stored;
    while !arrived().await.is_empty() {
        stored += 1;
        if let Err(error) = shop.standin.wait_for(stored, PATIENCE).await {
            panic!("acknowledged and lost, seed {seed}: {:?}; {error}", arrived().await);
        }
        stored = shop.standin.requests().stored;
    }
    shop.stop().await;
    assert_eq!(integrity(&shop), "ok", "seed {seed}");
    let duplicates = shop.standin.requests().duplicates;
    shop.close_leaving(Left { duplicates, ..Left::default() }).await;
}

/// Sends events to a destination that is well and waits until the store has forgotten them; gives their ids.
async fn settle_some(shop: &Shop, round: u64) -> BTreeSet<String> {
    let ids: BTreeSet<String> = (0..20).map(|nth| format!("settled-{round}-{nth}")).collect();
    for id in &ids {
        shop.accept(&purchase(id)).await;
    }
    let settled = async {
        loop {
            let list = shop.tidegate(&["deliveries", "list", "--format", "json"]).await;
            assert_eq!(list.code, Some(0), "{list:?}");
            if list.json()["accounts"].as_array().expect("accounts").iter().all(|account| account["pending"] == 0) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("everything pending is delivered");
    ids
}

fn integrity(shop: &Shop) -> String {
    let store = Connection::open(shop.place.data().join("outbox.db")).expect("the store opens");
    store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check")
}

/// `splitmix64`: a few numbers that a seed brings back.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

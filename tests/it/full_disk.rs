//! A full disk: hits are refused, deliveries are still settled, and everything goes on once there is room. On a small
//! file system of its own, which takes the right to mount one.

use std::{fs, io::Write, path::PathBuf, process::Command, time::Duration};

use reqwest::StatusCode;
use tidegate::{
    settings::Stated,
    standin::{Failure, Lasting},
};

use crate::harness::{PATIENCE, Place, Shop, purchase};

/// A small file system in memory, unmounted when dropped.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    fn mount(path: PathBuf) -> Self {
        fs::create_dir_all(&path).expect("a folder to mount at");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m,mode=0700", "tidegate-it"]).arg(&path).output();
        let mounted = mounted.expect("mount(8) can be run");
        assert!(
            mounted.status.success(),
            "this test needs a small disk, and so the right to mount one; run it as root, such as in a container with \
             CAP_SYS_ADMIN. mount said: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self { path }
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }

    /// Leaves about this many bytes free.
    fn fill_but(&self, left: u64) {
        let disk = rustix::fs::statvfs(&self.path).expect("a file system");
        let mut room = (disk.f_bavail * disk.f_frsize).saturating_sub(left);
        let mut ballast = fs::OpenOptions::new().create(true).append(true).open(self.ballast()).expect("a file");
        let block = vec![0_u8; 4096];
        while room > 0 {
            let length = usize::try_from(room).map_or(block.len(), |room| room.min(block.len()));
            if ballast.write_all(&block[..length]).is_err() {
                return;
            }
            room -= length as u64;
        }
    }

    fn empty(&self) {
        fs::remove_file(self.ballast()).expect("the ballast is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, as a failed test may have left files open.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.path).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking(), "{}", self.path.display());
    }
}

/// A shop whose data lies on a small disk. The disk must outlive the shop.
async fn shop_on(place: Place, reserve_megabytes: u64) -> (SmallDisk, Shop) {
    let disk = SmallDisk::mount(place.data());
    let stated = Stated { disk_reserve: Some(reserve_megabytes), ..Stated::default() };
    (disk, Shop::open_with(place, stated).await)
}

async fn status_of(shop: &Shop, id: &str) -> StatusCode {
    shop.post(&purchase(id)).send().await.expect("an answer").status()
}

/// Sends until a hit is answered so: the store looks at the disk a few times a second. Gives what was accepted.
async fn send_until(shop: &Shop, name: &str, wanted: StatusCode) -> u64 {
    let mut accepted = 0;
    let sending = async {
        for nth in 0.. {
            let status = status_of(shop, &format!("{name}-{nth}")).await;
            accepted += u64::from(status.is_success());
            assert!(status == 204 || status == 503, "{status}");
            if status == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, sending).await.unwrap_or_else(|_| panic!("never answered {wanted}"));
    accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_reserve_hits_are_refused_and_deliveries_are_settled() {
    let (disk, shop) = shop_on(Place::own_rules(), 4).await;
    shop.standin.fail_with(Failure::Hold, Lasting::UntilCleared);
    for nth in 0..20 {
        shop.accept(&purchase(&format!("before-{nth}"))).await;
    }
    disk.fill_but(2 << 20);
    let slipped_in = send_until(&shop, "filling", StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(shop.ready().await.0, 503);

    shop.standin.clear_failures();
    shop.wait_for(20 + slipped_in).await;
    settled(&shop).await;
    assert_eq!(status_of(&shop, "full").await, 503);

    disk.empty();
    let accepted = send_until(&shop, "after", StatusCode::NO_CONTENT).await;
    assert_eq!(shop.ready().await.0, 200);
    shop.wait_for(20 + slipped_in + accepted).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_disk_without_a_byte_left_nothing_acknowledged_is_lost() {
    let (disk, shop) = shop_on(Place::own_rules(), 0).await;
    shop.standin.fail_with(Failure::Hold, Lasting::UntilCleared);
    for nth in 0..20 {
        shop.accept(&purchase(&format!("before-{nth}"))).await;
    }
    disk.fill_but(0);
    let slipped_in = send_until(&shop, "filling", StatusCode::SERVICE_UNAVAILABLE).await;
    shop.standin.clear_failures();
    // What is delivered cannot be written down, so the delivery waits with the rest rather than send it twice one day.
    shop.wait_for(1).await;

    disk.empty();
    let accepted = send_until(&shop, "after", StatusCode::NO_CONTENT).await;
    shop.wait_for(20 + slipped_in + accepted).await;
    settled(&shop).await;
    shop.close().await;
}

/// Waits until the store has nothing pending.
async fn settled(shop: &Shop) {
    let settled = async {
        while shop.service().app.outbox.accounts().iter().any(|account| account.pending > 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("everything is settled");
}

//! Decoding a GA4 hit, beside the bare parsing of its query string.
//!
//!     cargo bench --bench ga4

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::{hint::black_box, time::Instant};

use http::Method;
use tidegate::{client::Client, hit::Hit, time::Timestamp};
use uuid::Uuid;

const ROUNDS: u32 = 50_000;
const REPEATS: usize = 7;

/// A purchase of two items, as Google's tag sends it.
const QUERY: &str = "v=2&tid=G-TEST123&gtm=45je5b1v1&_p=1764000000000&gcs=G111&gcd=13r3r3r3r5l1&npa=0&dma=0\
    &cid=584335997.1746564151&ul=en-us&sr=1728x1117&uaa=arm&uab=64\
    &uafvl=Chromium%3B136.0.7103.114%7CGoogle%2520Chrome%3B136.0.7103.114&uamb=0&uam=&uap=macOS&uapv=15.5.0&uaw=0\
    &are=1&frm=0&pscdl=noapi&_s=2&sid=1749196701&sct=41&seg=1\
    &dl=https%3A%2F%2Fshop.example.com%2Fthanks%3Foppref%3DgAAAAA&dr=https%3A%2F%2Fshop.example.com%2Fcheckout\
    &dt=Thank%20you&cu=EUR&en=purchase&pr1=idSKU-1~nmKettle~pr129.99~qt1&pr2=idSKU-2~nmSpoon~pr3.5~qt4\
    &ep.transaction_id=T-1001&epn.value=143.99&_et=1234&tfd=5678";

fn main() {
    let hit = Hit {
        method: Method::GET,
        path: "/g/collect".into(),
        query: QUERY.into(),
        host: "t.example.com".into(),
        ..Hit::silent(Timestamp(1_767_268_800_000))
    };
    let bare = median(|| {
        black_box(form_urlencoded::parse(black_box(QUERY).as_bytes()).map(|(k, v)| k.len() + v.len()).sum::<usize>());
    });
    let kept = median(|| {
        black_box(form_urlencoded::parse(black_box(QUERY).as_bytes()).into_owned().collect::<Vec<_>>());
    });
    let decoded = median(|| {
        black_box(Client::Ga4.read(black_box(&hit), &Uuid::nil).is_ok());
    });
    println!("query string, parsed and forgotten  {bare:>6.2} us");
    println!("query string, parsed into a list    {kept:>6.2} us");
    println!(
        "GA4 hit, decoded into an event      {decoded:>6.2} us, {:.1} times the first, {:.1} the second",
        decoded / bare,
        decoded / kept
    );
}

/// Microseconds a round, the median of several runs.
fn median(mut round: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let started = Instant::now();
            (0..ROUNDS).for_each(|_| round());
            started.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[REPEATS / 2]
}

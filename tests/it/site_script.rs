//! The site script as it is served, and as it was made.

use std::{path::Path, process::Command};

use reqwest::Method;
use sha2::{Digest, Sha256};
use tidegate::{digest::hex, settings::Stated};

use crate::harness::{Place, Shop};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> Vec<u8> {
    std::fs::read(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn it_was_made_of_its_source() {
    let made_of = String::from_utf8(read("web/dist/made-of.sha256")).expect("text");
    let sources: Vec<_> = made_of.lines().map(|line| line.split_once("  ").expect("a digest and a path")).collect();
    assert_eq!(sources.iter().map(|(_, path)| *path).collect::<Vec<_>>(), ["web/t.js", "scripts/web"]);
    for (digest, path) in sources {
        let found = hex(&Sha256::digest(read(path)));
        assert_eq!(found, digest, "{path} has changed: run scripts/web, and commit what it makes");
    }
    let mut gzip = Command::new("gzip");
    gzip.args(["--decompress", "--stdout", "web/dist/t.js.gz"]).current_dir(repository());
    let plain = gzip.output().expect("gzip");
    assert!(plain.status.success());
    assert!(plain.stdout == read("web/dist/t.js"), "t.js.gz is not t.js, compressed: run scripts/web");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_page_may_load_it_and_keep_it() {
    let shop = Shop::open().await;
    let answer = shop.get("/t.js").header("origin", "https://any.test").send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let header = |name| answer.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
    let found =
        ["content-type", "content-encoding", "x-content-type-options", "access-control-allow-origin"].map(header);
    let expected = [Some("text/javascript; charset=utf-8"), None, Some("nosniff"), Some("*")];
    assert_eq!(found, expected.map(|value| value.map(str::to_owned)));
    assert_eq!(header("cross-origin-resource-policy").as_deref(), Some("cross-origin"));
    assert!(header("cache-control").is_some_and(|value| value.starts_with("public, max-age=")));
    assert_eq!(header("set-cookie"), None);
    let tag = header("etag").expect("a tag");
    assert!(answer.bytes().await.expect("a body") == read("web/dist/t.js"));

    let compressed = shop.get("/t.js").header("accept-encoding", "gzip, br").send().await.expect("an answer");
    assert_eq!(compressed.headers()["content-encoding"], "gzip");
    assert_ne!(compressed.headers()["etag"], tag);
    assert!(compressed.bytes().await.expect("a body") == read("web/dist/t.js.gz"));

    let again = shop.get("/t.js").header("if-none-match", &tag).send().await.expect("an answer");
    assert_eq!((again.status().as_u16(), again.bytes().await.expect("no body").len()), (304, 0));
    let url = format!("http://{}/t.js", shop.sites());
    let head = shop.http.head(&url).send().await.expect("an answer");
    assert_eq!((head.status().as_u16(), head.headers()["etag"].to_str().expect("text")), (200, &*tag));
    let post = shop.http.request(Method::POST, &url).send().await.expect("an answer");
    assert_eq!(post.status(), 405);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_and_hits_have_the_paths_that_the_operator_gives_them() {
    let stated = Stated {
        path_prefix: Some(vec!["/t".to_owned()]),
        script_path: Some(vec!["/kettle.js".to_owned()]),
        hit_path: Some(vec!["/boil".to_owned()]),
        ..Stated::default()
    };
    let shop = Shop::open_with(Place::own_rules(), stated).await;
    let status = async |method: Method, path: &str| {
        let request = shop.http.request(method, format!("http://{}{path}", shop.sites()));
        request.body(r#"{"event": "e"}"#).send().await.expect("an answer").status().as_u16()
    };
    for path in ["/t.js", "/t/t.js", "/kettle.js", "/t/kettle.js", "/t/readyz"] {
        assert_eq!(status(Method::GET, path).await, 200, "{path}");
    }
    for path in ["/hit", "/t/hit", "/boil", "/t/boil", "/t/boil?x=1"] {
        assert_eq!(status(Method::POST, path).await, 204, "{path}");
    }
    for path in ["/t", "/t/", "/x/t.js", "/tt/t.js", "/kettle.js/"] {
        assert_eq!(status(Method::GET, path).await, 404, "{path}");
    }
    shop.close().await;
}

//! Further paths of the routes for sites, as the operator named them: prefixes, for a proxy that passes a path of the
//! site on as it is, and other names for the script and for hits, where the usual ones clash or are blocked. Takes a
//! request's path; gives the route's own.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use anyhow::ensure;
use axum::{
    Router,
    body::Body,
    http::{Request, Uri, uri::PathAndQuery},
};
use tower::ServiceExt;

use crate::{client::Client, site_script};

#[derive(Clone, Debug, Default)]
pub struct SitePaths {
    prefixes: Vec<Box<str>>,
    /// A path's other names, and the path.
    names: BTreeMap<Box<str>, &'static str>,
}

impl SitePaths {
    /// # Errors
    /// One of them is no path, or has two meanings.
    pub fn new(prefixes: &[String], scripts: &[String], hits: &[String]) -> anyhow::Result<Self> {
        let mut paths = Self::default();
        for prefix in prefixes {
            check("--path-prefix", prefix)?;
            paths.prefixes.push(prefix.as_str().into());
        }
        for (flag, own, names) in
            [("--script-path", site_script::PATH, scripts), ("--hit-path", Client::DataLayer.path(), hits)]
        {
            for name in names {
                check(flag, name)?;
                let other = paths.names.insert(name.as_str().into(), own);
                ensure!(other.is_none_or(|other| other == own), "{name} cannot be both --script-path and --hit-path");
            }
        }
        Ok(paths)
    }

    /// These routes under their further paths, too.
    pub fn over(self, routes: Router) -> Router {
        if self.prefixes.is_empty() && self.names.is_empty() {
            return routes;
        }
        let paths = Arc::new(self);
        let rewritten = routes.map_request(move |mut request: Request<Body>| {
            if let Some(uri) = paths.own_uri(request.uri()) {
                *request.uri_mut() = uri;
            }
            request
        });
        Router::new().fallback_service(rewritten)
    }

    /// The route's own path, if this is another of its paths.
    fn own<'p>(&self, path: &'p str) -> Option<Cow<'p, str>> {
        let fitting = self
            .prefixes
            .iter()
            .filter(|prefix| path.strip_prefix(&***prefix).is_some_and(|rest| rest.starts_with('/')));
        // A shorter one may be the beginning of a longer one.
        let prefix = fitting.max_by_key(|prefix| prefix.len());
        let rest = prefix.map_or(path, |prefix| &path[prefix.len()..]);
        match self.names.get(rest) {
            Some(own) => Some(Cow::Borrowed(own)),
            None => prefix.map(|_| Cow::Borrowed(rest)),
        }
    }

    fn own_uri(&self, uri: &Uri) -> Option<Uri> {
        let own = self.own(uri.path())?;
        let path = match uri.query() {
            Some(query) => format!("{own}?{query}"),
            None => own.into_owned(),
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
        Uri::from_parts(parts).ok()
    }
}

fn check(flag: &str, path: &str) -> anyhow::Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/".contains(&byte);
    let has_segments =
        path.strip_prefix('/').is_some_and(|rest| !rest.split('/').any(|part| matches!(part, "" | "." | "..")));
    ensure!(
        has_segments && path.bytes().all(is_plain),
        "{flag} takes a path such as /t, without a slash at its end, but not {path:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn paths() -> SitePaths {
        SitePaths::new(&texts(&["/t", "/shop/stats"]), &texts(&["/a.js"]), &texts(&["/e", "/in/e"])).expect("paths")
    }

    #[test]
    fn prefixes_and_names_lead_to_the_routes() {
        for (path, own) in [
            ("/t/t.js", "/t.js"),
            ("/t/hit", "/hit"),
            ("/t/healthz", "/healthz"),
            ("/shop/stats/a.js", "/t.js"),
            ("/a.js", "/t.js"),
            ("/e", "/hit"),
            ("/in/e", "/hit"),
            ("/t/in/e", "/hit"),
            ("/t/", "/"),
        ] {
            assert_eq!(paths().own(path).as_deref(), Some(own), "{path}");
        }
        for path in ["/t.js", "/hit", "/t", "/tt/hit", "/shop/hit", "/e/", "/"] {
            assert_eq!(paths().own(path), None, "{path}");
        }
    }

    #[test]
    fn of_prefixes_that_begin_alike_the_longest_counts() {
        for prefixes in [["/t", "/t/x"], ["/t/x", "/t"]] {
            let paths = SitePaths::new(&texts(&prefixes), &[], &[]).expect("paths");
            for path in ["/t/x/hit", "/t/hit"] {
                assert_eq!(paths.own(path).as_deref(), Some("/hit"), "{path} with {prefixes:?}");
            }
        }
    }

    #[test]
    fn a_query_stays() {
        let uri = paths().own_uri(&"/t/e?v=2&x=%20".parse().expect("an address")).expect("a path of ours");
        assert_eq!(uri, "/hit?v=2&x=%20");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for bad in ["", "/", "t", "/t/", "//t", "/t//x", "/a/../b", "/t?x", "/t#x", "/t x", "/{t}", "/ä"] {
            let error = SitePaths::new(&texts(&[bad]), &[], &[]).expect_err(bad);
            assert!(error.to_string().starts_with("--path-prefix takes a path"), "{error}");
        }
        let error = SitePaths::new(&[], &texts(&["/x"]), &texts(&["/x"])).expect_err("two meanings");
        assert_eq!(error.to_string(), "/x cannot be both --script-path and --hit-path");
    }
}

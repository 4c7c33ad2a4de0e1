//! The HTTP client that every destination shares: takes the operator's choices, gives a `reqwest` client.
//!
//! HTTP/1.1 only. Few requests of an account are in flight, so there is little to multiplex, and a request
//! that times out closes its own connection instead of leaving later ones on a dead one.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use reqwest::redirect;
use url::Url;

use super::guard::PublicNames;

/// An idle connection is closed before common servers (60 s and more) close it under a request.
const IDLE: Duration = Duration::from_secs(30);

/// The operator's choices.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// For name look-up, TCP and TLS together.
    pub connect_timeout: Duration,
    /// From the start of a request to the last byte of its answer.
    pub total_timeout: Duration,
    /// A proxy for all requests. `HTTP_PROXY` and its kin in the environment are not read: a key must not travel by way
    /// of a host that the operator did not name to Tidegate.
    pub proxy: Option<Url>,
    /// A Unix socket that every request goes through, whatever its address says.
    pub socket: Option<PathBuf>,
    pub reach: Reach,
}

/// Which addresses a client connects to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    #[default]
    Everywhere,
    /// Names that resolve to public addresses alone; numbers are for the caller to judge.
    Public,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(30),
            proxy: None,
            socket: None,
            reach: Reach::default(),
        }
    }
}

/// Builds the client: rustls with ring and the bundled Mozilla roots, no redirects, no proxy from the environment.
///
/// # Errors
/// If the proxy's address cannot be used.
pub fn client(options: &ClientOptions) -> anyhow::Result<reqwest::Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS has no usable protocol version")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];

    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(options.connect_timeout)
        .timeout(options.total_timeout)
        .pool_idle_timeout(IDLE)
        .no_proxy();
    let builder = match &options.proxy {
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.as_str()).context("the proxy's address is unusable")?),
        None => builder,
    };
    let builder = match &options.socket {
        Some(socket) => builder.unix_socket(socket.as_path()),
        None => builder,
    };
    let builder = match options.reach {
        Reach::Public => builder.dns_resolver(PublicNames),
        Reach::Everywhere => builder,
    };
    builder.build().context("the HTTP client cannot be built")
}

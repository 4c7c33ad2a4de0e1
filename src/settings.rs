//! The server's own settings, as opposed to the container's: addresses, data, limits. From flags, from the environment
//! (`TIDEGATE_<FLAG>`) and from a file, in this order; all are documented where they are declared.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, str::FromStr, time::Duration};

use anyhow::Context;
use clap::Args;
use ipnet::IpNet;
use serde::Deserialize;

use crate::{
    call::SecretName,
    delivery::{guard::Exempt, secrets::Keys},
    git::Remote,
    history::KeepHits,
    live::Follow,
    logging::LogFormat,
    site_paths::SitePaths,
    time,
};

/// What an operator said, by flag, environment or file; silent where `None`.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::doc_markdown, rustdoc::bare_urls, reason = "clap prints these comments as they stand here")]
pub struct Stated {
    /// Address on which sites send hits [default: 127.0.0.1:8080]
    #[arg(long, env = "TIDEGATE_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Address of the admin and of /metrics [default: 127.0.0.1:8081]
    #[arg(long, env = "TIDEGATE_ADMIN", value_name = "ADDRESS")]
    pub admin: Option<SocketAddr>,
    /// Folder for the outbox and other state [default: .tidegate]
    #[arg(long, env = "TIDEGATE_DATA", value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Where the OpenAI destination sends to [default: https://bzr.openai.com]
    #[arg(long, env = "TIDEGATE_OPENAI_URL", value_name = "URL")]
    pub openai_url: Option<url::Url>,
    /// Folder with one file for each secret, named like the secret
    #[arg(long, env = "TIDEGATE_SECRETS", value_name = "FOLDER")]
    pub secrets: Option<PathBuf>,
    /// Allow a destination to use a secret, as NAME=openai or NAME=https://host; OPENAI_* may go to openai without this
    #[arg(long, env = "TIDEGATE_BIND_SECRET", value_name = "NAME=DESTINATION", value_delimiter = ',')]
    pub bind_secret: Option<Vec<String>>,
    /// Names of secrets that servers show to say whom their events are of, as Authorization: Bearer or api_secret
    #[arg(long, env = "TIDEGATE_WRITE_KEYS", value_name = "NAME", value_delimiter = ',')]
    pub write_keys: Option<Vec<String>>,
    /// Hosts, or HOST:PORT, that calls may go to although they are not on the public internet
    #[arg(long, env = "TIDEGATE_ALLOW_PRIVATE_HOSTS", value_name = "HOST", value_delimiter = ',')]
    pub allow_private_hosts: Option<Vec<Exempt>>,
    /// Further environment variables that a container may read; OPENAI_PIXEL_ID and TIDEGATE_VAR_* always may be
    #[arg(long, env = "TIDEGATE_ALLOW_ENV", value_name = "NAME", value_delimiter = ',')]
    pub allow_env: Option<Vec<String>>,
    /// Networks of proxies whose X-Forwarded-For, X-Forwarded-Host and region headers are believed, such as 10.0.0.0/8,127.0.0.1/32
    #[arg(long, env = "TIDEGATE_TRUSTED_PROXIES", value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxies: Option<Vec<IpNet>>,
    /// Serve sites under these prefixes too, such as /t, for a proxy that passes a site's paths on as they are
    #[arg(long, env = "TIDEGATE_PATH_PREFIX", value_name = "PATH", value_delimiter = ',')]
    pub path_prefix: Option<Vec<String>>,
    /// Further paths of the site script, beside /t.js
    #[arg(long, env = "TIDEGATE_SCRIPT_PATH", value_name = "PATH", value_delimiter = ',')]
    pub script_path: Option<Vec<String>>,
    /// Further paths of hits, beside /hit
    #[arg(long, env = "TIDEGATE_HIT_PATH", value_name = "PATH", value_delimiter = ',')]
    pub hit_path: Option<Vec<String>>,
    /// Hits a second that one address may send; off unless set
    #[arg(long, env = "TIDEGATE_RATE_LIMIT", value_name = "HITS")]
    pub rate_limit: Option<std::num::NonZeroU32>,
    /// Connections served at the same time [default: 10000]
    #[arg(long, env = "TIDEGATE_MAX_CONNECTIONS", value_name = "NUMBER")]
    pub max_connections: Option<NonZeroUsize>,
    /// Megabytes of disk that are kept free for settling deliveries [default: 64]
    #[arg(long, env = "TIDEGATE_DISK_RESERVE", value_name = "MB")]
    pub disk_reserve: Option<u64>,
    /// Whether shapes and pseudonyms of hits are kept for a day, to hold changes against; off deletes them [default: on]
    #[arg(long, env = "TIDEGATE_KEEP_HITS", value_name = "ON|OFF", hide_possible_values = true)]
    pub keep_hits: Option<KeepHits>,
    /// Bytes that history.db may take; the oldest goes first [default: 268435456]
    #[arg(long, env = "TIDEGATE_HISTORY_BYTES", value_name = "BYTES")]
    pub history_bytes: Option<u64>,
    /// Seconds between "not ready" and the end of accepting, when stopping [default: 0]
    #[arg(long, env = "TIDEGATE_DRAIN", value_name = "SECONDS")]
    pub drain: Option<u64>,
    /// Follow a branch of this repository: what passes its check there goes live, and the branch here comes along
    #[arg(long, env = "TIDEGATE_REMOTE", hide_env_values = true, value_name = "URL")]
    pub remote: Option<String>,
    /// The branch that is followed [default: main]
    #[arg(long, env = "TIDEGATE_BRANCH", value_name = "NAME")]
    pub branch: Option<String>,
    /// How often the remote is asked, such as 30s, 5m or 1h [default: 30s]
    #[arg(long, env = "TIDEGATE_POLL", value_name = "TIME", value_parser = Poll::from_str)]
    pub poll: Option<Poll>,
    /// Name of the secret that signs POST /webhook/git on the admin's address, which asks the remote at once
    #[arg(long, env = "TIDEGATE_WEBHOOK_SECRET", value_name = "NAME")]
    pub webhook_secret: Option<String>,
    /// What is logged: a level, or levels by target [default: info]
    #[arg(long, env = "TIDEGATE_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How log lines are written [default: auto]
    #[arg(long, env = "TIDEGATE_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// With less, history.db could not hold its tables and a few hits.
const MIN_HISTORY_BYTES: u64 = 1 << 20;

/// The settings in force.
#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    pub data: PathBuf,
    pub openai_url: url::Url,
    pub secrets: Option<PathBuf>,
    /// Whose keys go out; no flag says it but `--demo`.
    pub keys: Keys,
    pub bind_secret: Vec<String>,
    pub write_keys: Vec<SecretName>,
    pub allow_private_hosts: Vec<Exempt>,
    pub allow_env: Vec<String>,
    pub trusted_proxies: Vec<IpNet>,
    pub site_paths: SitePaths,
    pub rate_limit: Option<std::num::NonZeroU32>,
    pub max_connections: usize,
    /// Bytes.
    pub disk_reserve: u64,
    pub keep_hits: KeepHits,
    pub history_bytes: u64,
    pub drain: Duration,
    pub follow: Option<Follow>,
    /// What the webhook is signed with; there is none without.
    pub webhook_secret: Option<SecretName>,
    pub log: String,
    pub log_format: LogFormat,
}

impl Stated {
    /// Reads a settings file: YAML, keys named like the flags with `_` for `-`.
    pub fn from_file(path: &std::path::Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_yaml::from_str(&text).with_context(|| format!("{} is not a settings file", path.display()))
    }

    /// What was said here, else what `file` says, else the default.
    pub fn over(self, file: Self) -> anyhow::Result<Settings> {
        let openai_url = match self.openai_url.or(file.openai_url) {
            Some(url) => url,
            None => url::Url::parse("https://bzr.openai.com").context("the default address")?,
        };
        anyhow::ensure!(
            matches!(openai_url.scheme(), "http" | "https") && openai_url.has_host(),
            "--openai-url must be an http or https address, but is {openai_url}"
        );
        let site_paths = SitePaths::new(
            &self.path_prefix.or(file.path_prefix).unwrap_or_default(),
            &self.script_path.or(file.script_path).unwrap_or_default(),
            &self.hit_path.or(file.hit_path).unwrap_or_default(),
        )?;
        let follow = follow(self.remote.or(file.remote), self.branch.or(file.branch), self.poll.or(file.poll))?;
        let webhook_secret = self.webhook_secret.or(file.webhook_secret).map(|name| SecretName(name.into()));
        anyhow::ensure!(
            webhook_secret.is_none() || follow.is_some(),
            "--webhook-secret makes a --remote be asked at once; name one"
        );
        Ok(Settings {
            listen: self.listen.or(file.listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080))),
            admin: self.admin.or(file.admin).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8081))),
            data: self.data.or(file.data).unwrap_or_else(|| PathBuf::from(".tidegate")),
            openai_url,
            secrets: self.secrets.or(file.secrets),
            keys: Keys::Operators,
            bind_secret: self.bind_secret.or(file.bind_secret).unwrap_or_default(),
            write_keys: names(self.write_keys.or(file.write_keys)),
            allow_private_hosts: self.allow_private_hosts.or(file.allow_private_hosts).unwrap_or_default(),
            allow_env: self.allow_env.or(file.allow_env).unwrap_or_default(),
            trusted_proxies: self.trusted_proxies.or(file.trusted_proxies).unwrap_or_default(),
            site_paths,
            rate_limit: self.rate_limit.or(file.rate_limit),
            max_connections: self
                .max_connections
                .or(file.max_connections)
                .map_or(10_000, NonZeroUsize::get)
                .min(1_000_000),
            disk_reserve: self.disk_reserve.or(file.disk_reserve).unwrap_or(64).saturating_mul(1024 * 1024),
            keep_hits: self.keep_hits.or(file.keep_hits).unwrap_or_default(),
            history_bytes: self.history_bytes.or(file.history_bytes).unwrap_or(256 << 20).max(MIN_HISTORY_BYTES),
            drain: Duration::from_secs(self.drain.or(file.drain).unwrap_or(0)),
            follow,
            webhook_secret,
            log: self.log.or(file.log).unwrap_or_else(|| "info".to_owned()),
            log_format: self.log_format.or(file.log_format).unwrap_or_default(),
        })
    }
}

/// A time between one and the next; a bare number is seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Poll(Duration);

impl Poll {
    const SHORTEST: Duration = Duration::from_secs(1);
    /// Whoever wants less does not want to follow.
    const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
}

impl FromStr for Poll {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = || text.parse().ok().map(Duration::from_secs);
        let every =
            time::length(text).or_else(seconds).ok_or_else(|| format!("{text:?} is no time such as 30s, 5m or 1h"))?;
        if (Self::SHORTEST..=Self::LONGEST).contains(&every) {
            Ok(Self(every))
        } else {
            Err(format!("{text:?} is not between 1s and 7d"))
        }
    }
}

impl TryFrom<String> for Poll {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

fn follow(remote: Option<String>, branch: Option<String>, poll: Option<Poll>) -> anyhow::Result<Option<Follow>> {
    let Some(remote) = remote else {
        anyhow::ensure!(
            branch.is_none() && poll.is_none(),
            "--branch and --poll say how to follow a --remote; name one"
        );
        return Ok(None);
    };
    let remote = Remote::new(&remote, branch.as_deref().unwrap_or("main"))?;
    Ok(Some(Follow { remote, every: poll.map_or(Duration::from_secs(30), |poll| poll.0) }))
}

/// Names of secrets, none for an empty list.
fn names(stated: Option<Vec<String>>) -> Vec<SecretName> {
    stated.unwrap_or_default().into_iter().filter(|name| !name.is_empty()).map(|name| SecretName(name.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_is_a_length_of_time_within_reason() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("7", 7), ("1h", 3600), ("1h 30m", 5400), ("2 days", 172_800)]
        {
            assert_eq!(text.parse(), Ok(Poll(Duration::from_secs(seconds))), "{text}");
        }
        for (text, words) in [
            ("", "is no time such as 30s, 5m or 1h"),
            ("often", "is no time"),
            ("m", "is no time"),
            ("-3s", "is no time"),
            ("0", "is not between 1s and 7d"),
            ("0s", "is not between"),
            ("999ms", "is not between"),
            ("99999999m", "is not between"),
            ("18446744073709551615", "is not between"),
        ] {
            let refusal = text.parse::<Poll>().unwrap_err();
            assert!(refusal.contains(words), "{text}: {refusal}");
        }
    }

    #[test]
    fn what_says_how_to_follow_needs_something_to_follow() {
        let refusal = |stated: Stated| stated.over(Stated::default()).unwrap_err().to_string();
        let branch = Stated { branch: Some("live".into()), ..Stated::default() };
        assert!(refusal(branch).contains("name one"));
        let webhook = Stated { webhook_secret: Some("HOOK".into()), ..Stated::default() };
        assert!(refusal(webhook).contains("name one"));
        let odd = Stated { remote: Some("../shop".into()), branch: Some("+a:b".into()), ..Stated::default() };
        assert!(refusal(odd).contains("cannot be the name of a branch"));
    }
}

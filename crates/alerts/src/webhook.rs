//! Who is told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::PathAndQuery;
use providers::{BaseUrl, BaseUrlError, Class, Dialect, Http2, ProviderConfig, Timeouts};

use crate::event::{Kind, Topic};
use crate::sign::Secret;

/// How long one try may take, from the connection to the end of the answer's head.
const PATIENCE: Duration = Duration::from_secs(10);

/// A webhook as the program runs on it.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its name: what its deliveries are kept under, over restarts and reloads.
    pub name: String,
    /// Where it is, as a place that can be called.
    pub provider: Arc<ProviderConfig>,
    /// Path and query of its URL.
    pub path: PathAndQuery,
    /// What its messages are signed with.
    pub secret: Secret,
    /// What it hears of.
    pub on: BTreeSet<Topic>,
}

/// What is told, to whom, and from when on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who is told.
    pub webhooks: Vec<Webhook>,
    /// The journal may lose this fraction of its records within [`watch::SPAN`](crate::watch::SPAN), 0 to 1.
    pub journal_drops: f64,
    /// The shadow may lose this fraction of its copies within the same time, 0 to 1.
    pub shadow_drops: f64,
    /// A live rollout whose evidence does not grow for this long is stale.
    pub stale_after: Duration,
}

impl Default for Settings {
    /// Nobody is told. Limits as for gates: 0.1 % of records, 10 % of copies; an hour without evidence.
    fn default() -> Self {
        Self { webhooks: Vec::new(), journal_drops: 0.001, shadow_drops: 0.1, stale_after: Duration::from_secs(3600) }
    }
}

/// A URL that cannot be called, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookUrlError {
    /// It is none.
    #[error("`{0}` is not a URL; write https://host/path")]
    NotAUrl(String),
    /// What is before its path cannot be called.
    #[error(transparent)]
    Base(#[from] BaseUrlError),
}

/// A webhook's URL: a place, and what is asked for there.
#[derive(Debug, Clone)]
pub struct WebhookUrl {
    base: BaseUrl,
    path: PathAndQuery,
}

impl WebhookUrl {
    /// Reads `http://` or `https://`, a host, and a path, with a query or without.
    ///
    /// # Errors
    /// When it is no URL, carries a user name, or has another scheme.
    pub fn parse(text: &str) -> Result<WebhookUrl, WebhookUrlError> {
        let not_a_url = || WebhookUrlError::NotAUrl(text.rsplit('@').next().unwrap_or_default().to_owned());
        let uri: Uri = text.parse().map_err(|_| not_a_url())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(not_a_url()) };
        let base = BaseUrl::origin(&format!("{scheme}://{authority}"))?;
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(WebhookUrl { base, path })
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &str {
        self.base.host()
    }
}

impl Webhook {
    /// A webhook at this place. Its kind of place decides what it may be told of rollouts whose requests stay in the house.
    #[must_use]
    pub fn new(name: String, url: WebhookUrl, class: Class, secret: Secret, on: BTreeSet<Topic>) -> Webhook {
        let WebhookUrl { base, path } = url;
        let mut provider = ProviderConfig::new(format!("alerts:{name}"), Dialect::Openai, base);
        provider.class = class;
        // One message now and then: nothing is gained by more, and a kept connection is stale by the next.
        provider.http2 = Http2::Never;
        provider.max_connections = 4;
        provider.timeouts = Timeouts { total: PATIENCE, first_token: PATIENCE, ..Timeouts::default() };
        Webhook { name, provider: Arc::new(provider), path, secret, on }
    }

    /// Whether it hears of this. Everybody hears of a test.
    #[must_use]
    pub fn hears_of(&self, kind: Kind) -> bool {
        kind == Kind::Test || kind.topics().iter().any(|topic| self.on.contains(topic))
    }

    /// Whether it is outside the house.
    #[must_use]
    pub fn is_outside(&self) -> bool {
        self.provider.class.is_external()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_place_and_a_path() {
        let url = WebhookUrl::parse("https://hooks.example/a/b?c=d").unwrap();
        assert_eq!((url.path.as_str(), url.base.is_https()), ("/a/b?c=d", true));
        assert_eq!(WebhookUrl::parse("http://127.0.0.1:9").unwrap().path, "/");
        for bad in ["hooks.example/a", "ftp://hooks.example/a", "https://user:pass@hooks.example/a", "/a", ""] {
            let error = WebhookUrl::parse(bad).unwrap_err();
            assert!(!error.to_string().contains("user:pass"), "{error}");
        }
    }

    #[test]
    fn a_rollback_is_heard_of_by_who_asks_for_breaches_and_by_who_asks_for_transitions() {
        let hears = |on: &[Topic], kind| {
            let url = WebhookUrl::parse("http://127.0.0.1:9").unwrap();
            let secret = Secret::parse("0123456789abcdef").unwrap();
            Webhook::new("a".into(), url, Class::External, secret, on.iter().copied().collect()).hears_of(kind)
        };
        assert!(hears(&[Topic::Breaches], Kind::RolledBack) && hears(&[Topic::Transitions], Kind::RolledBack));
        assert!(!hears(&[Topic::Breaches], Kind::Moved) && !hears(&[Topic::Probe], Kind::RolledBack));
        assert!(hears(&[], Kind::Test));
    }
}

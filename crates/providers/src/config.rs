mod dialect;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::header::HeaderName;
use http::uri::Scheme;
use wire::capability::{BackendKind, Profile};
use wire::private::Private;
use wire::translate;
use xxhash_rust::xxh3::Xxh3;

use crate::budget::BudgetLimits;
use crate::retry::RetryRules;
use crate::simulated::SimulatedConfig;

pub use dialect::Dialect;

/// A provider as the program runs on it: every value is resolved and valid.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// Name in the config.
    pub name: String,
    /// What it speaks.
    pub dialect: Dialect,
    /// The ways to ask for text that it has of its own. A request in another is translated.
    pub speaks: Vec<translate::Dialect>,
    /// Where it is. A simulated provider has no place; the value is not used.
    pub base_url: BaseUrl,
    /// Crossfade's own key for it, sent in the header the dialect looks for it in.
    pub api_key: Option<Private<String>>,
    /// Headers of a caller's that go on to it although they say in whose name is asked: `openai-organization`,
    /// `openai-project`.
    pub forward_headers: Vec<HeaderName>,
    /// What kind of service it is: for cost and reports, and for what may not leave the house.
    pub class: Class,
    /// Where it stands, in the operator's words; for reports.
    pub region: Option<String>,
    /// How long each part of a call may take.
    pub timeouts: Timeouts,
    /// Trust these certificates (PEM) instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether HTTP/2 is spoken.
    pub http2: Http2,
    /// How many calls may be in flight at once over all threads; more are refused as `capacity`.
    pub max_connections: usize,
    /// How long an unused connection is kept. Must be shorter than the provider keeps it.
    pub idle_timeout: Duration,
    /// How long a connection gets new calls. Its calls under way go on after that; the next one looks the name up again, so that
    /// a provider that moved is found although its old place still answers.
    pub connection_lifetime: Duration,
    /// How often an HTTP/2 connection with calls under way is asked whether it is alive; one that does not say so for as long
    /// again is given up. `None` never asks.
    pub http2_ping: Option<Duration>,
    /// What kind of server it is, and what is done about what such a server does not do.
    pub capabilities: Arc<Profile>,
    /// When a call to it is made again, where neither target nor route say otherwise.
    pub retries: RetryRules,
    /// How much of what it gets may be retries.
    pub retry_budget: BudgetLimits,
}

impl ProviderConfig {
    /// A provider with the defaults: 1 024 calls at once, and connections kept for 55 s over TLS (vendors keep theirs for
    /// minutes) and for 4 s in clear text (Uvicorn, which vLLM runs on, keeps them for 5 s).
    pub fn new(name: impl Into<String>, dialect: Dialect, base_url: BaseUrl) -> Self {
        let class = if matches!(dialect, Dialect::Simulated(_)) { Class::Simulated } else { Class::Vendor };
        let idle_timeout = Duration::from_secs(if base_url.is_https() { 55 } else { 4 });
        Self {
            name: name.into(),
            speaks: dialect.usually_speaks(&base_url),
            dialect,
            base_url,
            api_key: None,
            forward_headers: Vec::new(),
            class,
            region: None,
            timeouts: Timeouts::default(),
            ca_file: None,
            http2: Http2::Auto,
            max_connections: 1024,
            idle_timeout,
            connection_lifetime: Duration::from_secs(300),
            http2_ping: Some(Duration::from_secs(20)),
            capabilities: Arc::new(Profile::of(BackendKind::Generic)),
            retries: RetryRules::default(),
            retry_budget: BudgetLimits::default(),
        }
    }

    /// Another instance of it elsewhere: the same in everything but its place and its name.
    #[must_use]
    pub fn at(&self, base_url: BaseUrl) -> Self {
        Self { name: format!("{}@{}", self.name, base_url.authority()), base_url, ..self.clone() }
    }

    /// A simulated provider with these settings.
    pub fn simulated(name: impl Into<String>, simulated: SimulatedConfig) -> Self {
        Self::new(name, Dialect::Simulated(Box::new(simulated)), BaseUrl::nowhere())
    }

    /// Whether its answers are made up.
    pub fn is_simulated(&self) -> bool {
        matches!(self.dialect, Dialect::Simulated(_))
    }

    /// What a connection to it depends on. Two configs with the same identity share pools and limits, so a reload that
    /// changes only the rules for retries or the timeouts after the connection interrupts nothing. `class` and `region` are on
    /// the ledger of every connection, so a change of them begins with new ones.
    pub fn identity(&self) -> Identity {
        let mut hasher = Xxh3::new();
        self.name.hash(&mut hasher);
        self.dialect.identity().hash(&mut hasher);
        self.base_url.text.hash(&mut hasher);
        self.class.hash(&mut hasher);
        self.region.hash(&mut hasher);
        self.api_key.as_ref().map(Private::expose).hash(&mut hasher);
        self.ca_file.hash(&mut hasher);
        // The file's content counts, not only its name: a renewed certificate needs new connections.
        self.ca_file.as_ref().map(|path| std::fs::read(path).unwrap_or_default()).hash(&mut hasher);
        self.http2.hash(&mut hasher);
        self.max_connections.hash(&mut hasher);
        self.idle_timeout.hash(&mut hasher);
        self.connection_lifetime.hash(&mut hasher);
        self.http2_ping.hash(&mut hasher);
        self.timeouts.connect.hash(&mut hasher);
        Identity(hasher.finish())
    }
}

/// The hash of what a connection depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(u64);

/// What kind of service a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A vendor's API, paid per token.
    Vendor,
    /// Open weights served by somebody else.
    Hosted,
    /// Open weights on one's own machines.
    SelfHosted,
    /// Made up.
    Simulated,
    /// Somebody else's; more is not said.
    External,
}

impl Class {
    /// The word in config and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Vendor => "vendor",
            Class::Hosted => "hosted",
            Class::SelfHosted => "self_hosted",
            Class::Simulated => "simulated",
            Class::External => "external",
        }
    }

    /// Whether what is sent to it leaves the house.
    pub const fn is_external(self) -> bool {
        match self {
            Class::Vendor | Class::Hosted | Class::External => true,
            Class::SelfHosted | Class::Simulated => false,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long each part of a call may take. This room runs `connect` and, until the answer's head is there, `first_token`
/// (streamed) or `answer` (not streamed). The relay runs the rest: only it can tell content from comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution, TCP and TLS together.
    pub connect: Duration,
    /// From the call to the first content.
    pub first_token: Duration,
    /// Between two events with data.
    pub inter_token: Duration,
    /// From the call to the last byte, of a stream and of what is passed through as it comes.
    pub total: Duration,
    /// The same for any other answer; `None` is as long as `total`.
    pub answer: Option<Duration>,
}

impl Timeouts {
    /// From the call to the last byte of an answer that is no stream.
    pub fn whole_answer(&self) -> Duration {
        self.answer.unwrap_or(self.total)
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_token: Duration::from_secs(60),
            inter_token: Duration::from_secs(30),
            total: Duration::from_secs(600),
            answer: None,
        }
    }
}

/// Whether HTTP/2 is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Http2 {
    /// Over TLS when the provider offers it (ALPN); HTTP/1.1 in clear text.
    Auto,
    /// HTTP/1.1 always.
    Never,
    /// HTTP/2 always, in clear text too.
    PriorKnowledge,
}

/// Where a provider is: scheme, host and the path that its endpoints are below.
///
/// A bare host gets `/v1`; any other path is taken as it is, as the official SDKs do. A slash at the end does not matter.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    uri: Uri,
}

/// A base URL that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// It is not a URL.
    #[error("`{0}` is not a URL; write https://host/v1")]
    NotAUrl(String),
    /// The scheme is missing or another one.
    #[error("a provider's URL starts with http:// or https://")]
    Scheme,
    /// It carries a user name or a password.
    #[error("a provider's URL carries no user name or password; use `api_key`")]
    Credentials,
    /// It carries a query.
    #[error("a provider's URL carries no query")]
    Query,
}

impl BaseUrl {
    /// Reads a URL of a provider that speaks OpenAI's dialect.
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        Self::parse_for(text, &Dialect::Openai)
    }

    /// Reads a URL of a provider that speaks `dialect`: a bare host gets the path that is usual there.
    pub fn parse_for(text: &str, dialect: &Dialect) -> Result<Self, BaseUrlError> {
        Self::read(text, dialect.usual_path())
    }

    /// Reads the URL of a place that is no provider's: whoever calls it says the whole path.
    pub fn origin(text: &str) -> Result<Self, BaseUrlError> {
        Self::read(text, "")
    }

    fn read(text: &str, usual_path: &str) -> Result<Self, BaseUrlError> {
        let trimmed = text.trim().trim_end_matches('/');
        let uri: Uri = trimmed.parse().map_err(|_| BaseUrlError::NotAUrl(without_credentials(text)))?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else { return Err(BaseUrlError::Scheme) };
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err(BaseUrlError::Scheme);
        }
        if authority.as_str().contains('@') {
            return Err(BaseUrlError::Credentials);
        }
        if trimmed.contains('?') || trimmed.contains('#') {
            return Err(BaseUrlError::Query);
        }
        let path = match uri.path().trim_end_matches('/') {
            "" => usual_path,
            path => path,
        };
        let text = format!("{scheme}://{authority}{path}");
        let uri = text.parse().map_err(|_| BaseUrlError::NotAUrl(text.clone()))?;
        Ok(Self { text, uri })
    }

    /// The place of a provider that has none.
    pub fn nowhere() -> Self {
        Self { text: "http://simulated.invalid/v1".to_owned(), uri: Uri::from_static("http://simulated.invalid/v1") }
    }

    /// Whether it is spoken to over TLS.
    pub fn is_https(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    /// The URL as text, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host alone.
    pub fn host(&self) -> &str {
        self.uri.host().unwrap_or_default()
    }

    /// Host and port as they are written.
    pub(crate) fn authority(&self) -> &str {
        self.uri.authority().map_or("", http::uri::Authority::as_str)
    }
}

fn without_credentials(text: &str) -> String {
    text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, rest)| format!("…@{rest}"))
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        Self::parse(text)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use wire::record::Endpoint;

    use super::*;

    #[track_caller]
    fn check(base: &str, expected: &str) {
        let config = |base| ProviderConfig::new("a", Dialect::Openai, base);
        let url = BaseUrl::parse(base).map(|base| config(base).uri(Endpoint::ChatCompletions).to_string());
        assert_eq!(url.unwrap_or_else(|error| error.to_string()), expected);
    }

    #[test]
    fn a_base_url_is_joined_whether_it_ends_in_v1_or_a_slash_or_not() {
        check("http://gpu-1:8000", "http://gpu-1:8000/v1/chat/completions");
        check("http://gpu-1:8000/", "http://gpu-1:8000/v1/chat/completions");
        check("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions");
        check("https://api.openai.com/v1/", "https://api.openai.com/v1/chat/completions");
        check("https://host/api/paas/v4/", "https://host/api/paas/v4/chat/completions");
        check("http://[::1]:8000/v1", "http://[::1]:8000/v1/chat/completions");
    }

    #[test]
    fn a_base_url_that_could_carry_secrets_or_surprises_is_refused() {
        check("ftp://host/v1", "a provider's URL starts with http:// or https://");
        check("api.openai.com/v1", "`api.openai.com/v1` is not a URL; write https://host/v1");
        check("https://user:pass@host/v1", "a provider's URL carries no user name or password; use `api_key`");
        check("https://host/v1?key=1", "a provider's URL carries no query");
    }

    #[test]
    fn identity_changes_with_what_a_connection_depends_on_and_only_with_that() {
        let base = || ProviderConfig::new("a", Dialect::Openai, BaseUrl::parse("http://h:1").unwrap());
        let first = base().identity();
        let changed = |change: fn(&mut ProviderConfig)| {
            let mut config = base();
            change(&mut config);
            config.identity() != first
        };
        assert!(!changed(|_| ()));
        assert!(!changed(|config| config.retry_budget.ratio = 0.5));
        assert!(!changed(|config| config.retries.max_attempts = Some(9)));
        assert!(!changed(|config| config.timeouts.total = Duration::from_secs(1)));
        assert!(changed(|config| config.api_key = Some(Private::new("k".to_owned()))));
        assert!(changed(|config| config.base_url = BaseUrl::parse("http://h:2").unwrap()));
        assert!(changed(|config| config.class = Class::SelfHosted));
        assert!(changed(|config| config.region = Some("eu".to_owned())));
        assert!(changed(|config| config.http2 = Http2::PriorKnowledge));
        assert!(changed(|config| config.timeouts.connect = Duration::from_secs(1)));
    }

    #[test]
    fn a_key_is_not_printed_with_its_config() {
        let mut config = ProviderConfig::new("a", Dialect::Openai, BaseUrl::parse("http://h:1").unwrap());
        config.api_key = Some(Private::new("sk-canary".to_owned()));
        assert!(!format!("{config:?}").contains("sk-canary"));
    }
}

//! `providers`: who answers.

use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderName;
use providers::{BaseUrl, Class, Dialect, Http2, ProviderConfig, Timeouts};
use wire::translate;

use super::calling;
use super::reader::{Item, Section, Written};
use super::targets::Named;

mod capabilities;
mod simulated;

/// Providers by name.
pub(crate) type Providers = Named<Arc<ProviderConfig>>;

/// `providers`.
pub(crate) fn read(root: &Section<'_>) -> Providers {
    let read = |(name, item): (Written<String>, Item<'_>)| {
        let provider = item.section().and_then(|section| provider(&name.value, section));
        (name.value, provider.map(Arc::new))
    };
    Named { what: "provider", found: root.named("providers").into_iter().map(read).collect() }
}

fn provider(name: &str, section: Section<'_>) -> Option<ProviderConfig> {
    let words = [("openai", Word::Openai), ("azure", Word::Azure), ("anthropic", Word::Anthropic)];
    let words: Vec<_> = words.into_iter().chain([("simulated", Word::Simulated)]).collect();
    let word = match section.get("dialect") {
        Some(item) => item.word(&words),
        None => Some(Word::Openai),
    };
    let api_version = match word {
        Some(Word::Azure) | None => section.get("api_version").and_then(|item| item.parsed(API_VERSION, api_version)),
        _ => None,
    };
    let dialect = match word {
        Some(Word::Openai) => Some(Dialect::Openai),
        Some(Word::Azure) => Some(Dialect::Azure { api_version }),
        Some(Word::Anthropic) => Some(Dialect::Anthropic),
        Some(Word::Simulated) | None => None,
    };
    let provider = match (word, dialect) {
        (Some(Word::Simulated), _) => Some(ProviderConfig::simulated(name, simulated::read(&section))),
        (_, Some(dialect)) => base_url(&section, &dialect).map(|url| ProviderConfig::new(name, dialect, url)),
        // The dialect is unknown: whatever belongs to any of them is let pass.
        (_, None) => {
            section.get("base_url");
            section.get("simulated");
            None
        }
    };
    let mut provider = provider.unwrap_or_else(|| ProviderConfig::new(name, Dialect::Openai, BaseUrl::nowhere()));
    common(&section, &mut provider);
    section.finish();
    word.map(|_| provider)
}

/// `dialect` as it is written.
#[derive(Clone, Copy)]
enum Word {
    Openai,
    Azure,
    Anthropic,
    Simulated,
}

const API_VERSION: &str = "a version such as `2024-10-21`";

fn api_version(text: &str) -> Option<String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    (plain && (1..=64).contains(&text.len())).then(|| text.to_owned())
}

const REGION: &str = "a region such as `eu-west-1` or `rack-7`";

fn region(text: &str) -> Option<String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (plain && (1..=64).contains(&text.len())).then(|| text.to_owned())
}

fn base_url(section: &Section<'_>, dialect: &Dialect) -> Option<BaseUrl> {
    let item = section.need("base_url")?;
    let text = item.string()?;
    match BaseUrl::parse_for(&text.value, dialect) {
        Ok(url) => Some(url),
        Err(error) => {
            item.note(error.to_string(), None);
            None
        }
    }
}

fn common(section: &Section<'_>, provider: &mut ProviderConfig) {
    let classes =
        [Class::Vendor, Class::Hosted, Class::SelfHosted, Class::External].map(|class| (class.as_str(), class));
    let http2 = [("auto", Http2::Auto), ("never", Http2::Never), ("prior_knowledge", Http2::PriorKnowledge)];
    if let Some(key) = section.get("api_key") {
        provider.api_key = key.secret();
    }
    let forwarded = section.get("forward_headers").and_then(|item| item.list("header names")).unwrap_or_default();
    provider.forward_headers = forwarded.iter().filter_map(|item| item.word(&IN_WHOSE_NAME)).map(header).collect();
    if let Some(items) = section.get("speaks").and_then(|item| item.list("dialects")) {
        let words = SPOKEN.map(|dialect| (dialect.as_str(), dialect));
        provider.speaks = items.iter().filter_map(|item| item.word(&words)).collect();
    }
    if let Some(class) = section.get("class").and_then(|item| item.word(&classes)) {
        provider.class = class;
    }
    provider.region = section.get("region").and_then(|item| item.parsed(REGION, region));
    if let Some(http2) = section.get("http2").and_then(|item| item.word(&http2)) {
        provider.http2 = http2;
    }
    if let Some(item) = section.get("ca_file")
        && let Some(path) = item.path()
    {
        if !path.is_file() {
            item.note(format!("there is no file {}", path.display()), None);
        }
        provider.ca_file = Some(path);
    }
    if let Some(n) = section.get("max_connections").and_then(|item| item.count(1, 1 << 20)) {
        provider.max_connections = usize::try_from(n).unwrap_or(usize::MAX);
    }
    if let Some(idle) = section.get("idle_timeout").and_then(|item| item.duration()) {
        provider.idle_timeout = idle;
    }
    if let Some(lifetime) = section.get("connection_lifetime").and_then(|item| item.duration()) {
        provider.connection_lifetime = lifetime;
    }
    if let Some(every) = section.get("http2_ping").and_then(|item| item.duration()) {
        provider.http2_ping = (!every.is_zero()).then_some(every);
    }
    // Read with the prices.
    section.get("price");
    provider.timeouts = timeouts(section);
    provider.retries = calling::retries(section);
    provider.retry_budget = calling::retry_budget(section);
    provider.capabilities = capabilities::read(section, provider);
}

/// The ways to ask a model for text.
const SPOKEN: [translate::Dialect; 3] =
    [translate::Dialect::Chat, translate::Dialect::Responses, translate::Dialect::Messages];

/// The headers that say in whose name a caller asks. Others travel always or never.
const IN_WHOSE_NAME: [(&str, &str); 2] =
    [("openai-organization", "openai-organization"), ("openai-project", "openai-project")];

fn header(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

fn timeouts(section: &Section<'_>) -> Timeouts {
    let section = section.section("timeouts");
    let defaults = Timeouts::default();
    let positive = |key, default: Duration| {
        let Some(item) = section.get(key) else { return default };
        let timeout = item.duration();
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            item.note("a timeout of nothing lets nothing through", None);
        }
        timeout.unwrap_or(default)
    };
    let timeouts = Timeouts {
        connect: positive("connect", defaults.connect),
        first_token: positive("first_token", defaults.first_token),
        inter_token: positive("inter_token", defaults.inter_token),
        total: positive("total", defaults.total),
        answer: section.get("answer").is_some().then(|| positive("answer", defaults.total)),
    };
    section.finish();
    timeouts
}

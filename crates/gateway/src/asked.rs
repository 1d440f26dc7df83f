//! What of a request travels beside its body: the method and path of what a provider keeps, and the few headers a caller may
//! send through. A request can choose no host and no credential with any of it.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Uri};
use providers::{Dialect, ProviderConfig, Special};
use wire::multipart;
use wire::openai::Refusal;
use wire::record::{Endpoint, Service};

/// The headers of a caller that go on to a provider. All others stay here.
const TRAVELS: [HeaderName; 3] = [
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("x-client-request-id"),
];

/// Headers that say in whose name the caller asks. They go on only to a provider whose config says so.
const TRAVELS_IF_CONFIGURED: [HeaderName; 2] =
    [HeaderName::from_static("openai-organization"), HeaderName::from_static("openai-project")];

/// Headers that mean something only to Anthropic, and go on only to a provider that speaks its dialect.
const TRAVELS_TO_ANTHROPIC: [HeaderName; 2] =
    [HeaderName::from_static("anthropic-version"), HeaderName::from_static("anthropic-beta")];

/// Longer paths and queries are refused.
const MAX_BELOW: usize = 4096;

/// What travels beside the body of one request.
#[derive(Debug, Default, Clone)]
pub(crate) struct Beside {
    /// For what a provider keeps: how and where below its base URL.
    kept: Option<(Method, PathAndQuery)>,
    /// The content type, when it is not JSON.
    content_type: Option<HeaderValue>,
    /// Those of the caller's headers that may travel.
    headers: HeaderMap,
    any_answer: bool,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outbound<'a> {
    pub(crate) provider: &'a ProviderConfig,
    pub(crate) endpoint: Endpoint,
    /// The model as the provider calls it.
    pub(crate) model: &'a str,
    /// The version of Anthropic's API, when the request was translated for it.
    pub(crate) version: Option<&'static str>,
}

impl Beside {
    /// Of a request to `endpoint`, whose path below the base URL is `below`.
    pub(crate) fn of(
        endpoint: Endpoint,
        (method, uri, below): (&Method, &Uri, &str),
        headers: &HeaderMap,
    ) -> Result<Self, Refusal> {
        let mut beside = Self { any_answer: !answers_in_json(endpoint), ..Self::default() };
        for name in TRAVELS.iter().chain(&TRAVELS_IF_CONFIGURED).chain(&TRAVELS_TO_ANTHROPIC) {
            for value in headers.get_all(name) {
                beside.headers.append(name.clone(), value.clone());
            }
        }
        if endpoint.service() == Service::Provider {
            beside.kept = Some((method.clone(), checked(below, uri.query())?));
            beside.content_type = headers.get(CONTENT_TYPE).cloned();
        }
        Ok(beside)
    }

    /// For what a provider keeps, the method, path and query as records have them.
    pub(crate) fn asked(&self) -> Option<String> {
        self.kept.as_ref().map(|(method, below)| format!("{method} {below}"))
    }

    /// Headers that say more than who asks, and which request it is.
    pub(crate) fn said_to_the_model(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.headers.iter().filter(|(name, _)| **name != TRAVELS[0] && **name != TRAVELS[2])
    }

    /// Whether it changes something that a provider keeps.
    pub(crate) fn is_change(&self) -> bool {
        self.kept.as_ref().is_some_and(|(method, _)| *method != Method::GET)
    }

    /// The boundary between the parts of what goes to a provider as a form.
    pub(crate) fn boundary(&self) -> Option<&str> {
        multipart::boundary(self.content_type.as_ref()?.to_str().ok()?)
    }

    /// Says that the body is a form.
    pub(crate) fn is_form(&mut self, content_type: &HeaderValue) {
        self.content_type = Some(content_type.clone());
    }

    /// The same for a copy, which is nobody's request: what names the caller's own stays behind.
    pub(crate) fn special_of_copy(&self, to: &Outbound<'_>) -> Option<Box<Special>> {
        let mut special = self.special(to)?;
        for name in [&TRAVELS[0], &TRAVELS[2]] {
            special.headers.remove(name);
        }
        Some(special)
    }

    /// The same for the call; nothing for most requests.
    pub(crate) fn special(&self, to: &Outbound<'_>) -> Option<Box<Special>> {
        let has_deployments = to.provider.has_deployments(to.endpoint);
        let is_plain =
            self.kept.is_none() && self.content_type.is_none() && !self.any_answer && self.headers.is_empty();
        if is_plain && !has_deployments && to.version.is_none() {
            return None;
        }
        let deployment = has_deployments.then(|| to.model.to_owned());
        let (method, below) = self.kept.clone().unzip();
        let mut headers = self.headers.clone();
        for name in &TRAVELS_IF_CONFIGURED {
            if !to.provider.forward_headers.contains(name) {
                headers.remove(name);
            }
        }
        // A translated request is written for a version of its own, and nothing of a beta is in it.
        let speaks_of_it = matches!(to.provider.dialect, Dialect::Anthropic) && to.version.is_none();
        if !speaks_of_it {
            TRAVELS_TO_ANTHROPIC.iter().for_each(|name| drop(headers.remove(name)));
        }
        if let Some(version) = to.version {
            headers.insert(&TRAVELS_TO_ANTHROPIC[0], HeaderValue::from_static(version));
        }
        if let Some(content_type) = &self.content_type {
            headers.insert(CONTENT_TYPE, content_type.clone());
        }
        if self.any_answer {
            headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        }
        Some(Box::new(Special { method, below, deployment, headers }))
    }
}

/// Whether an answer can only be JSON or a stream of events.
fn answers_in_json(endpoint: Endpoint) -> bool {
    let may_be_else = matches!(endpoint, Endpoint::Speech | Endpoint::Transcriptions | Endpoint::Translations);
    !may_be_else && endpoint.service() != Service::Provider
}

/// A path and query as they may be put below a provider's base URL: plain names between slashes, no way up, nothing that is
/// escaped, so that no two servers read it differently.
fn checked(below: &str, query: Option<&str>) -> Result<PathAndQuery, Refusal> {
    let wrong = |what: &'static str| Refusal::invalid_request(what, None);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:~=".contains(&byte);
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(plain) && name.bytes().any(|byte| byte != b'.');
    let mut names = below.strip_prefix('/').unwrap_or_default().split('/');
    if !names.all(is_name) {
        return Err(wrong("The path holds something that is not an id: only letters, digits and `-_.:~=` are."));
    }
    // Which version of an API is spoken is between Crossfade and the provider.
    let kept: Vec<&str> = query
        .unwrap_or_default()
        .split('&')
        .filter(|part| !part.is_empty() && part.split('=').next() != Some("api-version"))
        .collect();
    let text = if kept.is_empty() { below.to_owned() } else { format!("{below}?{}", kept.join("&")) };
    if text.len() > MAX_BELOW {
        return Err(wrong("The path and its query are too long."));
    }
    text.parse().map_err(|_| wrong("The path and its query cannot be read."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(below: &str, query: Option<&str>) -> String {
        match checked(below, query) {
            Ok(path) => path.to_string(),
            Err(refusal) => refusal.status.to_string(),
        }
    }

    #[test]
    fn a_path_below_is_plain_names_and_a_query() {
        assert_eq!(shown("/files/file-abc/content", None), "/files/file-abc/content");
        assert_eq!(shown("/files", Some("limit=2&after=file-1&api-version=2024-10-21")), "/files?limit=2&after=file-1");
        assert_eq!(shown("/files", Some("api-version=2024-10-21")), "/files");
        for trap in ["/files/../admin", "/files/%2e%2e/x", "/files//x", "/files/", "/files/a@b", "/files/a\\b", "files"]
        {
            assert_eq!(shown(trap, None), "400", "{trap}");
        }
        assert_eq!(shown(&format!("/files/{}", "x".repeat(5000)), None), "400");
    }

    #[test]
    fn only_headers_on_the_list_travel_and_an_organization_only_where_the_config_says_so() {
        let mut headers = HeaderMap::new();
        for name in
            ["authorization", "api-key", "cookie", "host", "idempotency-key", "openai-organization", "x-api-key"]
        {
            headers.insert(name, HeaderValue::from_static("1"));
        }
        let (uri, method) = (Uri::from_static("/v1/chat/completions"), Method::POST);
        let beside =
            Beside::of(Endpoint::ChatCompletions, (&method, &uri, "/chat/completions"), &headers).ok().unwrap();
        let mut provider = ProviderConfig::simulated("p", Default::default());
        let names = |provider: &ProviderConfig| {
            let to = Outbound { provider, endpoint: Endpoint::ChatCompletions, model: "m", version: None };
            let special = beside.special(&to).unwrap();
            let mut names: Vec<_> = special.headers.keys().map(|name| name.as_str().to_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&provider), ["idempotency-key"]);
        provider.forward_headers.push(HeaderName::from_static("openai-organization"));
        assert_eq!(names(&provider), ["idempotency-key", "openai-organization"]);
    }

    #[test]
    fn a_plain_request_has_nothing_beside_its_body() {
        let (uri, method) = (Uri::from_static("/v1/chat/completions"), Method::POST);
        let beside = Beside::of(Endpoint::ChatCompletions, (&method, &uri, "/x"), &HeaderMap::new()).ok().unwrap();
        let provider = ProviderConfig::simulated("p", Default::default());
        let to = Outbound { provider: &provider, endpoint: Endpoint::ChatCompletions, model: "m", version: None };
        assert!(beside.special(&to).is_none());
    }
}

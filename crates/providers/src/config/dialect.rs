//! What a provider speaks, and the URLs that follow from it.

use http::Uri;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use http::uri::PathAndQuery;
use wire::private::Private;
use wire::record::Endpoint;
use wire::translate;

use super::{BaseUrl, ProviderConfig};
use crate::simulated::SimulatedConfig;

/// What a provider speaks.
#[derive(Clone, Debug)]
pub enum Dialect {
    /// OpenAI's HTTP API, as OpenAI, vLLM, SGLang, llama.cpp and many others offer it.
    Openai,
    /// OpenAI's API as Azure offers it: the key in `api-key`, and with an API version the model in the path.
    Azure {
        /// `api-version`. Without one, the newer paths below `/openai/v1` are called, which need none.
        api_version: Option<String>,
    },
    /// Anthropic's Messages: the key in `x-api-key`, and a version in `anthropic-version`.
    Anthropic,
    /// Answered within this process.
    Simulated(Box<SimulatedConfig>),
}

impl Dialect {
    /// The path below a host that is given without one.
    pub(super) fn usual_path(&self) -> &'static str {
        match self {
            Dialect::Azure { api_version: Some(_) } => "/openai",
            Dialect::Azure { api_version: None } => "/openai/v1",
            Dialect::Openai | Dialect::Anthropic | Dialect::Simulated(_) => "/v1",
        }
    }

    /// The ways to ask for text that a provider at `base_url` has of its own when the config does not say.
    pub(super) fn usually_speaks(&self, base_url: &BaseUrl) -> Vec<translate::Dialect> {
        use translate::Dialect::{Chat, Messages, Responses};
        match self {
            Dialect::Azure { .. } => vec![Chat, Responses],
            Dialect::Anthropic => vec![Messages],
            Dialect::Openai if base_url.host() == "api.openai.com" => vec![Chat, Responses],
            Dialect::Openai | Dialect::Simulated(_) => vec![Chat],
        }
    }

    /// What two providers that differ in nothing else differ in.
    pub(super) fn identity(&self) -> String {
        match self {
            Dialect::Openai => "openai".to_owned(),
            Dialect::Azure { api_version } => format!("azure {}", api_version.as_deref().unwrap_or_default()),
            Dialect::Anthropic => "anthropic".to_owned(),
            Dialect::Simulated(simulated) => {
                let knobs = serde_json::to_string(&simulated.knobs).unwrap_or_default();
                format!("simulated {} {knobs}", simulated.seed)
            }
        }
    }

    /// Adds what the dialect wants in every call: the key where it looks for it, and its version.
    pub(crate) fn sign(
        &self,
        headers: &mut HeaderMap,
        key: Option<&Private<String>>,
    ) -> Result<(), InvalidHeaderValue> {
        if matches!(self, Dialect::Anthropic) {
            headers.insert(ANTHROPIC_VERSION, HeaderValue::from_static(wire::messages::VERSION_BEFORE));
        }
        let Some(key) = key.map(Private::expose) else { return Ok(()) };
        let (name, mut value) = match self {
            Dialect::Azure { .. } => (HeaderName::from_static("api-key"), HeaderValue::try_from(key)?),
            Dialect::Anthropic => (HeaderName::from_static("x-api-key"), HeaderValue::try_from(key)?),
            Dialect::Openai | Dialect::Simulated(_) => (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {key}"))?),
        };
        value.set_sensitive(true);
        headers.insert(name, value);
        Ok(())
    }
}

const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The endpoints that Azure has below a deployment. All others are below the resource, with the model in the body.
fn is_below_a_deployment(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::ChatCompletions
            | Endpoint::Completions
            | Endpoint::Embeddings
            | Endpoint::Transcriptions
            | Endpoint::Translations
            | Endpoint::Speech
            | Endpoint::ImageGenerations
            | Endpoint::ImageEdits
    )
}

impl ProviderConfig {
    /// Whether calls to `endpoint` name the model in their path.
    pub fn has_deployments(&self, endpoint: Endpoint) -> bool {
        matches!(&self.dialect, Dialect::Azure { api_version: Some(_) }) && is_below_a_deployment(endpoint)
    }

    /// The URL of an endpoint that is the same for every model.
    pub(crate) fn uri(&self, endpoint: Endpoint) -> Uri {
        self.uri_of(endpoint.path(), None)
    }

    /// The URL of an endpoint of one deployment.
    pub(crate) fn uri_of_deployment(&self, endpoint: Endpoint, deployment: &str) -> Uri {
        self.uri_of(&format!("/deployments/{}{}", percent_encoded(deployment), endpoint.path()), None)
    }

    /// The URL of a path and query below the base. The host is the base's whatever they are: both parts are valid by
    /// themselves, and a path begins with a slash.
    pub(crate) fn uri_below(&self, below: &PathAndQuery) -> Uri {
        self.uri_of(below.path(), below.query())
    }

    fn uri_of(&self, path: &str, query: Option<&str>) -> Uri {
        let version = match &self.dialect {
            Dialect::Azure { api_version: Some(version) } => Some(format!("api-version={version}")),
            _ => None,
        };
        let queries: Vec<&str> = query.into_iter().chain(version.as_deref()).collect();
        let mut text = format!("{}{path}", self.base_url);
        if !queries.is_empty() {
            text.push('?');
            text.push_str(&queries.join("&"));
        }
        // Cannot fail: the base was checked, and the rest are constants, checked paths and escaped names.
        text.parse().unwrap_or_else(|_| self.base_url.uri.clone())
    }
}

/// A name as one part of a path.
fn percent_encoded(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn azure(base: &str, api_version: Option<&str>) -> ProviderConfig {
        let dialect = Dialect::Azure { api_version: api_version.map(str::to_owned) };
        let base = BaseUrl::parse_for(base, &dialect).unwrap();
        ProviderConfig::new("azure", dialect, base)
    }

    #[test]
    fn an_azure_deployment_is_in_the_path_and_the_version_in_the_query() {
        let config = azure("https://example.openai.azure.com", Some("2024-10-21"));
        assert_eq!(
            config.uri_of_deployment(Endpoint::ChatCompletions, "gpt 4o/x").to_string(),
            "https://example.openai.azure.com/openai/deployments/gpt%204o%2Fx/chat/completions?api-version=2024-10-21"
        );
        assert!(config.has_deployments(Endpoint::Embeddings) && !config.has_deployments(Endpoint::Responses));
        assert_eq!(
            config.uri(Endpoint::Responses).to_string(),
            "https://example.openai.azure.com/openai/responses?api-version=2024-10-21"
        );
        assert_eq!(
            config.uri_below(&PathAndQuery::from_static("/files?limit=2")).to_string(),
            "https://example.openai.azure.com/openai/files?limit=2&api-version=2024-10-21"
        );
    }

    #[test]
    fn azure_without_a_version_is_called_below_v1() {
        let config = azure("https://example.openai.azure.com/", None);
        assert!(!config.has_deployments(Endpoint::ChatCompletions));
        assert_eq!(
            config.uri(Endpoint::ChatCompletions).to_string(),
            "https://example.openai.azure.com/openai/v1/chat/completions"
        );
        let written_out = azure("https://example.openai.azure.com/openai/v1", None);
        assert_eq!(written_out.uri(Endpoint::Files), config.uri(Endpoint::Files));
    }

    #[test]
    fn a_key_is_where_the_dialect_looks_for_it_and_nowhere_else() {
        let key = Private::new("sk-fake".to_owned());
        let signed = |dialect: &Dialect| {
            let mut headers = HeaderMap::new();
            dialect.sign(&mut headers, Some(&key)).unwrap();
            let mut shown: Vec<_> =
                headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
            shown.sort();
            shown.join(", ")
        };
        assert_eq!(signed(&Dialect::Openai), "authorization: Bearer sk-fake");
        assert_eq!(signed(&Dialect::Azure { api_version: None }), "api-key: sk-fake");
        assert_eq!(signed(&Dialect::Anthropic), "anthropic-version: 2023-06-01, x-api-key: sk-fake");
    }

    #[test]
    fn only_the_vendor_is_taken_to_have_responses() {
        use translate::Dialect::Responses;
        let speaks = |dialect: Dialect, base: &str| {
            let base = BaseUrl::parse_for(base, &dialect).unwrap();
            ProviderConfig::new("p", dialect, base).speaks.contains(&Responses)
        };
        assert!(speaks(Dialect::Openai, "https://api.openai.com"));
        assert!(!speaks(Dialect::Openai, "http://gpu-1:8000"));
        assert!(!speaks(Dialect::Openai, "https://api.openai.com.evil.example"));
        assert!(speaks(Dialect::Azure { api_version: None }, "https://example.openai.azure.com"));
    }
}

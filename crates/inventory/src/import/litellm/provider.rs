//! Who answers for a deployment: address, key and times.

use std::time::Duration;

use super::super::Importing;
use super::super::VariableKind;
use super::super::address::{Address, address};
use super::super::draft::{Provider, Timeouts, slug};
use super::super::tree::Node;
use super::super::variables::{Text, to_name};
use super::super::vendors::{Reach, Vendor};
use super::settings::{Settings, seconds};
use super::variable;

type Refused<'n> = (Option<&'n Node>, String, String);

/// The provider of a deployment in the draft, by name.
///
/// # Errors
/// Why it cannot be reached, and at which node.
pub(super) fn read<'n>(
    params: &'n Node,
    vendor: &'static Vendor,
    settings: &Settings<'_>,
    importing: &mut Importing<'_>,
) -> Result<String, Refused<'n>> {
    let reranks = vendor.name == "cohere"
        && params.get("model").and_then(Node::text).is_some_and(|model| model.contains("rerank"));
    let place = place(params, vendor, reranks)?;
    let (timeouts, times) = timeouts(params, settings);
    let api_key = key(params, vendor, &place, importing);
    let version = params.get("api_version").map(|node| (node, version(node, vendor)));
    let base_url = match &place.written {
        Written::Variable(name) if reranks => importing.variables.named(name, VariableKind::Url).followed_by("/v2"),
        Written::Variable(name) => importing.variables.named(name, VariableKind::Url),
        Written::Literal(url) => Text::literal(url.clone()),
    };
    let api_version = match &version {
        Some((_, Some(Written::Variable(name)))) => Some(importing.variables.named(name, VariableKind::Text)),
        Some((_, Some(Written::Literal(version)))) => Some(Text::literal(version.clone())),
        _ => None,
    };
    let (dialect, class, kind) = (vendor.reach.dialect(), place.class, vendor.kind);
    let provider = Provider { dialect, base_url, api_version, kind, api_key, class, timeouts };
    let name = importing.draft.provider(&place.name, provider);
    if let (Some(note), Some(provider)) = (place.note, importing.draft.provider_mut(&name)) {
        provider.comment(note);
    }
    let decided = Decided { name: &name, place: &place, times, version };
    decided.write(params, importing);
    Ok(name)
}

/// What became of the keys that make a provider.
struct Decided<'a, 'n> {
    name: &'a str,
    place: &'a Place<'n>,
    times: Vec<(&'n Node, Option<&'static str>)>,
    version: Option<(&'n Node, Option<Written>)>,
}

impl Decided<'_, '_> {
    fn write(self, params: &Node, importing: &mut Importing<'_>) {
        let ledger = &mut importing.ledger;
        let at = format!("providers.{}", self.name);
        for (node, to) in self.times {
            match to {
                Some(to) => ledger.mapped(node, format!("{at}.timeouts.{to}")),
                None => {
                    ledger.unsupported(node, "not a number of seconds", format!("write the time into `{at}.timeouts`"))
                }
            }
        }
        for node in &self.place.nodes {
            match self.place.note {
                Some(note) => ledger.mapped_but(node, format!("{at}.base_url"), note),
                None => ledger.mapped(node, format!("{at}.base_url")),
            }
        }
        match params.get("api_key") {
            Some(node) if node.text().is_some() => ledger.mapped(node, format!("{at}.api_key")),
            Some(node) => ledger.harmless(node, "there is no key in it"),
            None => {}
        }
        if let Some(node) = params.get("custom_llm_provider") {
            ledger.mapped(node, at.clone());
        }
        match self.version {
            Some((node, Some(_))) => ledger.mapped(node, format!("{at}.api_version")),
            Some((node, None)) => {
                ledger.harmless(node, "the provider's newest paths are called, which need no version")
            }
            None => {}
        }
    }
}

/// Where a deployment is.
struct Place<'n> {
    written: Written,
    /// What the provider is to be called.
    name: String,
    class: &'static str,
    /// The nodes that gave the address.
    nodes: Vec<&'n Node>,
    /// What is not quite the same about it.
    note: Option<&'static str>,
}

#[derive(Debug, Clone)]
enum Written {
    Variable(String),
    Literal(String),
}

const BARE_HOST: &str = "LiteLLM calls the root of this host; Crossfade adds /v1 to a host without a path";
const IF_BARE: &str = "if the variable holds a host without a path, Crossfade adds /v1 to it, which LiteLLM does not";

fn place<'n>(params: &'n Node, vendor: &'static Vendor, reranks: bool) -> Result<Place<'n>, Refused<'n>> {
    let nodes: Vec<&Node> = ["api_base", "base_url"].iter().filter_map(|key| params.get(key)).collect();
    let (reach, class) = (vendor.reach, vendor.reach.class());
    let Some((node, text)) = nodes.iter().find_map(|node| Some((*node, node.text()?.trim()))) else {
        let written = match (reach, reach.base_url()) {
            (Reach::Azure, _) => Written::Variable("AZURE_API_BASE".to_owned()),
            (_, "") => {
                let why = format!("{} has no usual address and the deployment names none", vendor.name);
                return Err((params.get("model"), why, "say in `api_base` where it is".to_owned()));
            }
            _ if reranks => Written::Literal("https://api.cohere.com/v2".to_owned()),
            (_, url) => Written::Literal(url.to_owned()),
        };
        return Ok(Place { written, name: vendor.name.to_owned(), class, nodes, note: None });
    };
    // Cohere ranks below a path that is not the one of its OpenAI-compatible endpoints.
    let is_openai = matches!(reach, Reach::Openai { .. }) && !reranks;
    if let Some(variable) = variable(text) {
        let called = variable.trim_end_matches("_URL").trim_end_matches("_BASE").trim_end_matches("_API");
        let name = slug(&called.to_lowercase().replace('_', "-"));
        let note = is_openai.then_some(IF_BARE);
        return Ok(Place { written: Written::Variable(variable.to_owned()), name, class, nodes, note });
    }
    let refused = |why: &'static str| (Some(node), why.to_owned(), "write `providers.*.base_url` by hand".to_owned());
    let Address { url, host, is_bare, is_near, cut } = address(text).map_err(refused)?;
    let url = match reach {
        // The dialects add the paths themselves.
        Reach::Azure => without_openai_path(&url).to_owned(),
        Reach::Anthropic if !is_bare && !url.ends_with("/v1") => format!("{url}/v1"),
        _ if reranks => format!("{}/v2", url.trim_end_matches("/rerank").trim_end_matches("/v2")),
        _ => url,
    };
    let note = if is_openai { is_bare.then_some(BARE_HOST).or(cut) } else { None };
    let name = if host.is_empty() || is_near { vendor.name.to_owned() } else { slug(&host) };
    // An address nearby says more about who runs the server than the prefix does.
    let class = if is_openai && is_near { "self_hosted" } else { class };
    Ok(Place { written: Written::Literal(url), name, class, nodes, note })
}

/// An address of Azure's resource without the paths below it.
fn without_openai_path(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    match url[host..].find("/openai") {
        Some(path) if !url[host..host + path].contains('/') => &url[..host + path],
        _ => url,
    }
}

/// The version of Azure's API, unless it is the newest, which has paths of its own.
fn version(node: &Node, vendor: &Vendor) -> Option<Written> {
    let text = node.word()?.trim();
    if vendor.reach != Reach::Azure || ["v1", "preview", "latest"].contains(&text) {
        return None;
    }
    if let Some(name) = variable(text) {
        return Some(Written::Variable(name.to_owned()));
    }
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)) && text.len() <= 64;
    is_plain.then(|| Written::Literal(text.to_owned()))
}

/// `timeouts.total` of Crossfade's when nothing is said.
const DEFAULT_TOTAL: Duration = Duration::from_secs(600);

fn timeouts<'n>(params: &'n Node, settings: &Settings<'_>) -> (Timeouts, Vec<(&'n Node, Option<&'static str>)>) {
    let mut decided = Vec::new();
    let mut read = |key: &str, to: &'static str, default: Option<Duration>| {
        let Some(node) = params.get(key) else { return default };
        let timeout = seconds(node);
        decided.push((node, timeout.map(|_| to)));
        timeout.or(default)
    };
    let answer = read("timeout", "answer", settings.timeout);
    let silent = read("stream_timeout", "first_token", settings.stream_timeout).or(answer);
    // LiteLLM bounds no stream to its end, Crossfade does so by default.
    let total = answer.filter(|answer| *answer > DEFAULT_TOTAL);
    (Timeouts { first_token: silent, inter_token: silent, answer, total }, decided)
}

fn key(params: &Node, vendor: &Vendor, place: &Place<'_>, importing: &mut Importing<'_>) -> Option<Text> {
    let usual = vendor.reach.key();
    let Some((node, text)) = params.get("api_key").and_then(|node| Some((node, node.text()?.trim()))) else {
        return (!usual.is_empty()).then(|| importing.variables.named(usual, VariableKind::Key));
    };
    if let Some(name) = variable(text) {
        return Some(importing.variables.named(name, VariableKind::Key));
    }
    let is_usual = !usual.is_empty() && place.nodes.is_empty();
    let wanted = if is_usual { usual.to_owned() } else { to_name(&format!("{}_API_KEY", place.name)) };
    Some(importing.variables.secret(text, &wanted, node.place.line))
}

//! `[models.M.providers.P]`: who answers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::Importing;
use super::super::VariableKind;
use super::super::address::address;
use super::super::draft::{Provider, Timeouts, slug};
use super::super::ledger::Outcome;
use super::super::rules;
use super::super::tree::Node;
use super::super::variables::Text;
use super::super::vendors::{Reach, Vendor, by_tensorzero_type};
use super::{tables, variable};

/// The longest that TensorZero lets a call take when nothing is said.
const LONGEST: Duration = Duration::from_secs(900);

/// What is said once for all providers.
#[derive(Debug)]
pub(super) struct Context {
    /// The longest that any call may take.
    pub gateway: Option<Duration>,
    /// The variable of each type's key, where it is not the usual one.
    pub defaults: BTreeMap<String, Key>,
}

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// In a variable.
    Variable(String),
    /// There is none.
    None,
    /// Where Crossfade takes none from.
    Elsewhere,
}

/// Time limits of one thing that makes calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits {
    first_token: Option<Duration>,
    answer: Option<Duration>,
    total: Option<Duration>,
}

impl Limits {
    /// Those that a provider has.
    pub(super) fn of(timeouts: &Timeouts) -> Limits {
        Limits { first_token: timeouts.first_token, answer: timeouts.answer, total: timeouts.total }
    }

    /// Both at once: the shorter counts.
    pub(super) fn and(self, other: Limits) -> Limits {
        let shorter = |a: Option<Duration>, b: Option<Duration>| a.into_iter().chain(b).min();
        Limits {
            first_token: shorter(self.first_token, other.first_token),
            answer: shorter(self.answer, other.answer),
            total: shorter(self.total, other.total),
        }
    }
}

/// `timeouts` of a provider, a model or a variant.
pub(super) fn limits(owner: &Node, importing: &mut Importing<'_>) -> Limits {
    let mut limits = Limits::default();
    if let Some(node) = owner.get("timeout_ms") {
        limits.total = limit(node, "total", importing);
        limits.answer = limits.total;
    }
    let Some(timeouts) = owner.get("timeouts") else { return limits };
    if let Some(node) = timeouts.at(&["non_streaming", "total_ms"]) {
        limits.answer = limit(node, "answer", importing);
    }
    if let Some(node) = timeouts.at(&["streaming", "total_ms"]) {
        limits.total = limit(node, "total", importing);
    }
    if let Some(node) = timeouts.at(&["streaming", "ttft_ms"]) {
        limits.first_token = limit(node, "first_token", importing);
    }
    limits
}

fn limit(node: &Node, to: &str, importing: &mut Importing<'_>) -> Option<Duration> {
    let limit = node.milliseconds();
    let to = format!("providers.*.timeouts.{to}");
    match limit {
        Some(_) => importing.ledger.mapped(node, to),
        None => importing.ledger.unsupported(node, "not a number of milliseconds", format!("write `{to}`")),
    }
    limit
}

/// `[provider_types]`: where the keys of each type are.
pub(super) fn defaults(root: &Node, importing: &mut Importing<'_>) -> BTreeMap<String, Key> {
    let mut defaults = BTreeMap::new();
    for (kind, section) in root.get("provider_types").map(Node::entries).unwrap_or_default() {
        let location = section.at(&["defaults", "api_key_location"]);
        if let Some(node) = location {
            let key = location_of(node);
            settle_key(node, &key, "providers.*.api_key", importing);
            defaults.insert(kind.clone(), key);
        }
        let (why, hint) =
            ("fine-tuning, batches and clouds are not part of a provider", "do them with the vendor's own tools");
        importing.ledger.rest(section, &Outcome::Unsupported { why: why.into(), hint: hint.into() });
    }
    defaults
}

fn location_of(node: &Node) -> Key {
    // With a fallback, the default is where the key usually is.
    let text = node.text().or_else(|| node.get("default").and_then(Node::text)).unwrap_or_default();
    match (variable(text), text.trim()) {
        (Some(name), _) => Key::Variable(name.to_owned()),
        (None, "none") => Key::None,
        _ => Key::Elsewhere,
    }
}

fn settle_key(node: &Node, key: &Key, to: &str, importing: &mut Importing<'_>) {
    const ELSEWHERE: &str = "a request can never choose a credential, and keys come from the environment only";
    let default = node.get("default").unwrap_or(node);
    match key {
        Key::Variable(_) => importing.ledger.mapped(default, to),
        Key::None => importing.ledger.harmless(default, "no key is sent"),
        Key::Elsewhere => importing.ledger.unsupported(default, ELSEWHERE, "put the key into an environment variable"),
    }
    let rest = Outcome::Unsupported {
        why: "a provider has one key".to_owned(),
        hint: "make another provider and target with the other key".to_owned(),
    };
    importing.ledger.rest(node, &rest);
}

/// Why a provider is not carried over, at which node.
pub(super) type Refused<'n> = (&'n Node, String, String);

/// A provider that answers, and what it calls the model.
pub(super) struct Answers {
    /// The provider's config, for more limits to be added.
    pub provider: Provider,
    /// What it is to be called.
    pub name: String,
    /// The model as it calls it.
    pub model: Text,
}

/// One provider of a model.
///
/// # Errors
/// Why it cannot be reached.
pub(super) fn read<'n>(
    node: &'n Node,
    context: &Context,
    importing: &mut Importing<'_>,
) -> Result<Answers, Refused<'n>> {
    let kind = node.get("type").ok_or_else(|| (node, "there is no `type`".to_owned(), "complete it".to_owned()))?;
    let written = kind.text().unwrap_or_default();
    let vendor = by_tensorzero_type(written).ok_or_else(|| {
        (
            kind,
            format!("`{}` is no type of provider that the importer knows", super::super::variables::shown(written)),
            "write the provider by hand".to_owned(),
        )
    })?;
    if let Reach::No { why, hint } = vendor.reach {
        return Err((kind, format!("{}: {why}", vendor.name), hint.to_owned()));
    }
    let model = ["model_name", "deployment_id"].iter().find_map(|key| node.get(key));
    // TGI serves one model and takes any name for it.
    let is_tgi = vendor.kind == Some("tgi");
    let name = model.and_then(Node::text).or(is_tgi.then_some("tgi"));
    let name = name.ok_or_else(|| (kind, "there is no `model_name`".to_owned(), "complete it".to_owned()))?;
    let place = ["api_base", "endpoint"].iter().find_map(|key| node.get(key));
    let (base_url, called) = base_url(place, kind, vendor, importing)?;
    rules::settle(node, tables::PROVIDER, &mut importing.ledger);
    importing.ledger.mapped(kind, "providers.*.dialect");
    if let Some(model) = model {
        importing.ledger.mapped(model, "targets.*.model");
    }
    if let Some(place) = place {
        importing.ledger.mapped(place, "providers.*.base_url");
    }
    let location = node.get("api_key_location");
    let key = location.map(location_of).or_else(|| context.defaults.get(written).cloned());
    if let (Some(location), Some(key)) = (location, &key) {
        settle_key(location, key, "providers.*.api_key", importing);
    }
    let usual = || usual_key(vendor, written);
    let variable = match key {
        Some(Key::Variable(name)) => Some(name),
        Some(Key::None | Key::Elsewhere) => None,
        None => usual(),
    };
    let api_key = variable.map(|name| importing.variables.named(&name, VariableKind::Key));
    let limits = limits(node, importing);
    api_type(node, importing);
    let provider = Provider {
        dialect: vendor.reach.dialect(),
        base_url,
        // The version that TensorZero's gateway asks for.
        api_version: (vendor.reach == Reach::Azure).then(|| Text::literal("2025-04-01-preview")),
        kind: vendor.kind,
        api_key,
        class: vendor.reach.class(),
        timeouts: timeouts(limits, context),
    };
    Ok(Answers { provider, name: called, model: Text::literal(name) })
}

/// The provider's limits as the config has them.
pub(super) fn timeouts(limits: Limits, context: &Context) -> Timeouts {
    let any = context.gateway.unwrap_or(LONGEST);
    // What bounds streams only leaves other answers as long as any call may take.
    let answer = limits.answer.or(limits.total.map(|_| any));
    let total = limits.total.or(context.gateway);
    // As long as `total` needs no saying.
    let answer = answer.filter(|answer| Some(*answer) != total);
    Timeouts { first_token: limits.first_token, inter_token: None, answer, total }
}

/// A provider that is named by its type alone, `openai::gpt-4o`.
pub(super) fn shorthand(kind: &str, model: &str, context: &Context, importing: &mut Importing<'_>) -> Option<Answers> {
    let vendor = by_tensorzero_type(kind)?;
    let url = vendor.reach.base_url();
    if matches!(vendor.reach, Reach::No { .. } | Reach::Azure) || url.is_empty() || model.is_empty() {
        return None;
    }
    let key = context.defaults.get(kind).cloned().or_else(|| usual_key(vendor, kind).map(Key::Variable));
    let api_key = match key {
        Some(Key::Variable(name)) => Some(importing.variables.named(&name, VariableKind::Key)),
        _ => None,
    };
    let provider = Provider {
        dialect: vendor.reach.dialect(),
        base_url: Text::literal(url),
        api_version: None,
        kind: vendor.kind,
        api_key,
        class: vendor.reach.class(),
        timeouts: timeouts(Limits::default(), context),
    };
    Some(Answers { provider, name: vendor.name.to_owned(), model: Text::literal(model) })
}

fn usual_key(vendor: &Vendor, kind: &str) -> Option<String> {
    let name = match kind {
        "google_ai_studio_gemini" => "GOOGLE_AI_STUDIO_API_KEY",
        "vllm" => "VLLM_API_KEY",
        "sglang" => "SGLANG_API_KEY",
        "tgi" => "TGI_API_KEY",
        _ => vendor.reach.key(),
    };
    (!name.is_empty()).then(|| name.to_owned())
}

fn base_url<'n>(
    place: Option<&'n Node>,
    kind: &'n Node,
    vendor: &Vendor,
    importing: &mut Importing<'_>,
) -> Result<(Text, String), Refused<'n>> {
    let Some((node, text)) = place.and_then(|node| Some((node, node.text()?.trim()))) else {
        let url = vendor.reach.base_url();
        if url.is_empty() {
            return Err((
                kind,
                format!("{} has no usual address and the provider names none", vendor.name),
                "say where it is".to_owned(),
            ));
        }
        return Ok((Text::literal(url), vendor.name.to_owned()));
    };
    if let Some(name) = variable(text) {
        return Ok((importing.variables.named(name, VariableKind::Url), vendor.name.to_owned()));
    }
    let found =
        address(text).map_err(|why| (node, why.to_owned(), "write `providers.*.base_url` by hand".to_owned()))?;
    let url = match vendor.reach {
        Reach::Anthropic => found.url.trim_end_matches("/messages").to_owned(),
        _ => found.url,
    };
    let name = if found.host.is_empty() || found.is_near { vendor.name.to_owned() } else { slug(&found.host) };
    Ok((Text::literal(url), name))
}

fn api_type(node: &Node, importing: &mut Importing<'_>) {
    let Some(node) = node.get("api_type") else { return };
    match node.text() {
        Some("chat_completions") => importing.ledger.harmless(node, "a chat is sent as a chat anyway"),
        _ => importing.ledger.unsupported(
            node,
            "a chat is sent as a chat; what comes in as a response goes out as one",
            "call /v1/responses where the provider's Responses API is wanted",
        ),
    }
}

//! Providers as suggestions of targets: whom promptfoo asks, and how a config of ours would.

use serde_json::{Map, Value};

use super::ledger::{Ledger, below};
use super::{Located, LocatedKind};

/// A target that could be meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// What it could be called.
    pub name: String,
    /// The provider's name.
    pub provider: String,
    /// The provider's dialect.
    pub dialect: &'static str,
    /// Where it is.
    pub base_url: String,
    /// The variable its key is in; empty where it needs none.
    pub key: String,
    /// The model.
    pub model: String,
    /// Members of every request.
    pub parameters: Map<String, Value>,
}

/// Who is known: the prefix, the dialect, the address, the variable of the key.
const KNOWN: [(&str, &str, &str, &str); 16] = [
    ("openai", "openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    ("anthropic", "anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
    ("openrouter", "openai", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    ("groq", "openai", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    ("mistral", "openai", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    ("deepseek", "openai", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    ("xai", "openai", "https://api.x.ai/v1", "XAI_API_KEY"),
    ("togetherai", "openai", "https://api.together.ai/v1", "TOGETHER_API_KEY"),
    ("fireworks", "openai", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    ("cerebras", "openai", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    ("google", "openai", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    ("ollama", "openai", "http://localhost:11434/v1", ""),
    ("localai", "openai", "http://localhost:8080/v1", ""),
    ("llamafile", "openai", "http://localhost:8080/v1", ""),
    ("vllm", "openai", "http://localhost:8000/v1", ""),
    ("azure", "azure", "https://RESOURCE.openai.azure.com", "AZURE_API_KEY"),
];
/// Words between the prefix and the model that say which endpoint is asked.
const ENDPOINTS: [&str; 4] = ["chat", "messages", "completion", "responses"];
/// Settings that are members of a request.
const MEMBERS: [&str; 15] = [
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "response_format",
    "tools",
    "tool_choice",
    "reasoning_effort",
    "logit_bias",
    "parallel_tool_calls",
    "user",
];
const HINT: &str = "write the target into the config by hand, if it has an OpenAI-compatible endpoint";

/// The targets that `node` at `path` could mean, the first one the baseline.
pub(super) fn read(path: &str, node: &Located, ledger: &mut Ledger) -> Vec<Suggestion> {
    let one = std::slice::from_ref(node);
    let items = if let LocatedKind::List(items) = &node.kind { items.as_slice() } else { one };
    let is_list = matches!(node.kind, LocatedKind::List(_));
    let mut found: Vec<Suggestion> = Vec::new();
    for (idx, item) in items.iter().enumerate() {
        let path = if is_list { format!("{path}[{idx}]") } else { path.to_owned() };
        let Some(mut suggestion) = provider(&path, item, ledger) else { continue };
        let wanted = suggestion.name.clone();
        let mut n = 1;
        while found.iter().any(|other| other.name == suggestion.name) {
            n += 1;
            suggestion.name = format!("{wanted}-{n}");
        }
        found.push(suggestion);
    }
    found
}

fn provider(path: &str, node: &Located, ledger: &mut Ledger) -> Option<Suggestion> {
    match &node.kind {
        LocatedKind::Scalar(Value::String(id)) => {
            let suggestion = known(id);
            told(path, suggestion.is_some(), id, ledger);
            suggestion
        }
        LocatedKind::Map(members) => {
            let id = members.iter().find(|(name, _)| name == "id");
            // `{ "openai:gpt-4": { config } }` names the provider by its key.
            let (id, id_path, members, path) = match (id, members.as_slice()) {
                (Some((_, id)), _) => (id.text()?, below(path, "id"), members.as_slice(), path.to_owned()),
                (None, [(name, inner)]) if name.contains(':') => {
                    let LocatedKind::Map(inner) = &inner.kind else { return None };
                    (name.clone(), below(path, name), inner.as_slice(), below(path, name))
                }
                _ => return None,
            };
            let mut suggestion = known(&id);
            told(&id_path, suggestion.is_some(), &id, ledger);
            for (name, node) in members {
                member(&below(&path, name), name, node, (suggestion.as_mut(), ledger));
            }
            suggestion
        }
        _ => None,
    }
}

fn told(path: &str, is_known: bool, id: &str, ledger: &mut Ledger) {
    if is_known {
        ledger.converted_but(path, "crossfade.yaml", "a suggestion: see to its address and key");
        return;
    }
    let why = match id.split(':').next().unwrap_or_default() {
        "file" | "exec" | "python" | "golang" | "ruby" | "package" => "programs are not asked here, only servers",
        "http" | "https" | "ws" | "wss" | "webhook" => "a server of its own protocol cannot be asked",
        "bedrock" | "sagemaker" => "requests to AWS are signed with SigV4, which no dialect does",
        "vertex" => "Vertex AI takes short-lived tokens, which no dialect fetches",
        _ => "it is not known how it is reached",
    };
    ledger.unsupported(path, why, HINT);
}

fn member(path: &str, name: &str, node: &Located, (mut suggestion, ledger): (Option<&mut Suggestion>, &mut Ledger)) {
    match name {
        "id" => {}
        "label" => {
            if let (Some(suggestion), Some(label)) = (suggestion, node.text()) {
                suggestion.name = slug(&label);
            }
            ledger.converted(path, "crossfade.yaml: the target's name");
        }
        "config" => {
            let LocatedKind::Map(members) = &node.kind else { return };
            for (name, node) in members {
                setting(&below(path, name), name, node, (suggestion.as_deref_mut(), ledger));
            }
        }
        "delay" => ledger.left_out(path, "`--concurrency` and the target's own limits say how fast it is asked"),
        "prompts" => ledger.unsupported(
            path,
            "every case asks every target",
            "make one suite for each, or give the target a `prompt_variant`",
        ),
        "env" => {
            ledger.left_out(path, "variables are set where Crossfade runs; their values are neither copied nor shown")
        }
        "transform" | "inputs" => {
            ledger.unsupported(path, "code that changes answers is not run", "measure answers as they come")
        }
        _ => {
            ledger.unsupported(path, "not a key of a provider that is known here", "look up whether it is still wanted")
        }
    }
}

fn setting(path: &str, name: &str, node: &Located, (suggestion, ledger): (Option<&mut Suggestion>, &mut Ledger)) {
    let Some(suggestion) = suggestion else {
        ledger.unsupported(path, "its provider is not carried over", HINT);
        return;
    };
    match name {
        "apiKey" => ledger.converted_but(
            path,
            "crossfade.yaml: api_key",
            "as a variable; the key itself is neither copied nor shown",
        ),
        "apiKeyEnvar" => {
            suggestion.key = node.text().unwrap_or_default();
            ledger.converted(path, "crossfade.yaml: api_key");
        }
        "apiBaseUrl" | "apiHost" => {
            let text = node.text().unwrap_or_default();
            if text.contains("{{") || !is_plain(&text) {
                ledger.unsupported(path, "an address with a template in it", "write the provider's `base_url`");
                return;
            }
            suggestion.base_url = if text.contains("://") { text } else { format!("https://{text}") };
            suggestion.provider = slug(suggestion.base_url.split("://").nth(1).unwrap_or("own"));
            ledger.converted(path, "crossfade.yaml: base_url");
        }
        name if MEMBERS.contains(&name) => {
            let value = node.value();
            let is_file = value.as_str().is_some_and(|text| text.starts_with("file://"));
            if is_file || value.to_string().contains("{{") {
                ledger.unsupported(path, "a file or a template as a parameter", "write the value in place");
                return;
            }
            suggestion.parameters.insert(name.to_owned(), value);
            ledger.converted(path, "crossfade.yaml: parameters");
        }
        _ => ledger.unsupported(
            path,
            "not a member of a request that is known here",
            "put it into the target's `parameters`, if its server takes it",
        ),
    }
}

/// No white space, quotes or credentials: what may stand in an address.
fn is_plain(text: &str) -> bool {
    !text.contains('@') && text.chars().all(|c| c.is_ascii_graphic() && !"\"'`{}<>\\$".contains(c))
}

fn known(id: &str) -> Option<Suggestion> {
    let (prefix, mut model) = id.split_once(':')?;
    let (name, dialect, base_url, key) = KNOWN.into_iter().find(|(name, ..)| *name == prefix)?;
    if let Some((endpoint, rest)) = model.split_once(':').filter(|(first, _)| ENDPOINTS.contains(first)) {
        if endpoint == "completion" {
            return None;
        }
        model = rest;
    }
    let kinds = ["embedding", "embeddings", "image", "audio", "assistant", "realtime", "moderation", "speech"];
    if model.is_empty() || kinds.iter().any(|kind| model.split(':').next() == Some(kind)) {
        return None;
    }
    Some(Suggestion {
        name: slug(model),
        provider: name.to_owned(),
        dialect,
        base_url: base_url.to_owned(),
        key: key.to_owned(),
        model: model.to_owned(),
        parameters: Map::new(),
    })
}

/// Letters, digits, `.`, `_` and `-`.
pub(super) fn slug(wanted: &str) -> String {
    let mapped: String =
        wanted.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
    let slug: Vec<&str> = mapped.split('-').filter(|part| !part.is_empty()).collect();
    if slug.is_empty() { "unnamed".to_owned() } else { slug.join("-") }
}

//! Files line by line: configuration, and keys in any file.

use std::sync::OnceLock;

use regex::Regex;

use super::finding::{Confidence, Finding, Flags, Kind, Model, ModelFrom};
use super::{hosts, models};

/// Settings of the environment that libraries and frameworks read, and whose service they are for.
const SETTINGS: [(&str, &str); 30] = [
    ("AZURE_OPENAI", "azure-openai"),
    ("AZURE_AI", "azure-ai"),
    ("OPENAI_API_BASE", "openai"),
    ("OPENAI_BASE_URL", "openai"),
    ("OPENAI_API_KEY", "openai"),
    ("OPENAI_ORG", "openai"),
    ("OPENAI_MODEL", "openai"),
    ("OPENAI_", "openai"),
    ("ANTHROPIC_API_KEY", "anthropic"),
    ("ANTHROPIC_BASE_URL", "anthropic"),
    ("ANTHROPIC_MODEL", "anthropic"),
    ("GEMINI_API_KEY", "google"),
    ("GOOGLE_GENERATIVE_AI_API_KEY", "google"),
    ("MISTRAL_API_KEY", "mistral"),
    ("COHERE_API_KEY", "cohere"),
    ("CO_API_KEY", "cohere"),
    ("GROQ_API_KEY", "groq"),
    ("TOGETHER_API_KEY", "together"),
    ("FIREWORKS_API_KEY", "fireworks"),
    ("PERPLEXITY_API_KEY", "perplexity"),
    ("XAI_API_KEY", "xai"),
    ("DEEPSEEK_API_KEY", "deepseek"),
    ("OPENROUTER_API_KEY", "openrouter"),
    ("REPLICATE_API_TOKEN", "replicate"),
    ("VOYAGE_API_KEY", "voyage"),
    ("PINECONE_API_KEY", "pinecone"),
    ("PINECONE_ENVIRONMENT", "pinecone"),
    ("spring.ai.openai", "openai"),
    ("spring.ai.azure.openai", "azure-openai"),
    ("spring.ai.anthropic", "anthropic"),
];

/// What keys look like, and whose they are; the first that fits.
const KEYS: [(&str, &str); 8] = [
    (r"\bsk-ant-(?:api|admin)\d\d-[A-Za-z0-9_-]{80,120}", "anthropic"),
    (r"\bsk-or-v1-[a-f0-9]{64}\b", "openrouter"),
    (r"\bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}", "openai"),
    (r"\bsk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}\b", "openai"),
    (r"\bgsk_[A-Za-z0-9]{52}\b", "groq"),
    (r"\bAIza[0-9A-Za-z_-]{35}\b", "google"),
    (r"\bxai-[A-Za-z0-9]{80}\b", "xai"),
    (r"\bpcsk_[A-Za-z0-9_]{60,75}\b", "pinecone"),
];

/// Every vendor that a setting or a key can be of.
pub(crate) fn vendors() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().chain(&KEYS).map(|(_, vendor)| *vendor)
}

/// Whether the file is configuration that is read line by line.
pub(crate) fn is_configuration(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let endings = [
        ".yaml",
        ".yml",
        ".toml",
        ".json",
        ".properties",
        ".tf",
        ".tfvars",
        ".hcl",
        ".env",
        ".ini",
        ".cfg",
        ".conf",
        ".tpl",
        ".bicep",
        ".config",
        ".envrc",
        ".jsonc",
        ".json5",
    ];
    let names = ["Dockerfile", "Containerfile", "Jenkinsfile", "Procfile", "Makefile"];
    endings.iter().any(|ending| name.ends_with(ending))
        || names.iter().any(|own| name.starts_with(own))
        || name.starts_with(".env")
}

/// Whether the file only says what is installed.
fn is_lock(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with("lock.json")
        || name.ends_with(".lock")
        || name.ends_with("-lock.yaml")
        || name == "npm-shrinkwrap.json"
}

/// What the lines of a configuration file say.
pub(crate) fn configuration_of(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if is_lock(path) {
        return findings;
    }
    for (idx, line) in text.lines().enumerate() {
        if line.len() > 4000 {
            continue;
        }
        let number = u32::try_from(idx + 1).unwrap_or(u32::MAX);
        if let Some((said, seen)) = line_of(line) {
            findings.push(found(path, number, said, seen));
        }
    }
    findings
}

type Said = (Kind, &'static str, &'static str, Model);

fn line_of(line: &str) -> Option<(Said, String)> {
    let trimmed = line.trim();
    if trimmed.is_empty() {
        return None;
    }
    if let Some(vendor) = hosts::vendor_of(trimmed) {
        let operation = trimmed.split(['"', '\'', ' ', '=']).find_map(hosts::operation_of).unwrap_or("client");
        return Some(((Kind::Endpoint, operation, vendor, Model::default()), shortened(trimmed)));
    }
    if let Some((name, vendor)) = SETTINGS.iter().find(|(name, _)| trimmed.contains(name)) {
        let at = trimmed.find(name)?;
        let is_part = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
        let from = trimmed[..at].rfind(|character: char| !is_part(character)).map_or(0, |before| before + 1);
        let to = trimmed[at..].find(|character: char| !is_part(character)).map_or(trimmed.len(), |end| at + end);
        return Some((
            (Kind::Setting, "client", vendor, model_in(trimmed).unwrap_or_default()),
            trimmed[from..to].to_owned(),
        ));
    }
    let model = model_in(trimmed)?;
    let vendor = models::vendor_of(model.id.as_deref()?)?;
    let key = trimmed.split([':', '=']).next().unwrap_or_default().trim_matches(['"', '\'', ' ', '-']);
    Some(((Kind::Model, "client", vendor, model), shortened(key)))
}

/// A model's id as the value of a line.
fn model_in(line: &str) -> Option<Model> {
    let value = line.split_once([':', '=']).map_or(line, |(_, value)| value);
    let value = value.trim().trim_end_matches(',').trim_matches(['"', '\'', ' ']);
    models::vendor_of(value)?;
    Some(Model { id: Some(value.to_owned()), from: ModelFrom::Literal })
}

fn shortened(text: &str) -> String {
    masked(text).chars().take(120).collect()
}

fn patterns() -> &'static [(Regex, &'static str)] {
    static PATTERNS: OnceLock<Vec<(Regex, &'static str)>> = OnceLock::new();
    PATTERNS.get_or_init(|| {
        KEYS.iter().filter_map(|(pattern, vendor)| Some((Regex::new(pattern).ok()?, *vendor))).collect()
    })
}

/// Keys in the clear, masked; in any file.
pub(crate) fn keys_of(path: &str, text: &str) -> Vec<Finding> {
    if !may_hold_a_key(text) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (pattern, vendor) in patterns() {
        for hit in pattern.find_iter(text) {
            let line = text[..hit.start()].matches('\n').count() + 1;
            let key = hit.as_str();
            // Keys in documentation repeat one character.
            let distinct: std::collections::HashSet<char> = key.chars().collect();
            if distinct.len() < 12 {
                continue;
            }
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            let finding = found(path, line, (Kind::Key, "client", vendor, Model::default()), mask(key));
            // Google's keys look alike whichever of its services they are for.
            let confidence = if *vendor == "google" { Confidence::Possible } else { Confidence::Certain };
            findings.push(Finding { confidence, ..finding });
        }
    }
    findings
}

/// A key with all but its beginning and its last four characters taken out.
fn mask(key: &str) -> String {
    let start: String = key.chars().take(7).collect();
    let end: String = key.chars().skip(key.chars().count().saturating_sub(4)).collect();
    format!("{start}…{end}")
}

/// Whether a key's beginning is in the text.
fn may_hold_a_key(text: &str) -> bool {
    ["sk-", "gsk_", "AIza", "xai-", "pcsk_"].iter().any(|start| text.contains(start))
}

/// A text with every key in it masked.
pub(crate) fn masked(text: &str) -> String {
    let mut masked = text.to_owned();
    if !may_hold_a_key(text) {
        return masked;
    }
    for (pattern, _) in patterns() {
        masked = pattern.replace_all(&masked, |hit: &regex::Captures<'_>| mask(&hit[0])).into_owned();
    }
    masked
}

fn found(path: &str, line: u32, (kind, operation, vendor, model): Said, seen: String) -> Finding {
    Finding {
        path: path.to_owned(),
        line,
        kind,
        operation: operation.to_owned(),
        vendor: vendor.to_owned(),
        sdk: String::new(),
        version: None,
        model,
        parameters: Vec::new(),
        flags: Flags::default(),
        confidence: if kind == Kind::Model { Confidence::Likely } else { Confidence::Certain },
        seen,
        prompt: None,
        response: Vec::new(),
        owners: Vec::new(),
        owners_from: None,
        sunsets: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_configuration_are_told_by_what_they_say() {
        let text = "OPENAI_API_KEY=${KEY}\nmodel: gpt-4o\nbase: https://api.openai.com/v1\nname: x\nspring.ai.openai.chat.options.model=gpt-4\n";
        let found = configuration_of("a.env", text);
        let found: Vec<(u32, Kind, &str)> = found.iter().map(|of| (of.line, of.kind, of.seen.as_str())).collect();
        assert_eq!(
            found,
            [
                (1, Kind::Setting, "OPENAI_API_KEY"),
                (2, Kind::Model, "model"),
                (3, Kind::Endpoint, "base: https://api.openai.com/v1"),
                (5, Kind::Setting, "spring.ai.openai.chat.options.model"),
            ]
        );
    }

    #[test]
    fn keys_are_masked_and_those_of_documentation_left_out() {
        let key = ["sk-abCDefGHijKLmnOPqrSTuv", "T3BlbkFJ", "xyZAbcDEfgHIjkLMnoPQ"].concat().replacen("uv", "", 1);
        let text = format!("one\nkey = \"{key}\"\nother = \"sk-{}T3BlbkFJ{}\"\n", "x".repeat(20), "x".repeat(20));
        let found = keys_of("a.py", &text);
        assert_eq!(found.iter().map(|of| (of.line, of.seen.as_str())).collect::<Vec<_>>(), [(2, "sk-abCD…noPQ")]);
        assert!(!masked(&text).contains(&key));
    }
}

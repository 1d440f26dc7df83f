//! Files line by line: configuration, and keys in any file.

mod within;

use std::sync::OnceLock;

use regex::Regex;

use super::finding::{Confidence, Finding, Kind, Model, ModelFrom};
use super::{hosts, models};

/// Settings of the environment that libraries and frameworks read, and whose service they are for.
const SETTINGS: [(&str, &str); 27] = [
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
];

/// Settings of Spring AI, and whose models they are for.
const SPRING: [(&str, &str); 22] = [
    ("spring.ai.openai", "openai"),
    ("spring.ai.azure.openai", "azure-openai"),
    ("spring.ai.anthropic", "anthropic"),
    ("spring.ai.ollama", "self-hosted"),
    ("spring.ai.mistralai", "mistral"),
    ("spring.ai.mistral", "mistral"),
    ("spring.ai.vertex.ai", "google-vertex"),
    ("spring.ai.vertexai", "google-vertex"),
    ("spring.ai.google.genai", "google"),
    ("spring.ai.bedrock", "aws-bedrock"),
    ("spring.ai.deepseek", "deepseek"),
    ("spring.ai.zhipuai", "zhipu"),
    ("spring.ai.moonshot", "moonshot"),
    ("spring.ai.minimax", "minimax"),
    ("spring.ai.qianfan", "baidu"),
    ("spring.ai.dashscope", "alibaba"),
    ("spring.ai.watsonx.ai", "ibm"),
    ("spring.ai.oci.genai", "oracle"),
    ("spring.ai.stabilityai", "stability"),
    ("spring.ai.elevenlabs", "elevenlabs"),
    ("spring.ai.huggingface", "huggingface"),
    ("spring.ai.vectorstore.pinecone", "pinecone"),
];

/// Which of several models Spring AI asks: `spring.ai.model.chat=anthropic`.
pub(crate) const SPRING_CHOICE: &str = "spring.ai.model.chat";

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
    SETTINGS.iter().chain(&SPRING).chain(&KEYS).map(|(_, vendor)| *vendor)
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
    let is_tree = is_of_spring(path);
    let mut at = 0;
    for (idx, line) in text.split_inclusive('\n').enumerate() {
        let (before, line) = (&text[..at], line.trim_end_matches(['\n', '\r']));
        at += text[at..].find('\n').map_or(0, |end| end + 1);
        if line.len() > 4000 {
            continue;
        }
        let number = u32::try_from(idx + 1).unwrap_or(u32::MAX);
        if let Some((mut said, seen)) = line_of(line).filter(|(said, _)| !is_only_said(said.0, line)) {
            if said.2 == "openai" && said.0 != Kind::Endpoint && within::is_of_azure(path, text, (before, line)) {
                said.2 = "azure-openai";
            }
            findings.push(found(path, number, said, seen));
        } else if is_tree && let Some((said, seen)) = headed(before, line) {
            findings.push(found(path, number, said, seen));
        }
    }
    findings
}

/// What is commented out calls nothing and asks no model; which variables there are it still says.
fn is_only_said(kind: Kind, line: &str) -> bool {
    kind != Kind::Setting && within::is_comment(line)
}

/// Whether it is a tree of Spring's settings.
fn is_of_spring(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.contains("application") && (name.ends_with(".yml") || name.ends_with(".yaml"))
}

/// The head of a vendor's settings of Spring AI in a tree, or what says which model is asked.
fn headed(before: &str, line: &str) -> Option<(Said, String)> {
    let bare = line.trim();
    if within::is_comment(bare) || !(bare.ends_with(':') || bare.starts_with("chat:")) {
        return None;
    }
    let key = within::path_of(before, line);
    let is_head = key == SPRING_CHOICE || SPRING.iter().any(|(name, _)| *name == key);
    is_head.then(|| of_spring(&key, bare)).flatten()
}

/// Whose models a key of Spring AI is for; a word of `spring.ai.model.chat` is written as its vendor's key is, but for what stands between
/// its parts.
pub(crate) fn vendor_of_spring(key: &str) -> Option<&'static str> {
    let key = key.replace('-', ".");
    let is_under = |name: &str| key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    SPRING.iter().find(|(name, _)| is_under(name)).map(|(_, vendor)| *vendor)
}

/// A setting of Spring AI, by its whole key.
fn of_spring(key: &str, line: &str) -> Option<(Said, String)> {
    if key == SPRING_CHOICE {
        let vendor = line.rsplit([':', '=']).next()?.trim().trim_matches(['"', '\'']);
        return Some(((Kind::Setting, "client", "-", Model::default()), format!("{key}={vendor}")));
    }
    let vendor = vendor_of_spring(key)?;
    let model = model_in(line.trim()).unwrap_or_default();
    Some(((Kind::Setting, "client", vendor, model), key.to_owned()))
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
    if trimmed.starts_with("spring.ai.") {
        let key = trimmed.split([':', '=', ' ']).next().unwrap_or_default();
        if let Some(said) = of_spring(key, trimmed) {
            return Some(said);
        }
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
    let confidence = match (kind, vendor) {
        // What one's own machine is told is no vendor's.
        (Kind::Setting, "self-hosted" | "-") => Confidence::Possible,
        (Kind::Model, _) => Confidence::Likely,
        _ => Confidence::Certain,
    };
    Finding { model, confidence, ..Finding::plain(path, line, kind, (operation, vendor), seen) }
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

    #[track_caller]
    fn check(path: &str, text: &str, expected: &[(u32, &str, &str)]) {
        let found = configuration_of(path, text);
        let found: Vec<(u32, &str, &str)> =
            found.iter().map(|of| (of.line, of.vendor.as_str(), of.seen.as_str())).collect();
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn a_deployment_at_azure_is_azures_by_what_it_is_in_its_own_key_or_what_the_file_sets_up() {
        check(
            "appsettings.json",
            "{\n  \"AzureOpenAIText\": {\n    // \"APIKey\": \"\", // set \"A:APIKey\" \"MY_AZUREOPENAI_KEY\"\n    \"Model\": \"gpt-4o\",\n    \
             \"Other\": {\n      \"Id\": \"gpt-4\"\n    }\n  },\n  \"OpenAI\": {\n    \"TextModel\": \"gpt-4o\"\n  },\n  \"Deployment\": \"gpt-4o\"\n}\n",
            &[
                (3, "azure-openai", "MY_AZUREOPENAI_KEY"),
                (4, "azure-openai", "Model"),
                (6, "azure-openai", "Id"),
                (10, "openai", "TextModel"),
                (12, "azure-openai", "Deployment"),
            ],
        );
        check(
            "main.bicep",
            "param model string = 'gpt-4o'\nresource a 'Microsoft.CognitiveServices/accounts@2023-05-01' = {\n}\n",
            &[(1, "azure-openai", "param model string")],
        );
        check("main.tf", "locals {\n  model = \"gpt-4o\"\n}\n", &[(2, "openai", "model")]);
        check(
            "ci.yml",
            "  key: ${{ secrets.AZUREOPENAI__APIKEY }}\n",
            &[(1, "azure-openai", "secrets.AZUREOPENAI__APIKEY")],
        );
    }

    #[test]
    fn what_is_commented_out_is_no_address_and_no_model() {
        let text = "// such as https://contoso.cognitiveservices.azure.com/\n# model: gpt-4o\n# OPENAI_API_KEY=\n";
        check("a.json", text, &[(3, "openai", "OPENAI_API_KEY")]);
    }

    #[test]
    fn settings_of_spring_say_whose_models_are_asked_also_in_a_tree() {
        check(
            "application.properties",
            "spring.ai.openai.api-key=${OPENAI_API_KEY}\n#spring.ai.anthropic.api-key=k\nspring.ai.ollama.chat.options.model=llama3\nspring.ai.mcp.client.enabled=true\n\
             spring.ai.model.chat=anthropic\n",
            &[
                (1, "openai", "spring.ai.openai.api-key"),
                (3, "self-hosted", "spring.ai.ollama.chat.options.model"),
                (5, "-", "spring.ai.model.chat=anthropic"),
            ],
        );
        check(
            "src/main/resources/application.yml",
            "spring:\n  ai:\n    mistralai:\n      chat:\n        options:\n          temperature: 0\n    model:\n      chat: mistral\n",
            &[(3, "mistral", "spring.ai.mistralai"), (8, "-", "spring.ai.model.chat=mistral")],
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

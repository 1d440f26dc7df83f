//! Model ids: which texts are one, and which id an SDK's constant stands for.

use std::collections::HashMap;
use std::sync::OnceLock;

/// How ids of proprietary models begin, and whose they are.
const STARTS: [(&str, &str); 67] = [
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("ft:gpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4-mini", "openai"),
    ("codex-mini", "openai"),
    ("text-embedding-3", "openai"),
    ("text-embedding-ada", "openai"),
    ("text-davinci", "openai"),
    ("text-curie", "openai"),
    ("text-babbage", "openai"),
    ("text-ada", "openai"),
    ("code-davinci", "openai"),
    ("davinci", "openai"),
    ("babbage-002", "openai"),
    ("whisper-1", "openai"),
    ("tts-1", "openai"),
    ("dall-e-", "openai"),
    ("sora-", "openai"),
    ("omni-moderation", "openai"),
    ("text-moderation", "openai"),
    ("computer-use-preview", "openai"),
    ("claude-", "anthropic"),
    ("anthropic.claude", "aws-bedrock"),
    ("gemini-", "google"),
    ("models/gemini-", "google"),
    ("models/embedding-", "google"),
    ("models/text-embedding-", "google"),
    ("text-embedding-00", "google"),
    ("text-multilingual-embedding-", "google"),
    ("embedding-001", "google"),
    ("learnlm-", "google"),
    ("gemma-3", "google"),
    ("text-bison", "google"),
    ("chat-bison", "google"),
    ("command-", "cohere"),
    ("embed-english-", "cohere"),
    ("embed-multilingual-", "cohere"),
    ("rerank-", "cohere"),
    ("mistral-large", "mistral"),
    ("mistral-medium", "mistral"),
    ("mistral-small", "mistral"),
    ("codestral-", "mistral"),
    ("grok-", "xai"),
    ("sonar", "perplexity"),
    ("voyage-", "voyage"),
    ("deepseek-chat", "deepseek"),
    ("deepseek-reasoner", "deepseek"),
    ("deepseek-coder", "deepseek"),
    ("imagen-", "google"),
    ("textembedding-gecko", "google"),
    ("embed-v4", "cohere"),
    ("open-mistral-", "mistral"),
    ("mistral-embed", "mistral"),
    ("pixtral-large", "mistral"),
    ("ministral-", "mistral"),
    ("magistral-", "mistral"),
    ("amazon.nova", "aws-bedrock"),
    ("qwen-max", "alibaba"),
    ("qwen-plus", "alibaba"),
    ("qwen-turbo", "alibaba"),
    ("glm-4", "zhipu"),
    ("moonshot-v1", "moonshot"),
    ("doubao-", "volcengine"),
    ("ernie-", "baidu"),
    ("amazon.titan", "aws-bedrock"),
];

/// Every vendor that an id can be of.
pub(crate) fn vendors() -> impl Iterator<Item = &'static str> {
    STARTS.iter().map(|(_, vendor)| *vendor)
}

/// What a router of models is told before an id, and who then serves it, whoever made it.
const SERVED: [(&str, &str); 9] = [
    ("azure/", "azure-openai"),
    ("azure:", "azure-openai"),
    ("azure_ai/", "azure-ai"),
    ("openrouter/", "openrouter"),
    ("openrouter:", "openrouter"),
    ("vertex_ai/", "google-vertex"),
    ("bedrock/", "aws-bedrock"),
    ("github/", "github"),
    ("github_copilot/", "github-copilot"),
];

/// Who serves the model that the text is the id of; none when it is no id.
pub(crate) fn vendor_of(text: &str) -> Option<&'static str> {
    let made = maker_of(text)?;
    Some(SERVED.iter().find(|(start, _)| text.starts_with(start)).map_or(made, |(_, vendor)| vendor))
}

/// Whose model the text is the id of; none when it is no id.
pub(crate) fn maker_of(text: &str) -> Option<&'static str> {
    if text.len() > 80 || text.len() < 2 || text.contains(char::is_whitespace) {
        return None;
    }
    let bare = text.split(['/', ':']).next_back().filter(|_| !text.starts_with("ft:")).unwrap_or(text);
    let found = STARTS.iter().find(|(start, _)| text.starts_with(start) || bare.starts_with(start))?;
    let part = if text.starts_with(found.0) { text } else { bare };
    let rest = &part[found.0.len()..];
    // `o1` and `sonar` are also words: what follows has to look like a version.
    let short = matches!(found.0, "o1" | "o3" | "sonar" | "davinci");
    let fits = if short { rest.is_empty() || rest.starts_with('-') } else { true };
    let allowed = part.chars().all(|character| character.is_ascii_alphanumeric() || "-._:@+".contains(character));
    let not_file = ![".py", ".js", ".ts", ".md", ".json", ".png", ".txt", ".svg", ".com", ".html"]
        .iter()
        .any(|end| part.ends_with(end));
    (fits && allowed && not_file).then_some(found.1)
}

/// What a model is for, where its id says that it is not for chat.
pub(crate) fn operation_of(id: &str) -> Option<&'static str> {
    const PARTS: [(&str, &str); 23] = [
        ("rerank", "rerank"),
        ("embedding", "embeddings"),
        ("titan-embed", "embeddings"),
        ("embed-english", "embeddings"),
        ("embed-multilingual", "embeddings"),
        ("embed-v4", "embeddings"),
        ("mistral-embed", "embeddings"),
        ("voyage-", "embeddings"),
        ("dall-e", "images"),
        ("gpt-image", "images"),
        ("titan-image", "images"),
        ("nova-canvas", "images"),
        ("stable-diffusion", "images"),
        ("stability.", "images"),
        ("imagen-", "images"),
        ("imagegeneration", "images"),
        ("nova-reel", "video"),
        ("veo-", "video"),
        ("sora-", "video"),
        ("whisper", "audio"),
        ("tts-1", "audio"),
        ("transcribe", "audio"),
        ("moderation", "moderation"),
    ];
    PARTS.iter().find(|(part, _)| id.contains(part)).map(|(_, operation)| *operation)
}

/// Ids that SDKs have constants for.
const KNOWN: &str = include_str!("models.txt");

/// The id behind an SDK's constant or enumeration: `GPT4o`, `GPT_4_O_MINI`, `ChatModelGPT4oMini`, `Gpt_4`.
pub(crate) fn of_constant(name: &str) -> Option<&'static str> {
    static TABLE: OnceLock<HashMap<String, &'static str>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table = HashMap::new();
        for line in KNOWN.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let id = line.split_whitespace().next().unwrap_or_default();
            for name in line.split_whitespace() {
                // Of two ids under one name the first.
                table.entry(plain(name)).or_insert(id);
            }
        }
        table
    });
    let name = plain(name);
    let starts = [
        "",
        "chatmodel",
        "embeddingmodel",
        "imagemodel",
        "speechmodel",
        "audiomodel",
        "moderationmodel",
        "responsesmodel",
        "model",
    ];
    let whole = starts.iter().find_map(|start| table.get(name.strip_prefix(start)?).copied());
    // `FineTuningJobNewParamsModelGPT3_5Turbo`
    whole.or_else(|| table.get(&name[name.rfind("model")? + 5..]).copied())
}

/// Letters and digits alone, without the word `dot`.
fn plain(name: &str) -> String {
    let lower: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_lowercase()).collect();
    lower.replace("dot", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_words() {
        for (text, vendor) in [
            ("gpt-4o-mini", Some("openai")),
            ("openai/gpt-4o", Some("openai")),
            ("openai:gpt-4o", Some("openai")),
            ("azure/gpt-4o", Some("azure-openai")),
            ("openrouter/anthropic/claude-3.5-sonnet", Some("openrouter")),
            ("azure/resource", None),
            ("o1", Some("openai")),
            ("o1-preview", Some("openai")),
            ("o1x", None),
            ("claude-3-5-sonnet-20241022", Some("anthropic")),
            ("anthropic.claude-3-haiku-20240307-v1:0", Some("aws-bedrock")),
            ("gpt-4 is a model", None),
            ("gpt-engineer.py", None),
            ("sonarqube", None),
            ("whisper-1", Some("openai")),
        ] {
            assert_eq!(vendor_of(text), vendor, "{text}");
        }
    }

    #[test]
    fn constants_stand_for_ids() {
        for (name, id) in [
            ("GPT4o", "gpt-4o"),
            ("GPT3Dot5Turbo", "gpt-3.5-turbo"),
            ("ChatModelGPT4oMini", "gpt-4o-mini"),
            ("GPT_4_O_MINI", "gpt-4o-mini"),
            ("SmallEmbedding3", "text-embedding-3-small"),
            ("TTSModel1", "tts-1"),
            ("ImageModelDallE3", "dall-e-3"),
            ("Whisper1", "whisper-1"),
        ] {
            assert_eq!(of_constant(name), Some(id), "{name}");
        }
        assert_eq!(of_constant("model"), None);
    }
}

//! Vendors' hosts and the paths of their APIs.

use std::sync::OnceLock;

use regex::Regex;

/// A host, whose it is, and whether nothing but models is behind it.
const HOSTS: [(&str, &str); 78] = [
    ("api.openai.com", "openai"),
    ("oai.hconeai.com", "openai"),
    ("oai.helicone.ai", "openai"),
    (".openai.azure.com", "azure-openai"),
    (".cognitiveservices.azure.com", "azure-openai"),
    (".services.ai.azure.com", "azure-ai"),
    (".inference.ai.azure.com", "azure-ai"),
    ("models.inference.ai.azure.com", "github"),
    ("models.github.ai", "github"),
    ("api.anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "google"),
    ("aiplatform.googleapis.com", "google-vertex"),
    ("-aiplatform.googleapis.com", "google-vertex"),
    ("bedrock-runtime.", "aws-bedrock"),
    ("api.mistral.ai", "mistral"),
    ("codestral.mistral.ai", "mistral"),
    ("api.cohere.ai", "cohere"),
    ("api.cohere.com", "cohere"),
    ("api.groq.com", "groq"),
    ("api.together.xyz", "together"),
    ("api.together.ai", "together"),
    ("api.fireworks.ai", "fireworks"),
    ("api.perplexity.ai", "perplexity"),
    ("api.x.ai", "xai"),
    ("api.deepseek.com", "deepseek"),
    ("openrouter.ai", "openrouter"),
    ("api.replicate.com", "replicate"),
    ("api-inference.huggingface.co", "huggingface"),
    ("router.huggingface.co", "huggingface"),
    ("dashscope.aliyuncs.com", "alibaba"),
    ("dashscope-intl.aliyuncs.com", "alibaba"),
    ("open.bigmodel.cn", "zhipu"),
    ("api.moonshot.cn", "moonshot"),
    ("api.moonshot.ai", "moonshot"),
    ("api.minimax.chat", "minimax"),
    ("qianfan.baidubce.com", "baidu"),
    ("aip.baidubce.com", "baidu"),
    ("api.ai21.com", "ai21"),
    ("api.voyageai.com", "voyage"),
    ("api.jina.ai", "jina"),
    ("api.elevenlabs.io", "elevenlabs"),
    ("api.assemblyai.com", "assemblyai"),
    ("api.deepgram.com", "deepgram"),
    ("api.cerebras.ai", "cerebras"),
    ("api.deepinfra.com", "deepinfra"),
    ("api.stability.ai", "stability"),
    ("ark.cn-beijing.volces.com", "volcengine"),
    ("api.hunyuan.cloud.tencent.com", "tencent"),
    ("spark-api-open.xf-yun.com", "iflytek"),
    ("api.z.ai", "zhipu"),
    ("api.minimaxi.com", "minimax"),
    ("api.minimax.io", "minimax"),
    ("api.siliconflow.cn", "siliconflow"),
    ("integrate.api.nvidia.com", "nvidia"),
    ("api.lingyiwanwu.com", "01-ai"),
    ("api.baichuan-ai.com", "baichuan"),
    ("api.stepfun.com", "stepfun"),
    ("api.novita.ai", "novita"),
    (".pinecone.io", "pinecone"),
    ("ai.api.nvidia.com", "nvidia"),
    ("api.githubcopilot.com", "github-copilot"),
    ("chatgpt.com/backend-api/codex", "openai"),
    ("spark-api.xf-yun.com", "iflytek"),
    ("hunyuan.tencentcloudapi.com", "tencent"),
    ("ark.ap-southeast.bytepluses.com", "volcengine"),
    ("dashscope-us.aliyuncs.com", "alibaba"),
    ("api.sambanova.ai", "sambanova"),
    ("api.cartesia.ai", "cartesia"),
    ("api.upstage.ai", "upstage"),
    ("api.reka.ai", "reka"),
    ("api.writer.com", "writer"),
    ("api.inceptionlabs.ai", "inception"),
    ("api.hyperbolic.xyz", "hyperbolic"),
    ("api.studio.nebius.com", "nebius"),
    (".ml.cloud.ibm.com", "ibm"),
    ("api.minimaxi.chat", "minimax"),
    ("api.siliconflow.com", "siliconflow"),
    ("api.aimlapi.com", "aimlapi"),
];

/// Every vendor that an address can be of, and what one is called whose it is not known.
pub(crate) fn vendors() -> impl Iterator<Item = &'static str> {
    HOSTS.iter().map(|(_, vendor)| *vendor).chain(["self-hosted", "openai-compatible"])
}

/// Words that are looked for in one pass over a text.
#[derive(Debug)]
pub(super) struct AnyOf(Option<Regex>);

impl AnyOf {
    pub(super) fn new(words: &[&str]) -> AnyOf {
        let words: Vec<String> = words.iter().map(|word| regex::escape(word)).collect();
        AnyOf(Regex::new(&words.join("|")).ok())
    }

    /// Whether one of them is in the text. Escaped words always are a pattern.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.0.as_ref().is_none_or(|pattern| pattern.is_match(text))
    }
}

/// Whose the address is.
pub(crate) fn vendor_of(text: &str) -> Option<&'static str> {
    // Most texts have none.
    static ANY: OnceLock<AnyOf> = OnceLock::new();
    if !text.contains('.') || !ANY.get_or_init(|| AnyOf::new(&HOSTS.map(|(host, _)| host))).is_in(text) {
        return None;
    }
    let found = HOSTS.iter().filter(|(host, _)| text.contains(host)).max_by_key(|(host, _)| host.len())?;
    let at = text.find(found.0)?;
    // A host of its own, not the end of another's name.
    let before = text[..at].chars().next_back();
    let after = text[at + found.0.len()..].chars().next();
    let starts = found.0.starts_with(['.', '-'])
        || !before.is_some_and(|character| character.is_alphanumeric() || character == '.');
    let ends = found.0.ends_with('.')
        || !after.is_some_and(|character| character.is_alphanumeric() || "-.".contains(character));
    let sub = text[..at].rsplit('/').next().unwrap_or_default();
    let is_documentation = ["docs", "www", "console", "app", "help", "status"].contains(&sub.trim_end_matches('.'));
    (starts && ends && !is_documentation).then_some(found.1)
}

/// Whether the address is of a machine of one's own, by its host or by a path of Ollama's API.
pub(crate) fn is_local(text: &str) -> bool {
    ["/api/generate", "/api/chat", "/api/tags"].iter().any(|path| text.ends_with(path))
        || ["localhost", "127.0.0.1", "0.0.0.0", "host.docker.internal", "ollama", "[::1]", "://192.168.", "://10."]
            .iter()
            .any(|name| text.contains(name))
}

/// Ends of paths and what is done there; the first that fits.
const PATHS: [(&str, &str); 73] = [
    ("/chat/completions", "chat"),
    ("/fim/completions", "completions"),
    ("/completions", "completions"),
    ("/responses", "responses"),
    ("/conversations", "responses"),
    ("/interactions", "chat"),
    ("/moderations", "moderation"),
    ("/embeddings", "embeddings"),
    ("/images/generations", "images"),
    ("/images/edits", "images"),
    ("/images/variations", "images"),
    ("/audio/", "audio"),
    ("/speech", "audio"),
    ("/text-to-speech", "audio"),
    ("/transcriptions", "audio"),
    ("/assistants", "assistants"),
    ("/threads", "assistants"),
    ("/vector_stores", "vector_store"),
    ("/fine_tuning", "fine-tuning"),
    ("/fine-tunes", "fine-tuning"),
    ("/batches", "batches"),
    ("/files", "files"),
    ("/realtime", "realtime"),
    ("/videos", "video"),
    ("/messages", "chat"),
    ("/v1/complete", "completions"),
    (":generateContent", "chat"),
    (":streamGenerateContent", "chat"),
    (":generateMessage", "chat"),
    (":generateText", "completions"),
    (":predict", "chat"),
    (":streamRawPredict", "chat"),
    (":rawPredict", "chat"),
    (":embedContent", "embeddings"),
    (":batchEmbedContents", "embeddings"),
    ("/converse", "chat"),
    ("/invoke", "chat"),
    ("/rerank", "rerank"),
    ("/reranks", "rerank"),
    ("/reranking", "rerank"),
    ("/text-rerank/", "rerank"),
    ("/text-generation/", "chat"),
    ("/multimodal-generation/", "chat"),
    ("/text2image/", "images"),
    ("/image2image/", "images"),
    ("/image-generation/", "images"),
    ("/image_generation", "images"),
    ("/video-generation/", "video"),
    ("/video_generation", "video"),
    ("/text-embedding/", "embeddings"),
    ("/multimodal-embedding/", "embeddings"),
    ("/text/chatcompletion_v2", "chat"),
    ("/t2a_v2", "audio"),
    ("/multimodalembeddings", "embeddings"),
    (":embedText", "embeddings"),
    (":batchEmbedText", "embeddings"),
    (":generateAnswer", "chat"),
    (":predictLongRunning", "video"),
    ("/speech-to-text", "audio"),
    ("/listen", "audio"),
    ("/speak", "audio"),
    ("/transcript", "audio"),
    ("/text-to-image", "images"),
    ("/stable-image/", "images"),
    ("/summarize", "completions"),
    ("/embed", "embeddings"),
    ("/generate", "completions"),
    ("/edits", "completions"),
    ("/engines", "models"),
    ("/chat", "chat"),
    ("/api/generate", "completions"),
    ("/models", "models"),
    ("/v1/images", "images"),
];

/// What is done at an address.
pub(crate) fn operation_of(address: &str) -> Option<&'static str> {
    let path = address.split('?').next().unwrap_or(address);
    // A path may be written without the slash that it begins with.
    let slashed;
    let path = if path.contains("://") || path.starts_with(['/', '{']) {
        path
    } else {
        slashed = format!("/{path}");
        &slashed
    };
    let path = path.split_once("://").map_or(path, |(_, rest)| rest.find('/').map_or("", |at| &rest[at..]));
    let found = PATHS.iter().find(|(part, _)| {
        path.find(part).is_some_and(|at| {
            let after = path[at + part.len()..].chars().next();
            part.ends_with('/') || after.is_none_or(|character| !character.is_alphanumeric())
        })
    });
    // `models/NAME:what`, where what is filled in at run time
    let is_filled = path.split_once("/models/").is_some_and(|(_, rest)| rest.contains(':') && !rest.starts_with(':'));
    found.map(|(_, operation)| if is_filled && *operation == "models" { "chat" } else { *operation })
}

/// Whether the path is so much an API's of this kind that it says so on any host.
pub(crate) fn is_own_path(address: &str) -> bool {
    const OWN: [&str; 13] = [
        "/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/responses",
        "/v1/messages",
        "/images/generations",
        "/audio/transcriptions",
        "/audio/speech",
        ":generateContent",
        ":streamGenerateContent",
        "/v1/moderations",
        "/engines/",
        "/openai/deployments/",
    ];
    if address.contains(' ') || !address.contains(['/', ':']) {
        return false;
    }
    // Messages of a chat between people.
    if address.contains("/im/v1/messages") {
        return false;
    }
    if is_path_of_bedrock(address) {
        return true;
    }
    // A path may be written without the slash that it begins with.
    OWN.iter()
        .any(|path| address.contains(path) || path.strip_prefix('/').is_some_and(|path| address.starts_with(path)))
}

/// `/model/ID/converse`, `/model/ID/invoke`
fn is_path_of_bedrock(path: &str) -> bool {
    path.starts_with("/model/") && ["/converse", "/invoke"].iter().any(|end| path.contains(end))
}

/// Whose API the path is of, on whatever host.
pub(crate) fn vendor_of_path(address: &str) -> &'static str {
    const OWN: [(&str, &str); 6] = [
        ("/openai/deployments/", "azure-openai"),
        (":generateContent", "google"),
        (":streamGenerateContent", "google"),
        (":embedContent", "google"),
        (":batchEmbedContents", "google"),
        ("/v1/messages", "anthropic"),
    ];
    if is_path_of_bedrock(address) {
        return "aws-bedrock";
    }
    let whole = format!("/{address}");
    OWN.iter().find(|(path, _)| whole.contains(path)).map_or("openai-compatible", |(_, vendor)| vendor)
}

/// Whether the text is a path on some base: no host, no file.
pub(crate) fn is_path(text: &str) -> bool {
    let rest = text.trim_start_matches('/');
    !text.contains("://")
        && !text.contains(' ')
        && rest.len() > 3
        && rest.starts_with(|character: char| character.is_ascii_lowercase() || character == '{')
        && !rest.split('/').next_back().is_some_and(|last| last.contains('.'))
}

/// Whether the address is a host with at most a version after it: where paths are added to, nothing that answers.
pub(crate) fn is_base(address: &str) -> bool {
    let path = address.split_once("://").map_or(address, |(_, rest)| rest);
    let path = path.split_once('/').map_or("", |(_, path)| path).trim_matches('/');
    let is_version = |part: &str| part.starts_with('v') && part[1..].starts_with(|digit: char| digit.is_ascii_digit());
    !address.contains('?')
        && path.split('/').all(|part| part.is_empty() || is_version(part) || part == "api" || part == "openai")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_whole_names() {
        assert_eq!(vendor_of("https://api.openai.com/v1/chat/completions"), Some("openai"));
        assert_eq!(vendor_of("https://x.openai.azure.com/openai/deployments/a"), Some("azure-openai"));
        assert_eq!(vendor_of("https://us-central1-aiplatform.googleapis.com/v1"), Some("google-vertex"));
        assert_eq!(vendor_of("https://api.openai.com.example.org/"), None);
        assert_eq!(vendor_of("https://platform.openai.com/docs"), None);
        assert_eq!(vendor_of("https://docs.pinecone.io/x"), None);
    }

    #[test]
    fn operations_are_read_from_paths() {
        assert_eq!(operation_of("https://api.openai.com/v1/chat/completions?x=1"), Some("chat"));
        assert_eq!(operation_of("{base}/v1/embeddings"), Some("embeddings"));
        assert_eq!(operation_of("https://api.openai.com/v1"), None);
        assert_eq!(operation_of("https://g.googleapis.com/v1/models/gemini-pro:generateContent"), Some("chat"));
        assert_eq!(operation_of("/modelsx"), None);
    }
}

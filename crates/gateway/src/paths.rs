//! Which path is what: one table for the whole data listener.

use std::borrow::Cow;

use http::Method;
use wire::record::Endpoint;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// Something to be asked of a model or a provider.
    Exchange(Asked<'a>),
    /// The list of routes.
    Models,
    /// One route.
    Model(&'a str),
    Health,
    Ready,
    Feedback,
    Outcomes,
    WrongMethod(&'static str),
    Nowhere,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked<'a> {
    pub(crate) endpoint: Endpoint,
    /// The path below the base URL. What a provider keeps has more in it than the endpoint.
    pub(crate) below: &'a str,
    /// The route that the path names, as Azure's do; `%XX` and all.
    pub(crate) deployment: Option<&'a str>,
}

/// Methods as a set of bits.
type Methods = u8;

const GET: Methods = 1;
const POST: Methods = 2;
const DELETE: Methods = 4;
const HEAD: Methods = 8;
const ANY: Methods = GET | POST | DELETE;
const READ: Methods = GET | HEAD;

enum What {
    Exchange(Endpoint),
    Models,
    Model,
    Health,
    Ready,
    Feedback,
    Outcomes,
}

struct Row {
    /// The path without `/v1`. One that ends in `/*` stands for everything below it.
    path: &'static str,
    methods: Methods,
    what: What,
}

const fn row(path: &'static str, methods: Methods, what: What) -> Row {
    Row { path, methods, what }
}

const fn ask(path: &'static str, methods: Methods, endpoint: Endpoint) -> Row {
    row(path, methods, What::Exchange(endpoint))
}

/// The first row whose path and method fit is the answer, so a path comes before what is below it. What is called most
/// comes first.
const TABLE: &[Row] = &[
    ask("/chat/completions", POST, Endpoint::ChatCompletions),
    ask("/embeddings", POST, Endpoint::Embeddings),
    ask("/completions", POST, Endpoint::Completions),
    ask("/responses", POST, Endpoint::Responses),
    ask("/messages", POST, Endpoint::Messages),
    row("/models", READ, What::Models),
    row("/models/*", READ, What::Model),
    row("/health", READ, What::Health),
    row("/ready", READ, What::Ready),
    row("/feedback", POST, What::Feedback),
    row("/outcomes", POST, What::Outcomes),
    ask("/moderations", POST, Endpoint::Moderations),
    ask("/rerank", POST, Endpoint::Rerank),
    ask("/images/generations", POST, Endpoint::ImageGenerations),
    ask("/images/edits", POST, Endpoint::ImageEdits),
    ask("/images/variations", POST, Endpoint::ImageVariations),
    ask("/audio/speech", POST, Endpoint::Speech),
    ask("/audio/transcriptions", POST, Endpoint::Transcriptions),
    ask("/audio/translations", POST, Endpoint::Translations),
    ask("/chat/completions", GET, Endpoint::StoredCompletions),
    ask("/chat/completions/*", ANY, Endpoint::StoredCompletions),
    ask("/responses/input_tokens", POST, Endpoint::InputTokens),
    ask("/responses/compact", POST, Endpoint::Compaction),
    ask("/responses/*", ANY, Endpoint::StoredResponses),
    ask("/messages/count_tokens", POST, Endpoint::CountTokens),
    ask("/messages/batches", GET | POST, Endpoint::MessageBatches),
    ask("/messages/batches/*", ANY, Endpoint::MessageBatches),
    ask("/files", GET | POST, Endpoint::Files),
    ask("/files/*", ANY, Endpoint::Files),
    ask("/uploads", POST, Endpoint::Uploads),
    ask("/uploads/*", POST, Endpoint::Uploads),
    ask("/batches", GET | POST, Endpoint::Batches),
    ask("/batches/*", GET | POST, Endpoint::Batches),
    ask("/vector_stores", GET | POST, Endpoint::VectorStores),
    ask("/vector_stores/*", ANY, Endpoint::VectorStores),
    ask("/conversations", POST, Endpoint::Conversations),
    ask("/conversations/*", ANY, Endpoint::Conversations),
    ask("/fine_tuning/*", ANY, Endpoint::FineTuning),
    ask("/containers", GET | POST, Endpoint::Containers),
    ask("/containers/*", ANY, Endpoint::Containers),
    ask("/evals", GET | POST, Endpoint::Evals),
    ask("/evals/*", ANY, Endpoint::Evals),
    ask("/assistants", GET | POST, Endpoint::Assistants),
    ask("/assistants/*", ANY, Endpoint::Assistants),
    ask("/threads", POST, Endpoint::Threads),
    ask("/threads/*", ANY, Endpoint::Threads),
    ask("/videos", GET | POST, Endpoint::Videos),
    ask("/videos/*", ANY, Endpoint::Videos),
];

impl<'a> Place<'a> {
    /// What stands at `path`, with or without `/v1` before it, or behind what Azure puts there.
    pub(crate) fn of(method: &Method, path: &'a str) -> Self {
        let (below, deployment) = below(path);
        let bit = bit(method);
        let mut allowed = 0;
        for row in TABLE {
            let Some(rest) = rest_of(row.path, below) else { continue };
            if row.methods & bit == 0 {
                allowed |= row.methods;
                continue;
            }
            return match row.what {
                What::Exchange(endpoint) => Self::Exchange(Asked { endpoint, below, deployment }),
                What::Models => Self::Models,
                What::Model => Self::Model(rest),
                What::Health => Self::Health,
                What::Ready => Self::Ready,
                What::Feedback => Self::Feedback,
                What::Outcomes => Self::Outcomes,
            };
        }
        if allowed == 0 { Self::Nowhere } else { Self::WrongMethod(words(allowed)) }
    }
}

/// The path below the base URL, and the deployment it names: `/v1/…`, `/…`, `/openai/v1/…`, `/openai/…` and
/// `/openai/deployments/NAME/…`.
fn below(path: &str) -> (&str, Option<&str>) {
    let after = |prefix: &str, path: &'_ str| path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    if after("/v1", path) {
        return (&path["/v1".len()..], None);
    }
    if !after("/openai", path) {
        return (path, None);
    }
    let path = &path["/openai".len()..];
    if after("/v1", path) {
        return (&path["/v1".len()..], None);
    }
    match path.strip_prefix("/deployments/").and_then(|rest| rest.find('/').map(|end| rest.split_at(end))) {
        Some((deployment, below)) if !deployment.is_empty() => (below, Some(deployment)),
        _ => (path, None),
    }
}

/// What of `path` the pattern leaves open, when it fits.
fn rest_of<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    match pattern.strip_suffix('*') {
        None => (pattern == path).then_some(""),
        Some(parent) => path.strip_prefix(parent).filter(|rest| !rest.is_empty()),
    }
}

/// A part of a path without its `%XX`; as it is when these are not UTF-8.
pub(crate) fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match hex.filter(|_| byte == b'%') {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn bit(method: &Method) -> Methods {
    match *method {
        Method::GET => GET,
        Method::HEAD => HEAD,
        Method::POST => POST,
        Method::DELETE => DELETE,
        _ => 0,
    }
}

/// The methods for `allow`.
const fn words(methods: Methods) -> &'static str {
    match methods & ANY {
        GET => "GET",
        POST => "POST",
        DELETE => "DELETE",
        3 => "GET, POST",
        5 => "GET, DELETE",
        6 => "POST, DELETE",
        _ => "GET, POST, DELETE",
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect;

    use super::*;

    #[test]
    fn every_path_is_what_the_dialect_says() {
        let mut shown = String::new();
        for (method, path) in [
            ("POST", "/v1/chat/completions"),
            ("POST", "/chat/completions"),
            ("GET", "/v1/chat/completions"),
            ("GET", "/v1/chat/completions/chatcmpl-1/messages"),
            ("PUT", "/v1/chat/completions"),
            ("GET", "/v1/completions"),
            ("HEAD", "/v1/models"),
            ("GET", "/v1/models/org/name"),
            ("GET", "/v1/models/"),
            ("POST", "/rerank"),
            ("POST", "/v1/audio/transcription"),
            ("POST", "/v1/files"),
            ("DELETE", "/v1/files"),
            ("DELETE", "/v1/files/file-1"),
            ("GET", "/v1/files/file-1/content"),
            ("GET", "/v1"),
            ("GET", "/v1x/models"),
            ("POST", "/openai/deployments/gpt-4o/chat/completions"),
            ("POST", "/openai/deployments/my%20gpt/audio/transcriptions"),
            ("POST", "/openai/deployments//chat/completions"),
            ("POST", "/openai/deployments/gpt-4o"),
            ("POST", "/openai/v1/chat/completions"),
            ("GET", "/openai/models"),
            ("GET", "/openai/files/file-1"),
        ] {
            let method: Method = method.parse().unwrap();
            writeln!(shown, "{method} {path}: {:?}", Place::of(&method, path)).unwrap();
        }
        expect![[r#"
            POST /v1/chat/completions: Exchange(Asked { endpoint: ChatCompletions, below: "/chat/completions", deployment: None })
            POST /chat/completions: Exchange(Asked { endpoint: ChatCompletions, below: "/chat/completions", deployment: None })
            GET /v1/chat/completions: Exchange(Asked { endpoint: StoredCompletions, below: "/chat/completions", deployment: None })
            GET /v1/chat/completions/chatcmpl-1/messages: Exchange(Asked { endpoint: StoredCompletions, below: "/chat/completions/chatcmpl-1/messages", deployment: None })
            PUT /v1/chat/completions: WrongMethod("GET, POST")
            GET /v1/completions: WrongMethod("POST")
            HEAD /v1/models: Models
            GET /v1/models/org/name: Model("org/name")
            GET /v1/models/: Nowhere
            POST /rerank: Exchange(Asked { endpoint: Rerank, below: "/rerank", deployment: None })
            POST /v1/audio/transcription: Nowhere
            POST /v1/files: Exchange(Asked { endpoint: Files, below: "/files", deployment: None })
            DELETE /v1/files: WrongMethod("GET, POST")
            DELETE /v1/files/file-1: Exchange(Asked { endpoint: Files, below: "/files/file-1", deployment: None })
            GET /v1/files/file-1/content: Exchange(Asked { endpoint: Files, below: "/files/file-1/content", deployment: None })
            GET /v1: Nowhere
            GET /v1x/models: Nowhere
            POST /openai/deployments/gpt-4o/chat/completions: Exchange(Asked { endpoint: ChatCompletions, below: "/chat/completions", deployment: Some("gpt-4o") })
            POST /openai/deployments/my%20gpt/audio/transcriptions: Exchange(Asked { endpoint: Transcriptions, below: "/audio/transcriptions", deployment: Some("my%20gpt") })
            POST /openai/deployments//chat/completions: Nowhere
            POST /openai/deployments/gpt-4o: Nowhere
            POST /openai/v1/chat/completions: Exchange(Asked { endpoint: ChatCompletions, below: "/chat/completions", deployment: None })
            GET /openai/models: Models
            GET /openai/files/file-1: Exchange(Asked { endpoint: Files, below: "/files/file-1", deployment: None })
        "#]].assert_eq(&shown);
    }

    #[test]
    fn every_path_and_every_name_in_the_record_is_on_the_reference_page() {
        let page = include_str!("../../../docs/reference/endpoints.md");
        for row in TABLE {
            let path = row.path.trim_end_matches("/*");
            assert!(page.contains(path), "{path}");
            if let What::Exchange(endpoint) = row.what {
                assert!(page.contains(&format!("`{}`", endpoint.as_str())), "{}", endpoint.as_str());
            }
        }
    }
}

//! Whose service is asked where no address says it: by the names of files, classes, keys and settings, and by paths on a base
//! that settings say.

use super::Visitor;
use crate::scan::facts::{Argument, BindingKind, Call, Chain, Root, Step, Text, Value};
use crate::scan::finding::{Confidence, Finding, Kind};
use crate::scan::hosts;
use crate::scan::language::Language;
use crate::scan::models;

/// Words in the path of a file that say whose API it is for.
const WORDS: [(&str, &str); 40] = [
    ("azure", "azure-openai"),
    ("openrouter", "openrouter"),
    ("open_router", "openrouter"),
    ("open-router", "openrouter"),
    ("deepseek", "deepseek"),
    ("groq", "groq"),
    ("openai", "openai"),
    ("open_ai", "openai"),
    ("chatgpt", "openai"),
    ("gpt", "openai"),
    ("anthropic", "anthropic"),
    ("claude", "anthropic"),
    ("gemini", "google"),
    ("mistral", "mistral"),
    ("cohere", "cohere"),
    ("perplexity", "perplexity"),
    ("pinecone", "pinecone"),
    ("jina", "jina"),
    ("nvidia", "nvidia"),
    ("voyage", "voyage"),
    ("volcengine", "volcengine"),
    ("doubao", "volcengine"),
    ("aliyun", "alibaba"),
    ("dashscope", "alibaba"),
    ("qwen", "alibaba"),
    ("qianfan", "baidu"),
    ("moonshot", "moonshot"),
    ("minimax", "minimax"),
    ("zhipu", "zhipu"),
    ("chatglm", "zhipu"),
    ("elevenlabs", "elevenlabs"),
    ("siliconflow", "siliconflow"),
    ("bigmodel", "zhipu"),
    ("bailian", "alibaba"),
    ("tongyi", "alibaba"),
    ("wenxin", "baidu"),
    ("kimi", "moonshot"),
    ("hunyuan", "tencent"),
    ("grok", "xai"),
    ("githubcopilot", "github-copilot"),
];

/// The same in the path of a file of Rust.
const WORDS_OF_RUST: [(&str, &str); 4] = [("codex", "openai"), ("xai_", "xai"), ("xai.", "xai"), ("xai-", "xai")];

/// Words in the path of a file that is for models on machines of one's own.
const OWN: [&str; 8] = ["ollama", "local", "llamacpp", "llama_cpp", "vllm", "lmstudio", "lm_studio", "lm-studio"];

/// Whose API the file is for by its path, in lower case: its own name first.
pub(in crate::scan) fn whose(path: &str) -> Option<&'static str> {
    let more: &[_] = if path.ends_with(".rs") { &WORDS_OF_RUST } else { &[] };
    let said = |part: &str| WORDS.iter().chain(more).find(|(word, _)| part.contains(word)).map(|(_, vendor)| *vendor);
    path.rsplit('/').next().and_then(said).or_else(|| said(path))
}

/// Whether the file is for models on machines of one's own, by its path in lower case.
pub(super) fn is_own(path: &str) -> bool {
    let path = path.replace("locali", "").replace("locale", "");
    OWN.iter().any(|word| path.contains(word))
}

/// Whether the path, in lower case, is that of a test: what it says is compared, not sent.
pub(super) fn is_of_tests(path: &str) -> bool {
    let is_in = |place: &str| path.starts_with(place) || path.contains(&format!("/{place}"));
    path.ends_with("_test.go")
        || path.strip_suffix(".cs").is_some_and(is_of_tests_dotnet)
        || path.ends_with(".rs") && is_in("tests/")
        || is_in("src/test/")
        || path.ends_with("_spec.rb")
        || path.ends_with("test.php") && is_in("tests/")
}

/// Whether a file of C# is called like tests, or is in a project of them: `Shop.Tests/Asks.cs`.
fn is_of_tests_dotnet(path: &str) -> bool {
    path.split('/').any(|part| part == "test" || part.ends_with("tests") || part.ends_with(".test"))
        || path.ends_with("test") && !path.ends_with("latest")
}

/// Where an API's own paths begin, and whether the word alone says little.
const ROOTS: [(&str, bool); 22] = [
    ("chat/completions", false),
    ("completions", false),
    ("embeddings", false),
    ("images/generations", false),
    ("images/edits", false),
    ("images/variations", false),
    ("audio/transcriptions", false),
    ("audio/translations", false),
    ("audio/speech", false),
    ("moderations", false),
    ("assistants", false),
    ("threads", true),
    ("vector_stores", false),
    ("fine_tuning/jobs", false),
    ("fine-tunes", false),
    ("batches", true),
    ("files", true),
    ("messages", true),
    ("responses", true),
    ("models", true),
    ("vectors/", false),
    ("rerank", false),
];

/// Methods of HTTP.
const VERBS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

impl Visitor<'_> {
    /// Whose API this file is for, by its path.
    pub(super) fn whose_file(&self) -> Option<&'static str> {
        let file = self.repository.files()[self.file].path.to_lowercase();
        whose(&file).filter(|_| !is_own(&file) && !is_of_tests(&file))
    }

    /// `"$baseUrl/messages"`, where settings say the base: by whose API the file is for. And the line where the path is written.
    pub(super) fn on_settings(&self, call: &Call, line: u32, name: &str) -> Option<(Finding, u32)> {
        let language = self.repository.files()[self.file].language;
        if matches!(language, Language::Python | Language::JavaScript | Language::TypeScript | Language::Tsx) {
            return None;
        }
        let vendor = self.whose_file()?;
        let is_classic = matches!(language, Language::Go | Language::Java | Language::Kotlin);
        let given = call.arguments.iter().take(3);
        let settings =
            given.into_iter().find_map(|argument| self.path_on_settings(&argument.value, call.line, 0, vendor));
        let (path, at) = match settings {
            Some(found) => found,
            None if is_classic => return None,
            None => self.path_given(call, name, vendor)?,
        };
        let finding = self.plain(Kind::Http, line, operation_on(&path, vendor)?, vendor, &format!("{name} {path}"));
        Some((Finding { confidence: Confidence::Likely, ..finding }, at))
    }

    /// The path behind a base that settings say: `"$base/messages"`, `fmt.Sprintf("%s/rerank", base)`, `base + PATH`.
    fn path_on_settings(&self, value: &Value, line: u32, depth: u32, vendor: &str) -> Option<(String, u32)> {
        if depth > 4 {
            return None;
        }
        let chain = match value {
            Value::Text(text) => {
                let whole = self.repository.text(self.file, value, line)?;
                let behind = match whole.strip_prefix('{') {
                    Some(rest) => rest.split_once('}')?.1,
                    None => {
                        whole.strip_prefix("%s").or_else(|| (depth > 1 && whole.starts_with('/')).then_some(&whole))?
                    }
                };
                let path = format!("/{}", behind.trim_start_matches('/'));
                let is_path = !path.contains(' ') && operation_on(&path, vendor).is_some();
                return is_path.then_some((path, text.line));
            }
            Value::Chain(chain) => chain,
            _ => return None,
        };
        match (&chain.root, chain.steps.as_slice()) {
            (Root::Group(values), []) => {
                values.iter().find_map(|value| self.path_on_settings(value, line, depth + 1, vendor))
            }
            (Root::Name(name), []) => match self.repository.binding_value(self.file, name, line) {
                Some(bound) => self.path_on_settings(bound, line, depth + 1, vendor),
                None => {
                    let text = self.repository.constant(self.file, name).filter(|_| depth > 1)?;
                    let is_path = text.starts_with('/') && operation_on(&text, vendor).is_some();
                    is_path.then(|| (text.to_string(), line))
                }
            },
            (_, [.., Step::Member(name, _), Step::Call(call)]) if name == "Sprintf" => {
                self.path_on_settings(&call.arguments.first()?.value, line, depth + 1, vendor)
            }
            // `responses_url(&settings.base)`: what a function of Rust returns.
            (Root::Name(name), [Step::Call(_)])
            | (Root::Name(_) | Root::Itself, [Step::Member(name, _), Step::Call(_)]) => {
                let is_rust = self.language() == Language::Rust;
                let own = self.repository.named(self.file, name).map(|(_, own)| own);
                let mut returns = own.filter(|own| is_rust && own.kind == BindingKind::Return).take(6);
                returns.find_map(|own| self.path_on_settings(own.value.as_ref()?, own.line, depth + 1, vendor))
            }
            _ => None,
        }
    }

    /// `request.call("POST", "messages", …)`: a path of the vendor's API that a transport of the repository is given.
    fn path_given(&self, call: &Call, name: &str, vendor: &str) -> Option<(String, u32)> {
        let named = |argument: &Argument| {
            argument.name.as_deref().is_none_or(|name| {
                ["path", "rest_call", "endpoint", "uri", "url", "requestUri", "resource"].contains(&name)
            })
        };
        let lower = name.to_lowercase();
        let is_verb = VERBS.contains(&lower.as_str()) || lower == "open";
        let is_told = call.arguments.iter().any(|argument| {
            argument.value.text().is_some_and(|text| VERBS.iter().any(|verb| verb.eq_ignore_ascii_case(text)))
        });
        let texts = call.arguments.iter().filter(|argument| named(argument)).take(3).filter_map(|argument| {
            let text = match &argument.value {
                Value::Text(text) => text,
                Value::Chain(Chain { root, steps, .. }) => {
                    let name = match (root, steps.as_slice()) {
                        (Root::Name(name), []) => name,
                        (Root::Itself, [Step::Member(name, _)]) => name,
                        _ => return None,
                    };
                    match self.repository.binding_value(self.file, name, call.line)? {
                        Value::Text(text) => text,
                        _ => return None,
                    }
                }
                _ => return None,
            };
            Some(text)
        });
        let is_asked = |text: &&Text| {
            let bare = text.value.trim_start_matches('/');
            let bare = bare.strip_prefix("v1/").or_else(|| bare.strip_prefix("v1beta/")).unwrap_or(bare);
            let begins = |root: &str| {
                bare.strip_prefix(root)
                    .is_some_and(|rest| root.ends_with('/') || rest.is_empty() || rest.starts_with(['/', '?']))
            };
            if text.value.contains(' ') {
                return false;
            }
            if vendor == "pinecone" && !is_verb_of_reading(&lower) {
                return operation_on(&format!("/{bare}"), vendor).is_some();
            }
            // `get("files")` may be asked of anything.
            ROOTS.iter().any(|(root, is_word)| {
                begins(root) && (!is_word || !is_verb || text.value.len() > bare.len() || is_told || lower == "post")
            })
        };
        let found = texts.into_iter().find(is_asked)?;
        let bare = format!("/{}", found.value.trim_start_matches('/'));
        Some((bare, found.line))
    }

    /// Whose service names and texts in the values say: `GROQ_API_URL`, `config("services.openai.url")`, a model's id.
    pub(super) fn named_in<'v>(&self, arguments: impl Iterator<Item = &'v Argument>) -> Option<&'static str> {
        let mut said = Said::default();
        arguments.for_each(|argument| said.value(self, &argument.value, 0));
        said.vendor
    }

    /// The same of values.
    pub(super) fn said_in<'v>(&self, values: impl Iterator<Item = &'v Value>) -> Option<&'static str> {
        let mut said = Said::default();
        values.for_each(|value| said.value(self, value, 0));
        said.vendor
    }
}

fn is_verb_of_reading(name: &str) -> bool {
    name == "get" || name == "open"
}

/// What is done at a path of the vendor's API.
fn operation_on(path: &str, vendor: &str) -> Option<&'static str> {
    if vendor == "pinecone" {
        const STORE: [&str; 6] =
            ["/vectors/", "/query", "/describe_index_stats", "/indexes", "/collections", "/databases"];
        return STORE.iter().any(|part| path.contains(part)).then_some("vector_store");
    }
    hosts::operation_of(path)
}

/// The first vendor that names and texts say.
#[derive(Debug, Default)]
struct Said {
    vendor: Option<&'static str>,
    looked: u32,
}

impl Said {
    fn word(&mut self, word: &str) {
        if self.vendor.is_some() || word.len() > 60 || word.contains(' ') {
            return;
        }
        let lower = word.to_lowercase();
        let is_named = WORDS.iter().find(|(part, _)| part.len() > 3 && lower.contains(part)).map(|(_, vendor)| *vendor);
        self.vendor = models::vendor_of(word).or_else(|| is_named.filter(|_| !is_own(&lower)));
    }

    fn value(&mut self, visitor: &Visitor<'_>, value: &Value, depth: u32) {
        self.looked += 1;
        if depth > 10 || self.looked > 200 || self.vendor.is_some() {
            return;
        }
        match value {
            Value::Text(text) => self.word(&text.value),
            Value::Object(pairs) => {
                // What is said to the model says nothing of it.
                let told =
                    pairs.iter().filter(|(key, _)| !["messages", "prompt", "content", "input"].contains(&key.as_str()));
                told.for_each(|(_, value)| self.value(visitor, value, depth + 1));
            }
            Value::List(values) => values.iter().for_each(|value| self.value(visitor, value, depth + 1)),
            Value::Chain(chain) => {
                match &chain.root {
                    Root::Name(name) => {
                        self.word(name);
                        let bound = visitor.repository.binding_value(visitor.file, name, chain.line);
                        bound
                            .filter(|_| chain.steps.is_empty())
                            .into_iter()
                            .for_each(|bound| self.value(visitor, bound, depth + 1));
                    }
                    Root::Group(values) => values.iter().for_each(|value| self.value(visitor, value, depth + 1)),
                    Root::Itself => {}
                }
                for step in &chain.steps {
                    match step {
                        Step::Member(name, _) => self.word(name),
                        Step::Call(call) => {
                            call.arguments.iter().for_each(|argument| self.value(visitor, &argument.value, depth + 1));
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

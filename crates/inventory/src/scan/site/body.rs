//! What is sent where the address is known at run time alone: headers and bodies that say what is asked, and whose it is.

use super::Visitor;
use super::request::Request;
use crate::scan::facts::{Call, Chain, Root, Step, Value};
use crate::scan::finding::{Confidence, Finding, Kind};
use crate::scan::language::Language;
use crate::scan::{hosts, models};

/// Headers that only one vendor's API has.
const HEADERS: [(&str, &str, &str); 2] =
    [("anthropic-version", "anthropic", "chat"), ("x-goog-api-key", "google", "chat")];

/// Words in the path of a file that say whose API it is for.
const WORDS: [(&str, &str); 36] = [
    ("azure", "azure-openai"),
    ("openai", "openai"),
    ("open_ai", "openai"),
    ("chatgpt", "openai"),
    ("gpt", "openai"),
    ("anthropic", "anthropic"),
    ("claude", "anthropic"),
    ("gemini", "google"),
    ("mistral", "mistral"),
    ("cohere", "cohere"),
    ("groq", "groq"),
    ("deepseek", "deepseek"),
    ("openrouter", "openrouter"),
    ("perplexity", "perplexity"),
    ("jina", "jina"),
    ("nvidia", "nvidia"),
    ("voyage", "voyage"),
    ("volcengine", "volcengine"),
    ("doubao", "volcengine"),
    ("aliyun", "alibaba"),
    ("dashscope", "alibaba"),
    ("qianfan", "baidu"),
    ("moonshot", "moonshot"),
    ("minimax", "minimax"),
    ("zhipu", "zhipu"),
    ("bigmodel", "zhipu"),
    ("bailian", "alibaba"),
    ("tongyi", "alibaba"),
    ("qwen", "alibaba"),
    ("wenxin", "baidu"),
    ("kimi", "moonshot"),
    ("hunyuan", "tencent"),
    ("siliconflow", "siliconflow"),
    ("grok", "xai"),
    ("githubcopilot", "github-copilot"),
    ("elevenlabs", "elevenlabs"),
];

/// Whose API a file is for, by the words in its path, in lower case.
pub(super) fn vendor_of_words(path: &str) -> Option<&'static str> {
    WORDS.iter().find(|(word, _)| path.contains(word)).map(|(_, vendor)| *vendor)
}

/// Whose API has a header of the name, in lower case.
pub(super) fn vendor_of_header(name: &str) -> Option<&'static str> {
    HEADERS.iter().find(|(header, ..)| *header == name).map(|(_, vendor, _)| *vendor)
}

/// Whether a file is for models on machines of one's own, by the words in its path.
pub(super) fn is_for_own(path: &str) -> bool {
    OWN.iter().any(|word| path.contains(word))
}

/// Words in the path of a file that is for models on machines of one's own.
const OWN: [&str; 5] = ["ollama", "local", "llamacpp", "llama_cpp", "vllm"];

impl Visitor<'_> {
    /// What is sent by the call, where nothing is known of its address.
    pub(super) fn unaddressed(&self, chain: &Chain, idx: usize, line: u32, name: &str) -> Option<Finding> {
        let lower = name.to_lowercase();
        if !["post", "request", "send", "fetch"].iter().any(|word| lower.contains(word)) {
            return None;
        }
        let Step::Call(call) = chain.steps.get(idx)? else { return None };
        let rest = chain.steps.get(idx + 1..).unwrap_or_default();
        let request = Request::of_sent(self.repository, self.file, call, rest);
        let path = self.repository.files()[self.file].path.to_lowercase();
        if OWN.iter().any(|word| path.contains(word)) {
            return None;
        }
        let asked = asked(&request.names());
        let of_header = HEADERS.iter().find(|(header, ..)| request.has_key(header) || says(&chain.steps, header, 0));
        let model = request.sent_model(self.repository, self.file, call.line);
        let of_model = model.id.as_deref().and_then(models::vendor_of);
        let (vendor, operation) = match (of_header, asked) {
            (Some((_, vendor, operation)), asked) => (*vendor, asked.unwrap_or(operation)),
            (None, Some(asked)) => {
                let of_path = WORDS.iter().find(|(word, _)| path.contains(word)).map(|(_, vendor)| *vendor);
                (of_path.or(of_model)?, asked)
            }
            (None, None) => return None,
        };
        let finding = self.plain(Kind::Http, line, operation, vendor, name);
        let (flags, parameters) = (request.flags_of_body(), request.names());
        Some(Finding { model, flags, parameters, confidence: Confidence::Likely, ..finding })
    }
}

impl Visitor<'_> {
    /// `"$baseUrl/messages"` of Go, Java or Kotlin, where settings say the base: by whose API the file is for.
    pub(super) fn on_settings(&self, call: &Call, line: u32, name: &str) -> Option<Finding> {
        let source = &self.repository.files()[self.file];
        if !matches!(source.language, Language::Go | Language::Java | Language::Kotlin) {
            return None;
        }
        let file = source.path.to_lowercase();
        let (_, vendor) = WORDS.iter().find(|(word, _)| file.contains(word))?;
        if OWN.iter().any(|word| file.contains(word)) || is_of_tests(&file) {
            return None;
        }
        let given = call.arguments.iter().take(3);
        let path = given.into_iter().find_map(|argument| self.path_on_settings(&argument.value, call.line, 0))?;
        let finding = self.plain(Kind::Http, line, hosts::operation_of(&path)?, vendor, &format!("{name} {path}"));
        Some(Finding { confidence: Confidence::Likely, ..finding })
    }
}

impl Visitor<'_> {
    /// The path behind a base that settings say: `"$base/messages"`, `fmt.Sprintf("%s/rerank", base)`, `base + PATH`.
    fn path_on_settings(&self, value: &Value, line: u32, depth: u32) -> Option<String> {
        if depth > 4 {
            return None;
        }
        let chain = match value {
            Value::Text(_) => {
                let whole = self.repository.text(self.file, value, line)?;
                let behind = match whole.strip_prefix('{') {
                    Some(rest) => rest.split_once('}')?.1,
                    None => {
                        whole.strip_prefix("%s").or_else(|| (depth > 1 && whole.starts_with('/')).then_some(&whole))?
                    }
                };
                let path = format!("/{}", behind.trim_start_matches('/'));
                return (!path.contains(' ') && hosts::operation_of(&path).is_some()).then_some(path);
            }
            Value::Chain(chain) => chain,
            _ => return None,
        };
        match (&chain.root, chain.steps.as_slice()) {
            (Root::Group(values), []) => values.iter().find_map(|value| self.path_on_settings(value, line, depth + 1)),
            (Root::Name(name), []) => match self.repository.binding_value(self.file, name, line) {
                Some(bound) => self.path_on_settings(bound, line, depth + 1),
                None => {
                    let text = self.repository.constant(self.file, name).filter(|_| depth > 1)?;
                    (text.starts_with('/') && hosts::operation_of(&text).is_some()).then(|| text.to_string())
                }
            },
            (_, [.., Step::Member(name, _), Step::Call(call)]) if name == "Sprintf" => {
                self.path_on_settings(&call.arguments.first()?.value, line, depth + 1)
            }
            _ => None,
        }
    }
}

/// Whether the path, in lower case, is that of a test: what it says is compared, not sent.
pub(super) fn is_of_tests(path: &str) -> bool {
    ["src/test/", "src/androidtest/", "src/commontest/", "src/jvmtest/"].iter().any(|room| path.contains(room))
        || path.ends_with("_test.go")
}

impl<'r> Visitor<'r> {
    /// Ruby's `Net::HTTP::Post.new("/v1/files")` for a host that is said elsewhere: by the path, or whose API the file is for.
    pub(super) fn built(&self, chain: &Chain, before: &str, call: &Call, line: u32) -> Option<(Finding, u32)> {
        let is_net = matches!(&chain.root, Root::Name(name) if name == "Net");
        let source = &self.repository.files()[self.file];
        let is_request = matches!(before, "Post" | "Get" | "Delete" | "Put" | "Patch") && is_net;
        if !is_request || source.language != Language::Ruby || self.has_base() {
            return None;
        }
        let given = &call.arguments.first()?.value;
        let (path, at) = match given {
            Value::Text(text) => (text.value.clone(), text.line),
            given => (self.repository.text(self.file, given, call.line)?, line),
        };
        let operation = hosts::operation_of(&path).filter(|_| path.starts_with("/v1"))?;
        let file = source.path.to_lowercase();
        let of_file = WORDS.iter().find(|(word, _)| file.contains(word)).map(|(_, vendor)| *vendor);
        let of_path = hosts::is_own_path(&path).then(|| hosts::vendor_of_path(&path));
        let vendor = of_file.or(of_path).filter(|_| !OWN.iter().any(|word| file.contains(word)))?;
        let finding = self.plain(Kind::Http, line, operation, vendor, &format!("{before} {path}"));
        Some((Finding { confidence: Confidence::Likely, ..finding }, at))
    }
}

/// What a body asks for, by the names in it.
fn asked(names: &[String]) -> Option<&'static str> {
    let has = |wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
    if has("contents") && (has("generationConfig") || has("generation_config") || has("safetySettings")) {
        return Some("chat");
    }
    if !has("model") {
        return None;
    }
    match () {
        () if has("messages") => Some("chat"),
        () if has("prompt") && (has("max_tokens") || has("temperature")) => Some("completions"),
        () if has("input") && (has("instructions") || has("tools")) => Some("responses"),
        () => None,
    }
}

/// Whether one of the texts that are given is the word, in any case.
fn says(steps: &[Step], word: &str, depth: u32) -> bool {
    depth < 4
        && steps.iter().any(|step| match step {
            Step::Call(call) => call.arguments.iter().any(|argument| in_value(&argument.value, word, depth)),
            Step::Member(..) => false,
        })
}

fn in_value(value: &Value, word: &str, depth: u32) -> bool {
    match value {
        Value::Text(text) => text.value.eq_ignore_ascii_case(word),
        Value::Object(pairs) => {
            pairs.iter().any(|(key, value)| key.eq_ignore_ascii_case(word) || in_value(value, word, depth + 1))
        }
        Value::List(values) => values.iter().any(|value| in_value(value, word, depth + 1)),
        Value::Chain(Chain { root: Root::Group(values), steps, .. }) => {
            values.iter().any(|value| in_value(value, word, depth + 1)) || says(steps, word, depth + 1)
        }
        _ => false,
    }
}

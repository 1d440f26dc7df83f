//! What is sent where the address is known at run time alone: headers and bodies that say what is asked, and whose it is.

use super::Visitor;
use super::named::{is_of_tests, is_own, whose};
use super::request::Request;
use crate::scan::facts::{BindingKind, Call, Chain, Root, Step, Value};
use crate::scan::finding::{Confidence, Finding, Kind, Model};
use crate::scan::language::Language;
use crate::scan::{hosts, models};

/// Headers that only one vendor's API has.
const HEADERS: [(&str, &str, &str); 2] =
    [("anthropic-version", "anthropic", "chat"), ("x-goog-api-key", "google", "chat")];

/// The same of what Rust sends: of a vendor's own programs, and of a gateway that asks who is calling.
const MORE_HEADERS: [(&str, &str, &str); 5] = [
    ("chatgpt-account-id", "openai", "responses"),
    ("openai-organization", "openai", "chat"),
    ("copilot-integration-id", "github-copilot", "chat"),
    ("http-referer", "openrouter", "chat"),
    ("x-title", "openrouter", "chat"),
];

/// Whose API has a header of the name, in lower case.
pub(super) fn vendor_of_header(name: &str) -> Option<&'static str> {
    HEADERS.iter().find(|(header, ..)| *header == name).map(|(_, vendor, _)| *vendor)
}

impl Visitor<'_> {
    /// What is sent by the call, where nothing is known of its address.
    pub(super) fn unaddressed(&self, chain: &Chain, idx: usize, line: u32, name: &str) -> Option<Finding> {
        let lower = name.to_lowercase();
        // C# has methods of its own that are called a request.
        let is_plain = self.repository.files()[self.file].language == Language::CSharp && lower.contains("request");
        // What WordPress sends to the browser.
        let is_answer = lower.starts_with("wp_send_json");
        // What only puts a request together, or looks at one.
        let is_built = ["prepare", "build", "format", "parse", "process", "validate", "transform", "log_"];
        if is_built.iter().any(|start| lower.starts_with(start)) {
            return None;
        }
        if is_plain || is_answer || !["post", "request", "send", "fetch"].iter().any(|word| lower.contains(word)) {
            return None;
        }
        if self.is_of_this_file(chain, idx) {
            return None;
        }
        let Step::Call(call) = chain.steps.get(idx)? else { return None };
        if self.is_own_function(chain, idx, name) {
            return None;
        }
        let rest = chain.steps.get(idx + 1..).unwrap_or_default();
        let request = Request::of_sent(self.repository, self.file, call, rest);
        let path = self.repository.files()[self.file].path.to_lowercase();
        if is_own(&path) || is_of_tests(&path) {
            return None;
        }
        let asked = request.asked();
        let more: &[_] = if self.language() == Language::Rust { &MORE_HEADERS } else { &[] };
        let mut headers = HEADERS.iter().chain(more);
        let of_header = headers.find(|(header, ..)| request.has_key(header) || says(&chain.steps, header, 0));
        let mut model = request.sent_model(self.repository, self.file, call.line);
        // A header has a vendor's name, too.
        if of_header.is_some_and(|(header, ..)| model.id.as_deref() == Some(header)) {
            model = Model::default();
        }
        let of_model = model.id.as_deref().and_then(models::vendor_of);
        let (vendor, operation) = match (of_header, asked) {
            (Some((_, vendor, operation)), asked) => (*vendor, asked.unwrap_or(operation)),
            (None, Some(asked)) => {
                let of_path = whose(&path).or(of_model).or_else(|| self.named_in(call.arguments.iter()));
                let of_function = || whose(&self.function_around(call.line)?.to_lowercase());
                (of_path.or_else(of_function).or_else(|| only_of(asked))?, asked)
            }
            (None, None) => return None,
        };
        let finding = self.plain(Kind::Http, line, operation, vendor, name);
        let (flags, parameters) = (request.flags_of_body(), request.names());
        Some(Finding { model, flags, parameters, confidence: Confidence::Likely, ..finding })
    }

    /// `$this->request($payload)`, `send_request(payload)`: a function of the same file, in PHP of the repository, whose inside is the
    /// place.
    fn is_of_this_file(&self, chain: &Chain, idx: usize) -> bool {
        let name = match (&chain.root, chain.steps.get(..idx)) {
            (Root::Itself, Some([Step::Member(name, _)])) | (Root::Name(name), Some([])) => name,
            _ => return false,
        };
        let says = |file: usize| self.repository.named(file, name).any(|(_, own)| own.kind == BindingKind::Return);
        // PHP's functions are of every file; a method may be a parent's, which knows nothing of vendors.
        let files = self.repository.files();
        let is_everywhere = files[self.file].language == Language::Php && matches!(chain.root, Root::Name(_));
        says(self.file) || is_everywhere && (0..files.len()).any(says)
    }

    /// Whether Rust calls a function of the same file, whose inside sends, or puts together a struct that is called a request.
    fn is_own_function(&self, chain: &Chain, idx: usize, name: &str) -> bool {
        if self.repository.files()[self.file].language != Language::Rust {
            return false;
        }
        let is_own = match (&chain.root, idx) {
            (Root::Name(_), 0) | (Root::Itself, 1) => true,
            // A method of two words is not one of a client of plain HTTP.
            (Root::Name(own), 1) => own == "Self" || name.contains('_'),
            _ => false,
        };
        let mut returns = self.repository.named(self.file, name).filter(|(_, own)| own.kind == BindingKind::Return);
        name.starts_with(char::is_uppercase) || is_own && returns.next().is_some()
    }

    /// Whether it is such a function, and the call itself does not say a path.
    pub(super) fn is_own_transport(&self, chain: &Chain, idx: usize, name: &str) -> bool {
        let is_told = |call: &Call| call.arguments.iter().any(|given| matches!(given.value, Value::Text(_)));
        !matches!(chain.steps.get(idx), Some(Step::Call(call)) if is_told(call))
            && self.is_own_function(chain, idx, name)
    }
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
        let of_file = whose(&file);
        let of_path = hosts::is_own_path(&path).then(|| hosts::vendor_of_path(&path));
        let vendor = of_file.or(of_path).filter(|_| !is_own(&file))?;
        let finding = self.plain(Kind::Http, line, operation, vendor, &format!("{before} {path}"));
        Some((Finding { confidence: Confidence::Likely, ..finding }, at))
    }
}

/// Whose API the body is of by its form alone.
pub(super) fn only_of(asked: &str) -> Option<&'static str> {
    (asked == "vector_store").then_some("pinecone")
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

//! Calls by plain HTTP: addresses of vendors, and who calls them.

use std::collections::HashSet;

use super::Visitor;
use super::request::Request;
use crate::scan::facts::{Argument, Binding, Call, Chain, Root, Step, Text, Value};
use crate::scan::finding::{Confidence, Finding, Kind, Model, ModelFrom};
use crate::scan::link::Repository;
use crate::scan::{hosts, models};

/// Addresses that a call was found for, by line, and those that wait for one.
#[derive(Debug, Default)]
pub(crate) struct Consumed {
    lines: HashSet<u32>,
    waiting: Vec<Text>,
}

/// Names under which things are sent.
const SENDS: [&str; 48] = [
    "get",
    "post",
    "put",
    "delete",
    "request",
    "fetch",
    "send",
    "open",
    "urlopen",
    "Do",
    "do",
    "NewRequest",
    "NewRequestWithContext",
    "Post",
    "Get",
    "PostAsync",
    "SendAsync",
    "GetAsync",
    "PostAsJsonAsync",
    "axios",
    "ofetch",
    "$fetch",
    "got",
    "ky",
    "post_json",
    "wp_remote_post",
    "wp_remote_get",
    "wp_remote_request",
    "curl_init",
    "Request",
    "HttpRequestMessage",
    "uri",
    "url",
    "exchange",
    "postForEntity",
    "postForObject",
    "fetchEventSource",
    "stream",
    "EventSource",
    "WebSocket",
    "connect",
    "aconnect_sse",
    "connect_sse",
    "post_form",
    "retrieve",
    "request_json",
    "setUrl",
    "useFetch",
];

impl<'r> Visitor<'r> {
    /// Whether the chain sends something to a vendor's address.
    pub(super) fn http(&mut self, chain: &'r Chain) {
        let mut name = match &chain.root {
            Root::Name(name) => name.as_str(),
            _ => "",
        };
        let mut line = chain.line;
        for (idx, step) in chain.steps.iter().enumerate() {
            match step {
                Step::Member(member, at) => (name, line) = (member, *at),
                Step::Call(call) => {
                    let address = self.address_in(&call.arguments, call.line, 0).or_else(|| self.base_of(chain, call));
                    if SENDS.contains(&name)
                        && let Some((address, at)) = address
                    {
                        self.consumed.lines.insert(at);
                        if let Some(finding) = self.of_address(&address, line, name) {
                            let request = Request::of_call(self.repository, self.file, call);
                            let model = request.model(self.repository, self.file, call.line);
                            let model = if model.id.is_some() { model } else { model_in_address(&address) };
                            let prompt = super::prompt::prompt_of(
                                self.repository,
                                self.file,
                                &finding.operation,
                                &request,
                                call.line,
                            );
                            let response =
                                self.readings().of_call(call, chain.steps.get(idx + 1..).unwrap_or_default());
                            let flags = request.flags_of_body();
                            let parameters = request.names();
                            self.findings.push(Finding { model, parameters, flags, prompt, response, ..finding });
                        }
                    }
                    line = call.end;
                }
            }
        }
    }

    /// The address that a client of plain HTTP was made with, and what is sent is added to.
    fn base_of(&self, chain: &Chain, sent: &Call) -> Option<(String, u32)> {
        let name = match (&chain.root, chain.steps.first()) {
            (Root::Name(name), _) => name,
            (Root::Itself, Some(Step::Member(name, _))) => name,
            _ => return None,
        };
        let Value::Chain(made) = self.repository.binding_value(self.file, name, chain.line)? else { return None };
        let call = made.steps.iter().find_map(|step| match step {
            Step::Call(call) => Some(call),
            Step::Member(..) => None,
        })?;
        let request = Request::of_call(self.repository, self.file, call);
        let base = request.base_address(self.repository, self.file).filter(|base| hosts::vendor_of(base).is_some())?;
        let path = sent.arguments.first().and_then(|argument| argument.value.text()).unwrap_or_default();
        let whole = format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'));
        hosts::operation_of(&whole).is_some().then_some((whole, call.line))
    }

    /// The first address among arguments: a text, or a name for one.
    fn address_in(&self, arguments: &[Argument], line: u32, depth: u32) -> Option<(String, u32)> {
        arguments.iter().find_map(|argument| self.address(&argument.value, line, depth))
    }

    fn address(&self, value: &Value, line: u32, depth: u32) -> Option<(String, u32)> {
        if depth > 3 {
            return None;
        }
        match value {
            Value::Object(pairs) => {
                let of_address = |name: &str| matches!(name, "url" | "uri" | "baseURL" | "method" | "path" | "URL");
                pairs
                    .iter()
                    .filter(|(name, _)| of_address(name))
                    .find_map(|(_, value)| self.address(value, line, depth + 1))
            }
            Value::Chain(chain) => {
                let inner = chain.steps.iter().find_map(|step| match step {
                    Step::Call(call) => self.address_in(&call.arguments, line, depth + 1),
                    Step::Member(..) => None,
                });
                inner.or_else(|| {
                    let (text, at) = self.repository.text_at(self.file, value, line)?;
                    is_address(&text).then_some((text, at))
                })
            }
            Value::Text(text) => {
                let whole = self.repository.filled(self.file, &text.value, text.line);
                is_address(&whole).then_some((whole, text.line))
            }
            _ => None,
        }
    }

    fn of_address(&self, address: &str, line: u32, name: &str) -> Option<Finding> {
        let operation = hosts::operation_of(address);
        if hosts::is_local(address) {
            return None;
        }
        match hosts::vendor_of(address) {
            Some(vendor) => {
                Some(self.plain(Kind::Http, line, operation.unwrap_or("models"), vendor, &format!("{name} {address}")))
            }
            None if hosts::is_own_path(address) => {
                let finding =
                    self.plain(Kind::Http, line, operation?, "openai-compatible", &format!("{name} {address}"));
                Some(Finding { confidence: Confidence::Likely, ..finding })
            }
            None => None,
        }
    }

    /// A text by itself: it waits for the call that uses it.
    pub(super) fn text(&mut self, text: &Text) {
        let is_path = text.value.starts_with('{') && text.value.contains("}/");
        if hosts::vendor_of(&text.value).is_some() || hosts::is_own_path(&text.value) || is_path {
            self.consumed.waiting.push(text.clone());
        }
    }

    /// Addresses that no call was found for.
    pub(super) fn addresses(&mut self) {
        // A path on a base address that the file names elsewhere.
        let file = &self.repository.files()[self.file].facts;
        let bases: HashSet<&'static str> = self
            .consumed
            .waiting
            .iter()
            .filter_map(|text| hosts::vendor_of(&text.value))
            .chain(bound_vendors(&file.bindings))
            .collect();
        let base = (bases.len() == 1).then(|| bases.into_iter().next()).flatten();
        let lines: HashSet<u32> =
            self.findings.iter().filter(|finding| finding.kind.is_site()).map(|finding| finding.line).collect();
        for text in std::mem::take(&mut self.consumed.waiting) {
            if self.consumed.lines.contains(&text.line) || lines.contains(&text.line) || text.value.contains(' ') {
                continue;
            }
            let whole = self.repository.filled(self.file, &text.value, text.line);
            let on_base = base.filter(|_| whole.starts_with('{') && hosts::operation_of(&whole).is_some());
            let own = hosts::is_own_path(&whole).then_some("openai-compatible");
            let Some(vendor) = hosts::vendor_of(&whole).or(on_base).or(own) else { continue };
            if hosts::is_local(&whole) {
                continue;
            }
            let finding = match hosts::operation_of(&whole) {
                Some(operation) if whole.contains('/') => {
                    let finding = self.plain(Kind::Http, text.line, operation, vendor, &whole);
                    // A path alone may be a route of one's own server.
                    let is_alone = vendor == "openai-compatible" && !whole.starts_with('{');
                    let confidence = if is_alone { Confidence::Possible } else { Confidence::Likely };
                    Finding { confidence, model: model_in_address(&whole), ..finding }
                }
                _ => self.plain(Kind::Endpoint, text.line, "client", vendor, &whole),
            };
            self.findings.push(finding);
        }
    }
}

/// The model in a path: of Google's `models/gemini-pro:generateContent`.
fn model_in_address(address: &str) -> Model {
    let id = address.split_once("/models/").and_then(|(_, rest)| rest.split([':', '/', '?']).next());
    match id.filter(|id| models::vendor_of(id).is_some()) {
        Some(id) => Model { id: Some(id.to_owned()), from: ModelFrom::Literal },
        None => Model::default(),
    }
}

/// Whose addresses are bound to names.
fn bound_vendors(bindings: &[Binding]) -> impl Iterator<Item = &'static str> {
    bindings.iter().filter_map(|binding| match &binding.value {
        Some(Value::Text(text)) => hosts::vendor_of(&text.value),
        _ => None,
    })
}

fn is_address(text: &str) -> bool {
    !text.contains(' ') && (hosts::vendor_of(text).is_some() || hosts::is_own_path(text))
}

impl Repository<'_> {
    /// The text that a value is, through one name.
    pub(crate) fn text(&self, file: usize, value: &Value, line: u32) -> Option<String> {
        self.text_at(file, value, line).map(|(text, _)| text)
    }

    /// The same with the line where it is written.
    pub(crate) fn text_at(&self, file: usize, value: &Value, line: u32) -> Option<(String, u32)> {
        match value {
            Value::Text(text) => Some((self.filled(file, &text.value, text.line), text.line)),
            Value::Chain(chain) => {
                let (name, from) = match (&chain.root, chain.steps.as_slice()) {
                    (Root::Name(name), []) => (name, line.max(chain.line)),
                    (Root::Itself | Root::Name(_), [Step::Member(name, _)]) => (name, line.max(chain.line)),
                    (Root::Group(values), []) => {
                        return values.iter().find_map(|value| self.text_at(file, value, line));
                    }
                    (Root::Group(values), _) => match values.as_slice() {
                        [one @ Value::Text(_)] => return self.text_at(file, one, line),
                        _ => return None,
                    },
                    _ => return None,
                };
                match self.binding_value(file, name, from)? {
                    Value::Text(text) => Some((self.filled(file, &text.value, text.line), text.line)),
                    Value::Chain(inner) => match (&inner.root, inner.steps.as_slice()) {
                        (Root::Group(values), _) => values.iter().find_map(|value| match value {
                            Value::Text(text) => Some((text.value.clone(), text.line)),
                            _ => None,
                        }),
                        // `format!(…)`, `URI.create(…)`, `os.getenv("X", "text")`
                        (_, steps) => steps.iter().find_map(|step| match step {
                            Step::Call(call) => call.arguments.iter().find_map(|argument| match &argument.value {
                                Value::Text(text) if text.value.contains("//") => {
                                    Some((self.filled(file, &text.value, text.line), text.line))
                                }
                                _ => None,
                            }),
                            Step::Member(..) => None,
                        }),
                    },
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The text with the names in it replaced by what is bound to them.
    pub(crate) fn filled(&self, file: usize, text: &str, line: u32) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let Some(close) = rest[open..].find('}') else { break };
            let name = rest[open + 1..open + close].rsplit(['.', '>', ':']).next().unwrap_or_default();
            filled += &rest[..open];
            match self.binding_value(file, name, line) {
                Some(Value::Text(inner)) if !name.is_empty() => filled += &inner.value,
                _ => filled += &rest[open..=open + close],
            }
            rest = &rest[open + close + 1..];
        }
        filled + rest
    }

    /// What is bound to a name at a line, in the file.
    pub(crate) fn binding_value(&self, file: usize, name: &str, line: u32) -> Option<&Value> {
        match self.binding_at(file, name, line) {
            Some(at) => self.files()[file].facts.bindings[at].value.as_ref(),
            // Constants of a class and members set elsewhere in the file.
            None => self.named(file, name).find_map(|(_, binding)| binding.value.as_ref()),
        }
    }
}

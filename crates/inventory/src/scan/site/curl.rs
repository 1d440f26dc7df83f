//! PHP's curl: what a handle is told line by line, and whose service that is.

use super::Visitor;
use super::named::{is_of_tests, is_own};
use super::request::Request;
use crate::scan::facts::{BindingKind, Call, Chain, Root, Step, Value};
use crate::scan::finding::{Confidence, Finding, Kind, Model};
use crate::scan::{hosts, models};

/// What a handle is told.
#[derive(Debug, Default)]
struct Told<'r> {
    url: Option<&'r Value>,
    body: Option<&'r Value>,
    headers: Option<&'r Value>,
    /// Lines on which something is said.
    lines: Vec<u32>,
}

impl<'r> Told<'r> {
    fn option(&mut self, name: &str, value: &'r Value) {
        match name.rsplit(['.', '\\']).next().unwrap_or(name) {
            "CURLOPT_URL" => self.url = Some(value),
            "CURLOPT_POSTFIELDS" => self.body = Some(value),
            "CURLOPT_HTTPHEADER" => self.headers = Some(value),
            _ => {}
        }
    }
}

impl<'r> Visitor<'r> {
    /// `curl_exec($ch)`: where nobody knows the address, by the body, the headers and the names of settings; where it is known, what
    /// is asked of which model.
    pub(super) fn curl(&mut self, sent: &Call, line: u32) {
        let Some(handle) = sent.arguments.first().and_then(|argument| name_of(&argument.value)) else { return };
        let told = self.told(handle, sent.line);
        let request = told.body.map(|body| Request::of_body(self.repository, self.file, body, sent.line));
        let model = request.as_ref().map(|request| request.sent_model(self.repository, self.file, sent.line));
        let model = model.unwrap_or_default();
        let known = self
            .findings
            .iter_mut()
            .rfind(|found| found.kind == Kind::Http && (told.lines.contains(&found.line) || found.line == line));
        if let Some(found) = known {
            if let Some(request) = request.filter(|_| found.model == Model::default()) {
                (found.model, found.flags, found.parameters) = (model, request.flags_of_body(), request.names());
            }
            return;
        }
        // What is set line by line says an address, too.
        let address = told.url.and_then(|url| self.repository.address_of(self.file, url, sent.line));
        if let Some((address, at)) = address.filter(|(address, _)| hosts::operation_of(address).is_some())
            && let Some(finding) = self.of_address(&address, line, "curl_exec")
        {
            self.consumed.lines.insert(at);
            self.findings.push(Finding { model, ..finding });
            return;
        }
        let finding = request.and_then(|request| self.untold(&told, &request, &model, line));
        self.findings.extend(finding.map(|finding| Finding { model, ..finding }));
    }

    /// What is sent where nothing is known of the address.
    fn untold(&self, told: &Told<'r>, request: &Request, model: &Model, line: u32) -> Option<Finding> {
        let path = self.repository.files()[self.file].path.to_lowercase();
        if is_own(&path) || is_of_tests(&path) {
            return None;
        }
        let address = told.url.and_then(|url| self.repository.text(self.file, url, line));
        if address.as_deref().is_some_and(|address| address.starts_with("http") || hosts::is_local(address)) {
            return None;
        }
        let asked = request.asked();
        let of_url = self.said_in(told.url.into_iter());
        let of_model = model.id.as_deref().and_then(models::vendor_of);
        let named = of_url.or(of_model).or_else(|| self.said_in(told.headers.into_iter()));
        let (vendor, operation) = match asked {
            Some("vector_store") => ("pinecone", "vector_store"),
            Some(asked) => (named.or_else(|| self.whose_file()).unwrap_or("openai-compatible"), asked),
            None => {
                let own = path.rsplit('/').next().unwrap_or(&path);
                let of_class = super::named::whose(own).filter(|_| request.names().is_empty())?;
                let of_path = address.as_deref().and_then(hosts::operation_of);
                (of_class, of_path.or_else(|| self.said_around(line)).unwrap_or("chat"))
            }
        };
        let finding = self.plain(Kind::Http, line, operation, vendor, "curl_exec");
        let (flags, parameters) = (request.flags_of_body(), request.names());
        Some(Finding { flags, parameters, confidence: Confidence::Likely, ..finding })
    }

    /// What the name of the function around the line says is asked: the next that is returned is what it returns.
    fn said_around(&self, line: u32) -> Option<&'static str> {
        const SAID: [(&str, &str); 7] = [
            ("image", "images"),
            ("embed", "embeddings"),
            ("speech", "audio"),
            ("transcri", "audio"),
            ("audio", "audio"),
            ("moderat", "moderation"),
            ("rerank", "rerank"),
        ];
        let facts = self.repository.files()[self.file].facts;
        let returned = facts.bindings.iter().filter(|own| own.kind == BindingKind::Return && own.line >= line);
        let name = returned.min_by_key(|own| own.line)?.target.to_lowercase();
        SAID.iter().find(|(word, _)| name.contains(word)).map(|(_, operation)| *operation)
    }

    /// What the handle is told before the line, since it was made.
    fn told(&self, handle: &str, line: u32) -> Told<'r> {
        let mut told = Told::default();
        let facts = self.repository.files()[self.file].facts;
        let made = self.repository.bound_value(self.file, handle, line).map(|at| &facts.bindings[at]);
        let from = made.map_or(1, |binding| binding.line);
        if let Some(Value::Chain(chain)) = made.and_then(|binding| binding.value.as_ref())
            && let Some(Step::Call(call)) = chain.steps.first()
            && matches!(&chain.root, Root::Name(name) if name == "curl_init")
        {
            told.url = call.arguments.first().map(|argument| &argument.value);
            told.lines.push(from);
        }
        for value in &facts.values {
            let Value::Chain(Chain { root: Root::Name(name), steps, line: at }) = value else { continue };
            let Some(Step::Call(call)) = steps.first() else { continue };
            if !name.starts_with("curl_setopt") || *at < from || *at > line {
                continue;
            }
            let [first, second, ..] = call.arguments.as_slice() else { continue };
            if name_of(&first.value) != Some(handle) {
                continue;
            }
            told.lines.extend(*at..=call.end);
            match (&second.value, call.arguments.get(2)) {
                (Value::Object(pairs), _) => pairs.iter().for_each(|(name, value)| told.option(name, value)),
                (Value::Chain(Chain { root: Root::Name(option), .. }), Some(given)) => {
                    told.option(option, &given.value)
                }
                (Value::Chain(Chain { root: Root::Name(name), .. }), None) => {
                    let bound = self.repository.named(self.file, name).filter(|(_, binding)| binding.line <= *at);
                    let objects = bound.filter_map(|(_, binding)| match &binding.value {
                        Some(Value::Object(pairs)) if binding.from <= *at && *at <= binding.to => Some(pairs),
                        _ => None,
                    });
                    if let Some(pairs) = objects.last() {
                        pairs.iter().for_each(|(name, value)| told.option(name, value));
                    }
                }
                _ => {}
            }
        }
        told
    }
}

/// The last name of a value that is one: `$ch`, `$this->curl`.
fn name_of(value: &Value) -> Option<&str> {
    let Value::Chain(chain) = value else { return None };
    match (&chain.root, chain.steps.as_slice()) {
        (Root::Name(name), []) => Some(name),
        (_, [.., Step::Member(name, _)]) => Some(name),
        _ => None,
    }
}

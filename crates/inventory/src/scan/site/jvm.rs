//! How Java and Kotlin say what is sent: interfaces whose annotations have the paths, and requests that are made first and sent later.

use super::Visitor;
use super::http::joined;
use crate::scan::facts::{Binding, BindingKind, Chain, Root, Step, Value};
use crate::scan::finding::{Confidence, Finding, Kind};
use crate::scan::hosts;

/// Parts of the names of modules that make a client of an interface.
const CLIENTS: [&str; 6] =
    ["retrofit2", "feign", "rest.client", "web.service.annotation", "micronaut.http.client", "ktorfit"];

/// Annotations that have the path of a method, or of all methods.
const PATHS: [&str; 18] = [
    "GET",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "HTTP",
    "Path",
    "GetExchange",
    "PostExchange",
    "HttpExchange",
    "DeleteExchange",
    "GetMapping",
    "PostMapping",
    "DeleteMapping",
    "RequestLine",
    "Get",
    "Post",
    "Delete",
];

/// Methods that send a request that is given to them.
const SENDERS: [&str; 4] = ["newCall", "send", "sendAsync", "execute"];

impl Visitor<'_> {
    /// `@GET("models")` of an interface of Retrofit, Feign or the like: by its path, or whose API the file is for.
    pub(super) fn declared_path(&self, chain: &Chain) -> Option<(Finding, u32)> {
        let source = &self.repository.files()[self.file];
        let (Root::Name(name), [Step::Call(call)]) = (&chain.root, chain.steps.as_slice()) else { return None };
        if !source.language.is_jvm() || !PATHS.contains(&name.as_str()) {
            return None;
        }
        let is_client = |module: &str| CLIENTS.iter().any(|part| module.contains(part));
        let is_made = source.facts.imports.iter().any(|import| is_client(&import.module));
        // An interface with a path alone, that another file makes a client of.
        let file = source.path.rsplit('/').next().unwrap_or(source.path).to_lowercase();
        let is_called_one = name == "Path" && file.contains("client");
        if !(is_made || is_called_one) {
            return None;
        }
        let text = call.arguments.iter().find_map(|given| match &given.value {
            Value::Text(text) => Some(text),
            _ => None,
        })?;
        let path = text.value.rsplit(' ').next().unwrap_or_default();
        let path = joined("", path);
        let operation = hosts::operation_of(&path)?;
        let own = hosts::is_own_path(&path).then(|| hosts::vendor_of_path(&path));
        let vendor = hosts::vendor_of(&path).or_else(|| self.whose_file()).or(own)?;
        let finding = self.plain(Kind::Http, chain.line, operation, vendor, &format!("{name} {path}"));
        Some((Finding { confidence: Confidence::Likely, ..finding }, text.line))
    }

    /// A request that has a name is sent where that is given to a client: there is its place.
    pub(super) fn move_to_sending(&mut self) {
        let repository = self.repository;
        let source = &repository.files()[self.file];
        if !source.language.is_jvm() {
            return;
        }
        let bindings = &source.facts.bindings;
        let made = |line: u32| {
            let is_around = |own: &&Binding| {
                own.kind == BindingKind::Local
                    && own.from > 1
                    && matches!(&own.value, Some(Value::Chain(chain)) if own.line <= line && line <= end_of(chain))
            };
            bindings.iter().filter(is_around).max_by_key(|own| own.line)
        };
        let bound = bindings.iter().filter_map(|own| own.value.as_ref());
        let chains: Vec<&Chain> = source
            .facts
            .values
            .iter()
            .chain(bound)
            .filter_map(|value| match value {
                Value::Chain(chain) => Some(chain),
                _ => None,
            })
            .collect();
        for finding in self.findings.iter_mut().filter(|finding| finding.kind == Kind::Http) {
            let Some(request) = made(finding.line) else { continue };
            let is_after = |chain: &&&Chain| {
                finding.line < end_of(chain) && request.from <= chain.line && chain.line <= request.to
            };
            let sent = chains.iter().filter(is_after).filter_map(|chain| sent_in(chain, &request.target)).min();
            if let Some(line) = sent.filter(|line| finding.line < *line) {
                finding.line = line;
            }
        }
    }
}

/// The last line of the calls of a chain.
fn end_of(chain: &Chain) -> u32 {
    let ends = chain.steps.iter().filter_map(|step| match step {
        Step::Call(call) => Some(call.end),
        Step::Member(..) => None,
    });
    ends.max().unwrap_or(chain.line)
}

/// Where the chain sends what has the name: `client.newCall(request).execute()`.
fn sent_in(chain: &Chain, name: &str) -> Option<u32> {
    let is_it = |value: &Value| matches!(value, Value::Chain(Chain { root: Root::Name(own), steps, .. }) if own == name && steps.is_empty());
    let mut steps = chain.steps.iter().peekable();
    let mut method = ("", chain.line);
    while let Some(step) = steps.next() {
        match step {
            Step::Member(own, line) => method = (own, *line),
            Step::Call(call)
                if SENDERS.contains(&method.0) && call.arguments.first().is_some_and(|first| is_it(&first.value)) =>
            {
                return match steps.peek() {
                    Some(Step::Member(own, line)) if matches!(own.as_str(), "execute" | "enqueue" | "await") => {
                        Some(*line)
                    }
                    _ => Some(method.1),
                };
            }
            Step::Call(_) => {}
        }
    }
    None
}

//! How Java and Kotlin say what is sent: interfaces whose annotations have the paths, and requests that are made first and sent later.

use super::Visitor;
use super::http::{bases_of, joined, model_in_address};
use super::near::{key_model, model_near};
use super::request::model_of;
use crate::scan::facts::{Argument, Binding, BindingKind, Call, Chain, Root, Step, Value};
use crate::scan::finding::{Confidence, Finding, Kind, Model};
use crate::scan::hosts;
use crate::scan::language::Language;

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

/// What stands for anything, or for what is equal to it, where a double is told what it is asked.
const MATCHERS: [&str; 14] = [
    "eq",
    "any",
    "anyString",
    "anyMap",
    "anyList",
    "argThat",
    "isA",
    "same",
    "refEq",
    "contains",
    "startsWith",
    "matches",
    "match",
    "isNull",
];

/// Under these a double is asked what it was asked, or told before it is.
const DOUBLES: [&str; 7] =
    ["verify", "coVerify", "doReturn", "doThrow", "doNothing", "doAnswer", "verifyNoMoreInteractions"];

/// Under these a double is told what to answer.
const TOLD: [&str; 2] = ["when", "given"];

/// Whether the module is of a library that makes doubles.
fn is_of_doubles(module: &str) -> bool {
    ["org.mockito", "io.mockk", "com.nhaarman", "org.easymock"].iter().any(|own| module.starts_with(own))
}

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
        let vendor = hosts::vendor_of(&path).or_else(|| self.base_vendor()).or_else(|| self.whose_file()).or(own);
        let vendor = vendor.or_else(|| self.said_beside()).or_else(|| self.whose_maker())?;
        let finding = self.plain(Kind::Http, chain.line, operation, vendor, &format!("{name} {path}"));
        Some((Finding { confidence: Confidence::Likely, ..finding }, text.line))
    }

    /// `new URL("https://…").openConnection()`: there is the place, not where its answer is read.
    pub(super) fn opened(&self, chain: &Chain, idx: usize, line: u32) -> Option<(Finding, u32)> {
        let steps = chain.steps.get(..idx.checked_sub(1)?)?.to_vec();
        let before = Value::Chain(Chain { root: chain.root.clone(), line: chain.line, steps });
        let (address, at) = self.repository.address_of(self.file, &before, line)?;
        let finding = self.of_address(&address, line, "openConnection")?;
        let model = model_in_address(&address);
        let near = || model_near(self.repository, self.file, line).unwrap_or_default();
        let model = if model.id.is_none() { near() } else { model };
        Some((Finding { model, ..finding }, at))
    }

    /// The model of what Ktor's block sets as a body: `post(url) { setBody(Ask(model = "…")) }`.
    pub(super) fn set_within(&self, chain: &Chain, call: &Call) -> Option<Model> {
        let source = &self.repository.files()[self.file];
        let end = end_of(chain);
        let within = source.facts.values.iter().find_map(|value| match value {
            Value::Chain(chain) if (call.line..=end).contains(&chain.line) => {
                match (&chain.root, chain.steps.first()) {
                    (Root::Name(name), Some(Step::Call(set))) if name == "setBody" => Some(set),
                    _ => None,
                }
            }
            _ => None,
        });
        let set = within.filter(|_| source.language == Language::Kotlin)?;
        let given = set.arguments.iter().find_map(|given| key_model(&given.value, 0))?;
        Some(model_of(self.repository, self.file, given, call.line))
    }

    /// Where the answer of a connection is read that was opened above is no place of its own.
    pub(super) fn only_opened(&mut self) {
        let address = |found: &Finding, name: &str| {
            let (by, address) = found.seen.split_once(' ').filter(|_| found.kind == Kind::Http)?;
            (by == name).then(|| address.to_owned())
        };
        let opened: Vec<(u32, String)> =
            self.findings.iter().filter_map(|found| Some((found.line, address(found, "openConnection")?))).collect();
        self.findings.retain(|found| {
            address(found, "InputStreamReader")
                .is_none_or(|read| !opened.iter().any(|(line, own)| *line < found.line && *own == read))
        });
    }

    /// Whose API the other paths of the interface are of, where one is so much an API's own that it says so.
    fn said_beside(&self) -> Option<&'static str> {
        self.repository.files()[self.file].facts.values.iter().find_map(|value| match value {
            Value::Chain(Chain { root: Root::Name(name), steps, .. }) if PATHS.contains(&name.as_str()) => {
                let [Step::Call(call)] = steps.as_slice() else { return None };
                let mut texts = call.arguments.iter().filter_map(|given| given.value.text());
                texts.find(|text| hosts::is_own_path(text)).map(hosts::vendor_of_path)
            }
            _ => None,
        })
    }

    /// Whose base address the files have that make a client of the interface, where it is one vendor's alone.
    fn whose_maker(&self) -> Option<&'static str> {
        let files = self.repository.files();
        let path = files[self.file].path;
        let name = path.rsplit('/').next()?.split('.').next()?;
        let makers = files.iter().enumerate().filter(|(idx, other)| *idx != self.file && other.language.is_jvm());
        let mut vendors: Vec<&'static str> = makers
            .filter_map(|(_, other)| {
                let vendor = bases_of(other.facts).into_iter().find_map(hosts::vendor_of)?;
                let mut bound =
                    other.facts.bindings.iter().filter_map(|own| own.value.as_ref()).chain(&other.facts.values);
                bound.any(|value| is_given(value, name, 0)).then_some(vendor)
            })
            .collect();
        vendors.sort_unstable();
        vendors.dedup();
        match vendors.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// Whether a test says what a double of a client answers, or asks what it was asked: `verify(client).post("…")`, and whatever is
    /// given a matcher.
    pub(super) fn is_doubled(&self, chain: &Chain, call: &Call) -> bool {
        let source = &self.repository.files()[self.file];
        if !source.language.is_jvm() || !source.facts.imports.iter().any(|own| is_of_doubles(&own.module)) {
            return false;
        }
        let is_matcher = |given: &Argument| {
            matches!(&given.value, Value::Chain(Chain { root: Root::Name(name), steps, .. })
                if MATCHERS.contains(&name.as_str()) && matches!(steps.as_slice(), [Step::Call(_)]))
        };
        let is_asked = matches!((&chain.root, chain.steps.as_slice()), (Root::Name(name), [Step::Call(_), Step::Member(..), ..])
            if DOUBLES.contains(&name.as_str()));
        // Kotlin's `every { client.post("…") } returns answer`
        let bound = source.facts.bindings.iter().filter_map(|own| own.value.as_ref());
        let mut all = source.facts.values.iter().chain(bound);
        is_asked
            || call.arguments.iter().any(is_matcher)
            || self.consumed.doubled.contains(&chain.line)
            || source.language == Language::Kotlin && all.any(|value| is_told_around(value, chain.line, 0))
    }

    /// What a double is told: `when(client.post("…"))` sends nothing.
    pub(super) fn consume_doubled(&mut self, chain: &Chain) {
        let source = &self.repository.files()[self.file];
        let (Root::Name(name), Some(Step::Call(call))) = (&chain.root, chain.steps.first()) else { return };
        let is_told = TOLD.contains(&name.as_str()) && source.language.is_jvm();
        if is_told && source.facts.imports.iter().any(|own| is_of_doubles(&own.module)) {
            let lines = call.arguments.iter().filter_map(|given| match &given.value {
                Value::Chain(inner) => Some(inner.line),
                _ => None,
            });
            self.consumed.doubled.extend(lines);
        }
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

/// Whether a double is told or asked something by a block around the line.
fn is_told_around(value: &Value, line: u32, depth: u32) -> bool {
    let Value::Chain(chain) = value else { return false };
    match &chain.root {
        Root::Name(name) => {
            let is_block = matches!(name.as_str(), "every" | "coEvery" | "verify" | "coVerify");
            is_block && chain.line <= line && line <= end_of(chain)
        }
        Root::Group(values) => depth < 3 && values.iter().any(|value| is_told_around(value, line, depth + 1)),
        Root::Itself => false,
    }
}

/// Whether a call in the value is given the class of the name: `retrofit.create(Api.class)`.
fn is_given(value: &Value, name: &str, depth: u32) -> bool {
    let Value::Chain(chain) = value else { return false };
    let is_class = |given: &Argument| {
        matches!(&given.value, Value::Chain(Chain { root: Root::Name(root), .. }) if root == name)
            || given.value.text() == Some(name)
            || depth < 4 && is_given(&given.value, name, depth + 1)
    };
    chain.steps.iter().any(|step| match step {
        Step::Call(call) => call.arguments.iter().any(is_class),
        Step::Member(..) => false,
    })
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

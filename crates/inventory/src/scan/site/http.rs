//! Calls by plain HTTP: addresses of vendors, and who calls them.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use super::request::Request;
use super::rust::Through;
use super::{Visitor, address};
use crate::scan::facts::{Argument, BindingKind, Call, Chain, Facts, Root, Step, Text, Value};
use crate::scan::finding::{Confidence, Finding, Kind, Model, ModelFrom};
use crate::scan::language::Language;
use crate::scan::{hosts, models};

/// Addresses that a call was found for, by line, and those that wait for one.
#[derive(Debug, Default)]
pub(crate) struct Consumed<'r> {
    pub(super) lines: HashSet<u32>,
    waiting: Vec<Text>,
    base: OnceCell<Option<&'r str>>,
    beside: OnceCell<Option<&'r str>>,
    /// What an address was sent to with, by its whole name, and whose it was.
    senders: HashMap<String, String>,
    /// Lines of what a test tells a double to answer.
    pub(super) doubled: HashSet<u32>,
    /// Whether something is posted to an address of the settings.
    is_posted: bool,
    /// Paths that were sent with something, while nobody knows where to.
    unknown: Vec<(String, u32, &'r str)>,
    /// Where Rust sends, the function of the file that it is sent through, and where the address is written.
    pub(super) through: Vec<Through<'r>>,
}

impl<'r> Visitor<'r> {
    /// Whether the chain sends something to a vendor's address. In Go the place is where a request is sent that was made before.
    pub(super) fn http(&mut self, chain: &'r Chain) {
        let known = self.findings.len();
        self.sending(chain);
        if self.findings.len() > known
            && let Some(line) = self.sent_below(chain)
        {
            // Go may fill in the body after the request was made.
            let is_go = self.language() == Language::Go;
            let near =
                || super::near::model_near(self.repository, self.file, line).filter(|_| is_go).unwrap_or_default();
            for found in self.findings[known..].iter_mut().filter(|found| found.kind == Kind::Http) {
                found.line = line;
                if found.model == Model::default() {
                    found.model = near();
                }
            }
        }
    }

    fn sending(&mut self, chain: &'r Chain) {
        let (mut before, mut name) = match &chain.root {
            Root::Name(name) => ("", name.as_str()),
            _ => ("", ""),
        };
        let mut line = chain.line;
        let known = self.findings.len();
        self.consume_doubled(chain);
        if let Some((finding, at)) = self.declared_path(chain) {
            self.consumed.lines.insert(at);
            return self.findings.push(finding);
        }
        for (idx, step) in chain.steps.iter().enumerate() {
            match step {
                Step::Member(member, at) => (before, name, line) = (name, member, *at),
                Step::Call(call) => {
                    self.consumed.lines.extend(address::route(before, name, call).map(|path| path.line));
                    // HTTParty's base: what is sent is added to it.
                    let is_base = name == "base_uri" && self.language() == Language::Ruby;
                    let is_doubled = self.is_doubled(chain, call);
                    if is_base
                        || is_doubled
                        || address::is_double(name)
                        || name.starts_with("log_")
                        || self.is_own_test(chain)
                    {
                        self.consume_texts(call);
                    }
                    let is_sent =
                        (address::is_sent(before, name, call) || self.is_told(name, call)) && !self.is_own_test(chain);
                    let is_sent = is_sent && !is_doubled && !self.is_elsewhere_in_file(name, call);
                    let sent_to = if is_sent { self.sent_to(chain, call, name) } else { None };
                    let is_known = sent_to.as_ref().is_some_and(|(address, _)| hosts::vendor_of(address).is_some());
                    let is_sent = is_sent && (is_known || !self.is_own_transport(chain, idx, name));
                    let sent_to = sent_to.filter(|_| is_sent);
                    if is_sent
                        && sent_to.is_none()
                        && self.findings.len() == known
                        && matches!(self.language(), Language::Rust | Language::Ruby | Language::Php | Language::CSharp)
                        && let Some(finding) = self.unaddressed(chain, idx, line, name)
                    {
                        self.sent_as(call, finding);
                    }
                    if is_sent
                        && self.findings.len() == known
                        && sent_to.as_ref().is_none_or(|(address, _)| hosts::vendor_of(address).is_none())
                        && let Some((finding, at)) = self
                            .on_settings(call, line, name)
                            .or_else(|| Some((self.posted(chain, idx, line, name)?, line)))
                    {
                        self.consumed.is_posted |=
                            matches!(self.language(), Language::Go | Language::Java | Language::Kotlin);
                        self.consumed.lines.insert(at);
                        self.sent_as(call, finding);
                        line = call.end;
                        continue;
                    }
                    if is_sent && sent_to.is_none() {
                        self.consumed.unknown.extend(path_alone(call).map(|path| (sender(chain, idx), line, path)));
                    }
                    self.sent_otherwise(chain, idx, (before, name), line, known);
                    if let Some((address, at)) = sent_to {
                        self.consumed.lines.insert(at);
                        self.consume_branches(call);
                        // Go's request over several lines: it is sent further below, and known by its address.
                        let is_within = self.language() == Language::Go && line < at && at <= call.end;
                        let line = if is_within && name.starts_with("NewRequest") { at } else { line };
                        self.consumed.through.extend(self.through(chain, idx, name, line, at));
                        self.sent_there(chain, idx, &address, line);
                    }
                    line = call.end;
                }
            }
        }
    }

    /// What sends something by other means than being given an address there.
    fn sent_otherwise(&mut self, chain: &'r Chain, idx: usize, (before, name): (&str, &str), line: u32, known: usize) {
        let Some(Step::Call(call)) = chain.steps.get(idx) else { return };
        if name == "post" && call.arguments.is_empty() && self.language().is_jvm() && self.findings.len() == known {
            let found = self.on_own_base(chain, idx, line).or_else(|| self.posted(chain, idx, line, name));
            self.findings.extend(found);
        }
        if name == "openConnection" && self.language().is_jvm() && self.findings.len() == known {
            let found = self.opened(chain, idx, line);
            if let Some((finding, at)) = found {
                self.consumed.lines.insert(at);
                self.findings.push(finding);
            }
        }
        if name == "curl_exec" && self.language() == Language::Php {
            self.curl(call, line);
        }
        if name == "new"
            && self.findings.len() == known
            && let Some((finding, at)) = self.built(chain, before, call, line)
        {
            self.consumed.lines.insert(at);
            self.findings.push(finding);
        }
    }

    /// A place where something is sent. In C# a request of a vendor's address that is made some lines above is the same place.
    fn sent_as(&mut self, call: &Call, sent: Finding) {
        if self.language() == Language::CSharp {
            self.consume_branches(call);
        }
        let names = call.arguments.iter().filter_map(|argument| match &argument.value {
            Value::Chain(Chain { root: Root::Name(name), steps, .. }) if steps.is_empty() => Some(name),
            _ => None,
        });
        let made = names
            .take(usize::from(self.language() == Language::CSharp))
            .find_map(|name| self.repository.bound_value(self.file, name, call.line))
            .map(|at| self.repository.files()[self.file].facts.bindings[at].line);
        let is_made =
            |own: &&mut Finding| own.kind == Kind::Http && Some(own.line) == made && own.vendor == sent.vendor;
        match self.findings.iter_mut().find(is_made) {
            Some(own) => {
                let model = if sent.model.id.is_some() { sent.model.clone() } else { own.model.clone() };
                *own = Finding { confidence: own.confidence, operation: own.operation.clone(), model, ..sent };
            }
            None => self.findings.push(sent),
        }
    }

    /// What the call does that sends to an address.
    fn sent_there(&mut self, chain: &'r Chain, idx: usize, address: &str, line: u32) {
        let Some(Step::Call(call)) = chain.steps.get(idx) else { return };
        let name = match (idx.checked_sub(1).and_then(|before| chain.steps.get(before)), &chain.root) {
            (Some(Step::Member(name, _)), _) | (None, Root::Name(name)) => name.as_str(),
            _ => "",
        };
        let Some(finding) = self.of_address(address, line, name) else {
            // A base alone: settings, or a join of paths, say the rest.
            let is_open = hosts::is_base(address) && !hosts::is_local(address);
            let posted = if is_open { self.posted(chain, idx, line, name) } else { None };
            self.findings.extend(posted);
            return;
        };
        self.consumed.senders.insert(sender(chain, idx), finding.vendor.clone());
        let rest = chain.steps.get(idx + 1..).unwrap_or_default();
        let request = Request::of_sent(self.repository, self.file, call, rest);
        // Ruby's block builds the request after the call begins.
        let built = if self.language() == Language::Ruby { call.end } else { call.line };
        let model = request.sent_model(self.repository, self.file, built);
        // `models/NAME:generateContent` says it before any body does.
        let said = model_in_address(address);
        let model = if said.id.is_some() && address.contains("/models/") { said } else { model };
        let filled = || model_in_address(&self.repository.filled(self.file, address, call.line));
        let model = if model.id.is_some() { model } else { filled() };
        let model = if model.id.is_some() { model } else { self.written(call.line).unwrap_or(model) };
        let model = if model.id.is_some() { model } else { self.set_within(chain, call).unwrap_or(model) };
        let operation = &finding.operation;
        let prompt = super::prompt::prompt_of(self.repository, self.file, operation, &request, call.line);
        let response = self.readings().of_call(call, rest);
        let (flags, parameters) = (request.flags_of_body(), request.names());
        self.findings.push(Finding { model, parameters, flags, prompt, response, ..finding });
    }

    /// The model in what is written to a request of Node's own client: `req.write(JSON.stringify({ model: … }))`.
    fn written(&self, line: u32) -> Option<Model> {
        let facts = self.repository.files()[self.file].facts;
        if !self.language().is_script() {
            return None;
        }
        let request = facts.bindings.iter().find(|own| own.line == line && own.kind == BindingKind::Local)?;
        let written = facts.values.iter().find_map(|value| match value {
            Value::Chain(Chain { root: Root::Name(name), steps, line: at })
                if *name == request.target && *at >= line =>
            {
                match steps.as_slice() {
                    [Step::Member(name, _), Step::Call(call)] if matches!(name.as_str(), "write" | "end") => {
                        call.arguments.first().map(|given| (&given.value, *at))
                    }
                    _ => None,
                }
            }
            _ => None,
        });
        let (body, at) = written?;
        Some(Request::of_body(self.repository, self.file, body, at).sent_model(self.repository, self.file, at))
    }

    /// `$api->call("POST", "messages")`: the first that is given is a method of HTTP. In Go any of them, to a function that is
    /// called a request.
    fn is_told(&self, name: &str, call: &Call) -> bool {
        if self.language() == Language::Go {
            let is_verb = |given: &Argument| match &given.value {
                Value::Text(text) => matches!(text.value.as_str(), "GET" | "POST" | "PUT" | "PATCH" | "DELETE"),
                Value::Chain(chain) => {
                    matches!(chain.steps.last(), Some(Step::Member(last, _)) if matches!(last.as_str(), "MethodPost" | "MethodGet" | "MethodDelete"))
                }
                _ => false,
            };
            return name.ends_with("Request")
                && call.arguments.iter().take(6).any(|given| given.name.is_none() && is_verb(given));
        }
        let first = call.arguments.first().and_then(|argument| argument.value.text());
        self.language() == Language::Php
            && call.arguments.len() > 1
            && first.is_some_and(|text| matches!(text, "GET" | "POST" | "PUT" | "PATCH" | "DELETE"))
    }

    /// What a test or a log is given is sent nowhere.
    fn consume_texts(&mut self, call: &Call) {
        let texts = call.arguments.iter().filter_map(|argument| match &argument.value {
            Value::Text(text) => Some(text.line),
            _ => None,
        });
        self.consumed.lines.extend(texts);
    }

    /// What is sent to in other branches is the same place.
    fn consume_branches(&mut self, call: &Call) {
        for argument in &call.arguments {
            if let Value::Chain(Chain { root: Root::Name(name), steps, .. }) = &argument.value
                && steps.is_empty()
                && let Some(at) = self.repository.bound_value(self.file, name, call.line)
            {
                let own = self.repository.files()[self.file].facts.bindings[at].value.as_ref();
                let beside = self.repository.beside_binding(self.file, at).filter_map(|other| other.value.as_ref());
                let lines = own.into_iter().chain(beside).flat_map(lines_of_texts);
                self.consumed.lines.extend(lines);
            }
        }
    }

    pub(super) fn language(&self) -> Language {
        self.repository.files()[self.file].language
    }

    /// Where a call sends to: an address that is given, a path on the base of the client, or on the one base that the file names.
    fn sent_to(&self, chain: &Chain, call: &Call, name: &str) -> Option<(String, u32)> {
        // `session()->get('messages')`: what is kept under a word.
        let is_kept = |text: &str| matches!(name, "get" | "put" | "delete") && !text.contains('/');
        let given = self.repository.address_in(self.file, &call.arguments, call.line);
        if let Some((address, _)) = &given
            && hosts::vendor_of(address).is_some()
        {
            return given;
        }
        if let Some(found) = self.base_of(chain, call).or_else(|| self.dotnet(chain, call)) {
            return Some(found);
        }
        let path = call.arguments.iter().take(2).find_map(|argument| match &argument.value {
            Value::Text(text) if hosts::is_path(&text.value) && !is_kept(&text.value) => Some(text),
            _ => None,
        });
        // A request made of a path alone (`.uri("/api/chat")`) is for the application's own router, whatever address the file names.
        let is_own = |text: &Text| self.language() == Language::Rust && name == "uri" && text.value.starts_with('/');
        if path.is_some_and(is_own) {
            return None;
        }
        if path.is_none()
            && let Some(found) = self.on_base(call)
        {
            return Some(found);
        }
        let is_sent_on = path.is_some() && self.base().is_none();
        let beside = if is_sent_on { self.base_beside() } else { None };
        // What is a whole address in Java and Kotlin has nothing added to it.
        let is_base = |base: &&str| !self.language().is_jvm() || hosts::operation_of(base).is_none();
        match (path, self.base().filter(is_base).or(beside)) {
            (Some(path), Some(base)) if hosts::operation_of(&format!("/{}", path.value)).is_some() => {
                Some((format!("{}/{}", base.trim_end_matches('/'), path.value.trim_start_matches('/')), path.line))
            }
            _ => given,
        }
    }

    /// `{base}/chat/completions` by a name, where the file has one vendor's base.
    fn on_base(&self, call: &Call) -> Option<(String, u32)> {
        let base = self.base().filter(|_| matches!(self.language(), Language::Rust | Language::Ruby))?;
        let given = call.arguments.iter().take(2).find_map(|argument| match &argument.value {
            Value::Chain(Chain { root: Root::Name(name), .. }) => {
                let at = self.repository.bound_value(self.file, name, call.line)?;
                self.repository.files()[self.file].facts.bindings[at].value.as_ref()
            }
            // `&self.endpoint`, put together where the object is made
            Value::Chain(Chain { root: Root::Itself, steps, .. }) if self.language() == Language::Rust => {
                let [Step::Member(name, _)] = steps.as_slice() else { return None };
                let at = self.repository.bound_value(self.file, name, call.line)?;
                self.repository.files()[self.file].facts.bindings[at].value.as_ref()
            }
            Value::Text(_) => Some(&argument.value),
            _ => None,
        });
        let Some(Value::Text(text)) = given else { return None };
        let (_, path) = text.value.strip_prefix('{')?.split_once("}/")?;
        let is_filled_once = !text.value[1..].split_once('}')?.0.contains('/');
        let whole = format!("{}/{path}", base.trim_end_matches('/'));
        (is_filled_once && hosts::operation_of(&format!("/{path}")).is_some()).then_some((whole, text.line))
    }

    /// Whether the file names the base address of a vendor.
    pub(super) fn has_base(&self) -> bool {
        self.base().is_some()
    }

    /// Whose base address the file names.
    pub(super) fn base_vendor(&self) -> Option<&'static str> {
        self.base().and_then(hosts::vendor_of)
    }

    /// The base address that the file names, where it names one vendor's alone.
    fn base(&self) -> Option<&'r str> {
        *self.consumed.base.get_or_init(|| self.only_base())
    }

    /// The one that the files of the directory name, in languages whose classes each have a file, where the path says whose it is.
    fn base_beside(&self) -> Option<&'r str> {
        if !matches!(self.language(), Language::CSharp | Language::Php) {
            return None;
        }
        *self.consumed.beside.get_or_init(|| {
            let own = &self.repository.files()[self.file];
            let beside = self.repository.beside_file(self.file);
            let base = only(beside.flat_map(|file| bases_of(self.repository.files()[file].facts)).collect())?;
            let vendor = hosts::vendor_of(base)?;
            (bases_of(own.facts).is_empty() && own.path.to_lowercase().contains(vendor)).then_some(base)
        })
    }

    /// Laravel's tests ask the application itself: `$this->postJson('/api/chat/completions')`.
    fn is_own_test(&self, chain: &Chain) -> bool {
        let is_json = |name: &str| name == "json" || name.ends_with("Json");
        self.language() == Language::Php
            && chain.root == Root::Itself
            && matches!(chain.steps.as_slice(), [Step::Member(name, _), Step::Call(_), ..] if is_json(name))
    }

    fn only_base(&self) -> Option<&'r str> {
        only(bases_of(self.repository.files()[self.file].facts))
    }

    /// The address that a client of plain HTTP was made with, and what is sent is added to.
    fn base_of(&self, chain: &Chain, sent: &Call) -> Option<(String, u32)> {
        let name = match (&chain.root, chain.steps.first()) {
            (Root::Name(name), _) => name,
            (Root::Itself, Some(Step::Member(name, _))) => name,
            _ => return None,
        };
        let Value::Chain(made) = self.repository.binding_value(self.file, name, chain.line)? else { return None };
        // Laravel's chain says the base by a method.
        if let Some(base) = self.said_base(made) {
            let whole = joined(&base, path_of(sent));
            return hosts::operation_of(&whole).is_some().then_some((whole, sent.line));
        }
        let call = made.steps.iter().find_map(|step| match step {
            Step::Call(call) => Some(call),
            Step::Member(..) => None,
        })?;
        let request = Request::of_call(self.repository, self.file, call);
        let base = request.base_address(self.repository, self.file).filter(|base| hosts::vendor_of(base).is_some())?;
        let whole = joined(&base, path_of(sent));
        hosts::operation_of(&whole).is_some().then_some((whole, call.line))
    }

    /// Spring's `client.post().bodyValue(…).retrieve()`: what is sent where the client was told to.
    fn on_own_base(&self, chain: &Chain, idx: usize, line: u32) -> Option<Finding> {
        if !is_sent_bare(chain) {
            return None;
        }
        let Step::Call(call) = chain.steps.get(idx)? else { return None };
        let before = chain.steps.get(..idx.checked_sub(1)?)?.to_vec();
        let made = || {
            let client = Chain { root: chain.root.clone(), line: chain.line, steps: before.clone() };
            self.repository.address_of(self.file, &Value::Chain(client), chain.line)
        };
        let (address, _) = self.base_of(chain, call).or_else(made)?;
        let finding = self.of_address(&address, line, "post")?;
        let request = Request::of_sent(self.repository, self.file, call, chain.steps.get(idx + 1..)?);
        let model = request.sent_model(self.repository, self.file, line);
        let model = if model.id.is_some() { model } else { model_in_address(&address) };
        Some(Finding { model, flags: request.flags_of_body(), parameters: request.names(), ..finding })
    }

    /// The vendor's base that a chain is given: `Http::withToken($key)->baseUrl('https://…')`.
    fn said_base(&self, made: &Chain) -> Option<String> {
        let mut name = "";
        made.steps.iter().find_map(|step| match step {
            Step::Member(member, _) => {
                name = member;
                None
            }
            Step::Call(call) if matches!(name, "baseUrl" | "withBaseUri" | "setBaseUrl" | "createForBaseUri") => {
                let first = &call.arguments.first()?.value;
                let (base, _) = self.repository.address_of(self.file, first, call.line)?;
                hosts::vendor_of(&base).is_some().then_some(base)
            }
            Step::Call(_) => None,
        })
    }

    pub(super) fn of_address(&self, address: &str, line: u32, name: &str) -> Option<Finding> {
        let operation = hosts::operation_of(address);
        if hosts::is_local(address) || hosts::is_base(address) {
            return None;
        }
        match hosts::vendor_of(address) {
            Some(vendor) => {
                // A store of vectors has paths of its own; `models/NAME:predict` does what its model is for.
                let store = (vendor == "pinecone").then_some("vector_store");
                // A path that is so much one vendor's API stands behind another's host only by a default of the settings.
                let of_path = hosts::vendor_of_path(address);
                let is_other = vendor == "openai" && matches!(of_path, "anthropic" | "google");
                let vendor = if is_other && self.language() == Language::Rust { of_path } else { vendor };
                // Signing in, billing and the like are no use of a model.
                if operation.is_none() && matches!(vendor, "openai" | "anthropic") && !address.contains("/v1") {
                    return None;
                }
                if operation.is_none() && self.language() == Language::Rust && super::rust::is_account(address) {
                    return None;
                }
                let of_model = model_in_address(address).id.as_deref().and_then(models::operation_of);
                let is_predicted = vendor == "google" && address.split('?').next()?.ends_with(":predict");
                let operation = match operation.or(store).unwrap_or("models") {
                    // What Google's own host predicts is pictures.
                    "chat" if is_predicted => of_model.unwrap_or("images"),
                    "chat" => of_model.unwrap_or("chat"),
                    operation => operation,
                };
                Some(self.plain(Kind::Http, line, operation, vendor, &format!("{name} {address}")))
            }
            // A path alone is what a test's own server answers.
            // `{lmStudioUrl}/v1/chat/completions` is a machine of one's own.
            None if address.starts_with('{') && super::named::is_own(&address.to_lowercase()) => None,
            // So is what a file posts to that is for a server of models.
            None if super::whose::is_for_own_server(self.repository.files()[self.file].path) => None,
            None if hosts::is_own_path(address) && !self.is_answered(address) => {
                let vendor = hosts::vendor_of_path(address);
                let finding = self.plain(Kind::Http, line, operation?, vendor, &format!("{name} {address}"));
                Some(Finding { confidence: Confidence::Likely, ..finding })
            }
            None => None,
        }
    }

    /// Whether the address is a path without a host in a test.
    fn is_answered(&self, address: &str) -> bool {
        let path = self.repository.files()[self.file].path.to_lowercase();
        !address.contains("://") && address.starts_with('/') && super::named::is_of_tests(&path)
    }

    /// A text by itself: it waits for the call that uses it.
    pub(super) fn text(&mut self, text: &Text) {
        let is_path = text.value.starts_with('{') && text.value.contains("}/");
        if hosts::vendor_of(&text.value).is_some() || hosts::is_own_path(&text.value) || is_path {
            self.consumed.waiting.push(text.clone());
        }
    }

    /// What is sent to a path alone by what sends to a vendor elsewhere in the file: `request(id, 'models')`.
    fn sent_alike(&mut self) {
        for (sender, line, path) in std::mem::take(&mut self.consumed.unknown) {
            if let (Some(vendor), Some(operation)) = (self.consumed.senders.get(&sender), hosts::operation_of(path)) {
                let finding = self.plain(Kind::Http, line, operation, &vendor.clone(), &format!("{sender} {path}"));
                self.findings.push(Finding { confidence: Confidence::Likely, ..finding });
            }
        }
    }

    /// Addresses that no call was found for.
    pub(super) fn addresses(&mut self) {
        self.sent_alike();
        let base = self.base().and_then(hosts::vendor_of);
        let lines: HashSet<u32> =
            self.findings.iter().filter(|finding| finding.kind.is_site()).map(|finding| finding.line).collect();
        for text in std::mem::take(&mut self.consumed.waiting) {
            if self.consumed.lines.contains(&text.line) || lines.contains(&text.line) || text.value.contains(' ') {
                continue;
            }
            let whole = self.repository.address_of(self.file, &Value::Text(text.clone()), text.line);
            let whole = whole.map_or_else(|| text.value.clone(), |(whole, _)| whole);
            let is_own = hosts::is_own_path(&whole);
            let is_on_base = is_own || whole.starts_with('{') && hosts::operation_of(&whole).is_some();
            let own = is_own.then(|| hosts::vendor_of_path(&whole));
            let vendor = hosts::vendor_of(&whole).or_else(|| base.filter(|_| is_on_base)).or(own);
            let Some(vendor) = vendor.filter(|_| !hosts::is_local(&whole) && !address::is_of_file(&whole)) else {
                continue;
            };
            if self.is_of_test_server(&text)
                || self.is_posted_there(&text, &whole)
                || self.is_sent_by_name(&text, vendor, hosts::operation_of(&whole))
            {
                continue;
            }
            let is_said = self.is_setting() || text.value.contains("://") && self.is_said_again(&whole);
            let finding = match hosts::operation_of(&whole) {
                Some(operation)
                    if whole.contains('/')
                        && !whole.ends_with("/models/")
                        && !is_said
                        && !self.is_for_others(&text) =>
                {
                    let finding = self.plain(Kind::Http, text.line, operation, vendor, &whole);
                    // A path alone may be a route of one's own server.
                    let is_alone = hosts::vendor_of(&whole).is_none() && base.is_none() && !whole.starts_with('{');
                    let is_compared =
                        super::named::is_of_tests(&self.repository.files()[self.file].path.to_lowercase());
                    let is_possible = is_alone || is_compared || self.is_only_written(&text);
                    let confidence = if is_possible { Confidence::Possible } else { Confidence::Likely };
                    let model = model_in_address(&whole);
                    // Java's connection is opened to it, and written to below.
                    let near = || super::near::model_near(self.repository, self.file, text.line).unwrap_or_default();
                    let model = if model.id.is_none() && self.language().is_jvm() { near() } else { model };
                    Finding { confidence, model, ..finding }
                }
                _ => self.plain(Kind::Endpoint, text.line, "client", vendor, &whole),
            };
            self.findings.push(finding);
        }
    }

    /// Whether the file is one of Laravel's settings: what stands in it is sent to from elsewhere.
    fn is_setting(&self) -> bool {
        let source = &self.repository.files()[self.file];
        source.language == Language::Php
            && (source.path.starts_with("config/") || source.path.contains("/config/"))
            && source.facts.classes.is_empty()
    }

    /// Whether the file sends something to the same address, or to one below it: said again, it is spoken of.
    fn is_said_again(&self, whole: &str) -> bool {
        let is_it = |address: &str| {
            address
                .strip_prefix(whole)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') && rest.contains(':'))
        };
        self.findings.iter().any(|found| {
            let is_sent = found.kind == Kind::Http && found.confidence == Confidence::Certain;
            is_sent && found.seen.split_once(' ').is_some_and(|(_, address)| is_it(address))
        })
    }

    /// Whether the text is a path with a name, in a file that posts to an address of the settings.
    fn is_posted_there(&self, text: &Text, whole: &str) -> bool {
        let is_in = |value: &Value| match value {
            Value::Text(own) => own == text,
            Value::Chain(Chain { root: Root::Group(values), .. }) => {
                values.iter().any(|value| matches!(value, Value::Text(own) if own == text))
            }
            _ => false,
        };
        let bindings = &self.repository.files()[self.file].facts.bindings;
        self.consumed.is_posted
            && hosts::vendor_of(whole).is_none()
            && bindings.iter().any(|binding| binding.value.as_ref().is_some_and(is_in))
    }

    /// Whether the text is a path on a server that a test of Rust has made: `format!("{}/v1/models", server.url())`.
    fn is_of_test_server(&self, text: &Text) -> bool {
        let is_on_it = ["{url}/", "{uri}/", "{base_url}/"].iter().any(|start| text.value.starts_with(start));
        let is_server = |value: &Value| {
            let Value::Chain(Chain { root: Root::Name(root), .. }) = value else { return false };
            matches!(root.as_str(), "mockito" | "wiremock" | "httpmock" | "MockServer")
        };
        let bindings = &self.repository.files()[self.file].facts.bindings;
        self.language() == Language::Rust
            && is_on_it
            && bindings
                .iter()
                .any(|own| (own.from..=own.to).contains(&text.line) && own.value.as_ref().is_some_and(is_server))
    }

    /// Whether the text has a name in a file of Rust or Ruby that sends to the like of it: it is what is sent to there.
    fn is_sent_by_name(&self, text: &Text, vendor: &str, operation: Option<&str>) -> bool {
        let source = &self.repository.files()[self.file];
        let is_bound = |value: &Value| match value {
            Value::Text(own) => own == text,
            // What Go returns is a list.
            Value::Chain(Chain { root: Root::Group(values), .. }) if source.language == Language::Go => {
                values.iter().any(|value| value_text(value) == Some(text))
            }
            _ => false,
        };
        matches!(source.language, Language::Rust | Language::Ruby | Language::Go)
            && self.findings.iter().any(|found| {
                let is_alike = found.vendor == vendor || vendor == "openai-compatible";
                found.kind == Kind::Http && is_alike && Some(found.operation.as_str()) == operation
            })
            && source.facts.bindings.iter().any(|binding| {
                // What a function has for itself is sent to there or not at all. In Go a function puts the address together.
                let is_shared = match source.language {
                    Language::Go => binding.kind == BindingKind::Return,
                    _ => binding.kind != BindingKind::Local || binding.from == 1,
                };
                is_shared && binding.value.as_ref().is_some_and(is_bound)
            })
    }

    /// Whether the text is a constant that another file sends to.
    fn is_for_others(&self, text: &Text) -> bool {
        let source = &self.repository.files()[self.file];
        let is_bound = |value: &Value| matches!(value, Value::Text(own) if own == text);
        let named = source.facts.bindings.iter().find(|binding| binding.value.as_ref().is_some_and(is_bound));
        named.is_some_and(|binding| {
            // What a function has for itself nobody else sends to; C#'s constructor sets members by their names alone.
            let is_member = self.language() == Language::CSharp && binding.target.starts_with(char::is_uppercase);
            let is_shared = binding.kind != BindingKind::Local || binding.from == 1 || is_member;
            is_shared && binding.target.len() > 2 && self.repository.is_named_elsewhere(self.file, &binding.target)
        })
    }
}

/// The model in a path: of Google's `models/gemini-pro:generateContent`.
pub(super) fn model_in_address(address: &str) -> Model {
    let behind = ["/models/", "/engines/", "?model="].iter().find_map(|part| address.split_once(part));
    let id = behind.and_then(|(_, rest)| rest.split([':', '/', '?', '&']).next());
    // On a base that ends in `models`.
    let asked = [":generateContent", ":streamGenerateContent", ":embedContent", ":batchEmbedContents"];
    let before = || asked.iter().find_map(|asked| address.split_once(asked)?.0.rsplit('/').next());
    match id.or_else(before).filter(|id| models::vendor_of(id).is_some()) {
        Some(id) => Model { id: Some(id.to_owned()), from: ModelFrom::Literal },
        None => Model::default(),
    }
}

/// Whether what is posted by the chain is sent to no address but the client's own, or to one with a query alone.
pub(super) fn is_sent_bare(chain: &Chain) -> bool {
    let names = || {
        chain.steps.iter().filter_map(|step| match step {
            Step::Member(name, _) => Some(name.as_str()),
            Step::Call(_) => None,
        })
    };
    let is_told = |step: &Step| match step {
        Step::Call(call) => call.arguments.iter().any(|given| match &given.value {
            Value::Text(text) => text.value.starts_with('/') && hosts::operation_of(&text.value).is_some(),
            _ => false,
        }),
        Step::Member(..) => false,
    };
    names().any(|name| matches!(name, "retrieve" | "exchange" | "exchangeToMono" | "exchangeToFlux"))
        && !chain.steps.iter().any(is_told)
}

/// The whole name of what sends.
fn sender(chain: &Chain, idx: usize) -> String {
    let root = match &chain.root {
        Root::Name(name) => name.as_str(),
        Root::Itself => "self",
        Root::Group(_) => "",
    };
    let members = chain.steps[..idx].iter().filter_map(|step| match step {
        Step::Member(name, _) => Some(name.as_str()),
        Step::Call(_) => None,
    });
    std::iter::once(root).chain(members).collect::<Vec<&str>>().join(".")
}

/// A path without a host that says what is done there.
fn path_alone(call: &Call) -> Option<&str> {
    let texts = call.arguments.iter().take(3).filter_map(|argument| argument.value.text());
    texts.into_iter().find(|text| hosts::is_path(text) && hosts::operation_of(text).is_some() && !hosts::is_local(text))
}

/// The path that is given, after a method's name or not.
fn path_of(sent: &Call) -> &str {
    const VERBS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];
    let texts = sent.arguments.iter().take(2).filter_map(|argument| argument.value.text());
    texts.into_iter().find(|text| !VERBS.iter().any(|verb| verb.eq_ignore_ascii_case(text))).unwrap_or_default()
}

/// The lines of a text, or of the texts of branches: `is_new ? "…" : "…"`.
fn lines_of_texts(value: &Value) -> Vec<u32> {
    match value {
        Value::Text(text) => vec![text.line],
        Value::Chain(Chain { root: Root::Group(values), steps, .. }) if steps.is_empty() => {
            values.iter().filter_map(|value| Some(value_text(value)?.line)).collect()
        }
        _ => Vec::new(),
    }
}

fn value_text(value: &Value) -> Option<&Text> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// A base and a path.
pub(super) fn joined(base: &str, path: &str) -> String {
    let whole = format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'));
    whole.trim_end_matches('/').to_owned()
}

/// Addresses of vendors in a file.
pub(in crate::scan) fn bases_of(facts: &Facts) -> Vec<&str> {
    let mut bases = Vec::new();
    let bound = facts.bindings.iter().filter_map(|binding| binding.value.as_ref());
    facts.values.iter().chain(bound).for_each(|value| bases_in(value, &mut bases));
    // What Rust's tests beside the source say is asked by nothing else.
    bases.iter().filter(|base| !facts.is_in_tests(base.line)).map(|base| base.value.as_str()).collect()
}

/// The first of them, where they are all of one vendor.
fn only(bases: Vec<&str>) -> Option<&str> {
    let vendors: HashSet<&'static str> = bases.iter().filter_map(|base| hosts::vendor_of(base)).collect();
    if vendors.len() == 1 { bases.first().copied() } else { None }
}

/// Addresses of vendors in a value.
fn bases_in<'v>(value: &'v Value, bases: &mut Vec<&'v Text>) {
    match value {
        Value::Text(text) if hosts::vendor_of(&text.value).is_some() => bases.push(text),
        Value::Object(pairs) => pairs.iter().for_each(|(_, value)| bases_in(value, bases)),
        Value::List(values) => values.iter().for_each(|value| bases_in(value, bases)),
        Value::Chain(chain) => {
            if let Root::Group(values) = &chain.root {
                values.iter().for_each(|value| bases_in(value, bases));
            }
            for step in &chain.steps {
                if let Step::Call(call) = step {
                    call.arguments.iter().for_each(|argument| bases_in(&argument.value, bases));
                }
            }
        }
        _ => {}
    }
}

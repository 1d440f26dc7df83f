//! Walks a chain step by step: what it stands for, and where a rule fits on the way.

use std::borrow::Cow;

use super::repository::{self, Repository, extend};
use super::{Hit, Object, State};
use crate::scan::facts::{BindingKind, Call, Chain, Root, Step, Value};
use crate::scan::finding::{Confidence, Kind};
use crate::scan::language::Language;
use crate::scan::lower::{SERVICE, imports::package_of};
use crate::scan::models;
use crate::scan::rules::{Distinct, Maker, Method, NONE, Own, Rules};
use crate::scan::site::{self, Whose};

/// Members that change nothing about what is called.
const TRANSPARENT: [&str; 22] = [
    "with_raw_response",
    "with_streaming_response",
    "with_options",
    "withOptions",
    "withRawResponse",
    "async",
    "unwrap",
    "expect",
    "clone",
    "as_ref",
    "to_owned",
    "await",
    "Value",
    "value",
    "Result",
    "ConfigureAwait",
    "lock",
    "read",
    "with_retries",
    "expect_or_exit",
    "as_mut",
    "borrow",
];

/// The same of Rust: what takes a value out of what holds it.
const HOLDERS: [&str; 39] = [
    "get_or_init",
    "get_or_try_init",
    "get_or_insert_with",
    "get",
    "get_ref",
    "get_mut",
    "as_deref",
    "as_deref_mut",
    "deref",
    "write",
    "try_lock",
    "try_read",
    "blocking_lock",
    "ok",
    "ok_or",
    "ok_or_else",
    "context",
    "with_context",
    "wrap_err",
    "map_err",
    "unwrap_or",
    "unwrap_or_else",
    "unwrap_or_default",
    "into_inner",
    "inner",
    "cloned",
    "take",
    "borrow_mut",
    "load",
    "into",
    "to_owned",
    "initialize",
    "iter",
    "iter_mut",
    "into_iter",
    "values",
    "first",
    "last",
    "next",
];

/// The same of Ruby, and what a lambda is called by.
const RUBY_HOLDERS: [&str; 10] =
    ["call", "values", "first", "last", "sample", "fetch", "compact", "presence", "dup", "itself"];

/// Names of methods that put a model behind something else.
const JOINS: [&str; 3] = ["pipe", "from", "with"];

/// Names that so much of C# has that one of the repository says nothing about another.
const ANYWHERE: [&str; 9] =
    ["Build", "BuildAsync", "Create", "CreateAsync", "Get", "Value", "Instance", "Services", "Configuration"];

/// A call without anything given.
static BARE: Call = Call { arguments: Vec::new(), line: 0, end: 0 };

/// Walks the chains of a file.
#[derive(Clone, Copy)]
pub(crate) struct Walker<'r> {
    pub(crate) repository: &'r Repository<'r>,
    pub(crate) file: usize,
    pub(crate) hops: u32,
}

impl<'r> Walker<'r> {
    pub(super) fn language(&self) -> Language {
        self.repository.files[self.file].language
    }

    pub(super) fn rules(&self) -> &'static Rules {
        Rules::of(self.language())
    }

    /// What the chain stands for. Where rules fit goes to `hits`.
    pub(crate) fn chain<'f>(&self, chain: &'f Chain, mut hits: Option<&mut Vec<Hit<'f>>>) -> State {
        let mut state = self.root(chain);
        let mut name_line = chain.line;
        for (idx, step) in chain.steps.iter().enumerate() {
            match step {
                Step::Member(name, line) => {
                    name_line = *line;
                    state = match self.kept(&state, chain, idx, name) {
                        Some(kept) => kept,
                        None => self.member(state, name, chain, idx),
                    };
                    if self.language() == Language::Ruby {
                        let at = At {
                            line: *line,
                            begins: chain.line,
                            is_bare: false,
                            root: &chain.root,
                            named: &chain.steps[..=idx],
                            call: &BARE,
                            before: &[],
                            rest: &[],
                        };
                        state = self.bare(state, chain.steps.get(idx + 1), &at, &mut hits);
                    }
                }
                Step::Call(_) if idx == 0 && required(chain).is_some() => {}
                Step::Call(call) => {
                    let rest = chain.steps.get(idx + 1..).unwrap_or_default();
                    let before = &chain.steps[..idx];
                    let is_bare = match before {
                        [] => matches!(chain.root, Root::Name(_)),
                        [Step::Member(..)] => chain.root == Root::Itself,
                        _ => false,
                    };
                    let at = At {
                        line: name_line,
                        begins: chain.line,
                        is_bare,
                        root: &chain.root,
                        named: before,
                        call,
                        before,
                        rest,
                    };
                    state = self.call(state, &at, &mut hits);
                    name_line = call.end;
                }
            }
        }
        // Ruby calls without parentheses, and members that stand for calls.
        if self.language() == Language::Ruby
            && let State::Returns(inner) = state
        {
            return *inner;
        }
        state
    }

    /// Ruby's `client.models.list` is a call without its parentheses, where no longer name begins that way.
    fn bare<'f>(
        &self,
        state: State,
        next: Option<&Step>,
        at: &At<'_, 'f>,
        hits: &mut Option<&mut Vec<Hit<'f>>>,
    ) -> State {
        let State::Object(object) = &state else {
            let is_open = matches!(state, State::Unknown | State::Symbol { .. });
            let is_whole = !matches!(next, Some(Step::Call(_))) && self.is_own(at, Distinct::InRepository);
            return if is_open && is_whole { self.call_unknown(at, hits) } else { state };
        };
        let rules = self.rules();
        let method = rules.of_type(object.of, &object.path).filter(|method| method.operation.is_some());
        match method {
            Some(method)
                if !object.path.is_empty()
                    && !matches!(next, Some(Step::Call(_)))
                    && !rules.is_prefix(object.of, &object.path) =>
            {
                let confidence = if object.is_guess { Confidence::Likely } else { Confidence::Certain };
                self.does(method, &object.clone(), confidence, at, hits)
            }
            _ => state,
        }
    }

    fn root(&self, chain: &Chain) -> State {
        if self.language().is_script()
            && let Some(module) = required(chain)
        {
            return self.repository.module(self.file, &module, self.hops);
        }
        match &chain.root {
            Root::Itself => State::Own,
            Root::Name(name) => {
                let state = self.repository.name(self.file, name, chain.line, self.hops);
                match state {
                    State::Unknown if self.language() == Language::CSharp => self.qualified(name, chain),
                    State::Unknown | State::Foreign if self.is_php_class(name, chain) => self.qualified(name, chain),
                    // A method that is inherited or mixed in.
                    State::Unknown if self.language() == Language::Ruby && name.starts_with(char::is_lowercase) => {
                        self.inherited_name(name, chain.line)
                    }
                    State::Unknown => match self.repository.type_beside(self.file, name) {
                        Some((file, at)) => State::Typed(file, at),
                        None => State::Unknown,
                    },
                    State::Returns(inner) if self.language() == Language::Ruby => *inner,
                    state => self.as_object(state),
                }
            }
            Root::Group(values) => {
                let states = values.iter().map(|value| self.repository.value(self.file, value, self.hops + 1));
                let mut rest = State::Unknown;
                for state in states {
                    if matches!(state, State::Object(_) | State::Returns(_)) {
                        return state;
                    }
                    // `Client = OpenAI if … else AzureOpenAI`
                    if state == State::Foreign || rest == State::Unknown && matches!(state, State::Symbol { .. }) {
                        rest = state;
                    }
                }
                rest
            }
        }
    }

    /// C#'s `OpenAI.Chat.ChatClient`: a class written with its whole namespace.
    fn qualified(&self, name: &str, chain: &Chain) -> State {
        let mut dotted = name.to_owned();
        for step in &chain.steps {
            match step {
                Step::Member(member, _) => extend(&mut dotted, member),
                Step::Call(_) => break,
            }
        }
        match repository::qualified(self.rules(), &dotted) {
            Some(sdks) => State::Symbol { sdks, path: name.to_owned() },
            None => State::Unknown,
        }
    }

    /// A symbol that is an object.
    fn as_object(&self, state: State) -> State {
        let State::Symbol { sdks, path } = &state else { return state };
        let rules = self.rules();
        match sdks.iter().find_map(|sdk| Some((*sdk, rules.object(*sdk, path)?))) {
            Some((sdk, of)) => State::Object(Object::new(of, sdk, rules.sdks[sdk].vendor)),
            None => state,
        }
    }

    fn member(&self, state: State, name: &str, chain: &Chain, idx: usize) -> State {
        match state {
            State::Own if name == "class" && self.language() == Language::Ruby => State::Own,
            State::Own => {
                let is_class = idx > 0 && matches!(&chain.steps[idx - 1], Step::Member(before, _) if before == "class");
                let found = self.of_class(name).filter(|_| is_class);
                let found = found.unwrap_or_else(|| self.repository.member(self.file, name, true, self.hops));
                self.ruby_value(found)
            }
            State::Unknown => {
                let is_short = idx == 0 && matches!(chain.root, Root::Group(_));
                if is_short || self.language() == Language::CSharp && ANYWHERE.contains(&name) {
                    State::Unknown
                } else {
                    self.ruby_value(self.repository.member(self.file, name, false, self.hops))
                }
            }
            State::File(file) => match self.repository.exported(file, name, self.hops + 1) {
                // What the file has itself is no part of the one object in it.
                State::Unknown if self.repository.named(file, name).next().is_some() => State::Unknown,
                State::Unknown => match self.repository.exported_by_default(file, self.hops) {
                    State::Object(mut object) => {
                        extend(&mut object.path, name);
                        State::Object(object)
                    }
                    _ => State::Unknown,
                },
                found => found,
            },
            State::Typed(file, at) => self.repository.member_of((file, at), name, self.hops + 1),
            State::Symbol { sdks, mut path } => {
                extend(&mut path, name);
                self.as_object(State::Symbol { sdks, path })
            }
            State::Object(mut object) => {
                let is_held = match self.language() {
                    Language::Rust => HOLDERS.contains(&name),
                    // What a lambda is called for, or a method that is handed over.
                    Language::Ruby => RUBY_HOLDERS.contains(&name),
                    _ => false,
                };
                if !(is_held || TRANSPARENT.contains(&name)) || self.rules().of_type(object.of, name).is_some() {
                    extend(&mut object.path, name);
                }
                State::Object(object)
            }
            State::Returns(_) => State::Unknown,
            State::Foreign => State::Foreign,
            State::Local => State::Local,
        }
    }

    pub(super) fn ruby_value(&self, state: State) -> State {
        match state {
            State::Returns(inner) if self.language() == Language::Ruby => *inner,
            state => state,
        }
    }

    fn call<'f>(&self, state: State, at: &At<'_, 'f>, hits: &mut Option<&mut Vec<Hit<'f>>>) -> State {
        if matches!(state, State::Unknown | State::Foreign)
            && let Some(found) = self.held(at).or_else(|| self.stored(at)).or_else(|| self.passed_on(at))
        {
            return found;
        }
        if matches!(state, State::Unknown | State::Foreign)
            && let Some(found) = self.handed(at, hits).or_else(|| self.through(at))
        {
            return found;
        }
        match state {
            State::Symbol { sdks, path } => self.call_symbol(&sdks, &path, at, hits),
            State::Object(object) => self.call_object(object, at, hits),
            State::Returns(inner) => *inner,
            State::File(file) => self.repository.exported_by_default(file, self.hops),
            State::Unknown | State::Own => match self.service(at) {
                Some(object) => object,
                None => self.call_unknown(at, hits),
            },
            State::Local => State::Local,
            // A composite literal of it.
            State::Typed(..) => state,
            State::Foreign if self.is_imported_own(at) => self.call_unknown(at, hits),
            State::Foreign => {
                let last = at.last();
                if JOINS.contains(&last) { self.joined(None, at) } else { State::Foreign }
            }
        }
    }

    fn call_symbol<'f>(
        &self,
        sdks: &[usize],
        path: &str,
        at: &At<'_, 'f>,
        hits: &mut Option<&mut Vec<Hit<'f>>>,
    ) -> State {
        let rules = self.rules();
        let path = if path.is_empty() || path == "default" { "*" } else { path };
        let given = self.object_in(at.call);
        if sdks.iter().any(|sdk| rules.is_local(*sdk, path)) {
            return State::Local;
        }
        for sdk in sdks.iter().copied() {
            if let Some(maker) = rules.maker(sdk, path).filter(|maker| self.is_allowed(maker, at.call)) {
                if self.is_around_local(&maker, given.as_ref(), at.call) {
                    return State::Local;
                }
                return self.made(sdk, &maker, given.as_ref(), at, hits);
            }
        }
        for sdk in sdks.iter().copied() {
            let method = rules.function(sdk, path).or_else(|| rules.of_type(rules.sdks[sdk].acts_as?, path));
            if let Some(method) = method {
                let object = Object::new("", sdk, rules.sdks[sdk].vendor);
                return self.does(method, &object, rules.sdks[sdk].confidence(), at, hits);
            }
        }
        if let Some(state) = self.by_word(sdks, path, at, hits) {
            return state;
        }
        let silent = sdks.iter().find_map(|sdk| Some((*sdk, rules.silent(*sdk, path)?)));
        if let Some((sdk, maker)) = silent {
            return self.made_silently(sdk, &maker, given.as_ref(), at.call);
        }
        for sdk in sdks.iter().copied() {
            if let (Some(of), Some(given)) = (rules.sdks[sdk].wraps, &given) {
                let is_builder = path.split('.').any(|part| part.to_lowercase().ends_with("builder"));
                let of = rules.sdks[sdk].builds.filter(|_| is_builder).unwrap_or(of);
                // `chain.run(input, &model)`: what it runs on is given where it runs.
                let last = path.rsplit('.').next().filter(|_| path.contains('.') && self.language() == Language::Rust);
                if let Some(method) = last.and_then(|last| rules.of_type(of, last)) {
                    let object = Object { of, sdk, path: String::new(), ..given.clone() };
                    return self.does(method, &object, Confidence::Certain, at, hits);
                }
                return State::Object(Object { of, sdk, path: String::new(), ..given.clone() });
            }
        }
        if self.is_given_local(at.call) {
            return State::Local;
        }
        if path.contains('.') && self.is_own(at, Distinct::InRepository) {
            return self.call_unknown(at, hits);
        }
        State::Symbol { sdks: sdks.to_vec(), path: path.to_owned() }
    }

    /// Whether the repository has a function of the same name, so that it may be that what is called.
    pub(super) fn is_wrapper(&self, at: &At<'_, '_>) -> bool {
        let last = at.last();
        let language = self.language();
        (language == Language::Go || language.is_jvm()) && self.repository.defines(language, last)
    }

    /// An object that a rule says is made there.
    fn made<'f>(
        &self,
        sdk: usize,
        maker: &Maker,
        given: Option<&Object>,
        at: &At<'_, 'f>,
        hits: &mut Option<&mut Vec<Hit<'f>>>,
    ) -> State {
        let vendor = self.vendor(sdk, maker.vendor, given, at);
        let Whose { vendor, confidence } =
            self.whose(Whose { vendor, confidence: self.rules().sdks[sdk].confidence() }, at);
        if let Some(hits) = hits.as_mut().filter(|_| maker.operation != NONE && !self.is_within(sdk)) {
            let kind = if maker.is_adapter { Kind::Adapter } else { Kind::Client };
            let hit = at.hit(kind, maker.operation, sdk, vendor, confidence);
            hits.push(Hit { line: at.begins, ..hit });
        }
        State::Object(Object { confidence, does: maker.operation, ..Object::new(maker.makes, sdk, vendor) })
    }

    /// Whether the method that is called is known by its name.
    fn is_own(&self, at: &At<'_, '_>, least: Distinct) -> bool {
        self.rules().own(at.last(), || at.dotted()).iter().any(|own| own.distinct >= least && own.fits(at.call))
            && !self.is_of_class(at)
    }

    /// Whether it is a class of the repository that is called, whatever its methods are called: in C# a function's name alone is
    /// one of the class around it, in PHP, Python, JavaScript and Rust a function of the repository.
    fn is_of_class(&self, at: &At<'_, '_>) -> bool {
        match self.language() {
            Language::CSharp => at.is_bare || at.is_double() || self.is_of_own(at) || self.is_overload(at),
            Language::Php => at.is_bare || self.is_of_own(at),
            Language::JavaScript | Language::TypeScript | Language::Tsx | Language::Python => at.is_bare,
            Language::Ruby => self.is_of_own_class(at),
            Language::Rust => {
                at.is_bare && self.repository.defines(Language::Rust, at.last()) || self.is_own_member(at)
            }
            _ => false,
        }
    }

    /// An extension method that calls another of its name in the same file.
    fn is_overload(&self, at: &At<'_, '_>) -> bool {
        let name = at.last();
        let is_declared = || {
            self.repository.named(self.file, name).any(|(_, own)| own.kind == BindingKind::Return && own.line < at.line)
        };
        (name.starts_with("Add") || name.starts_with("With")) && is_declared()
    }

    fn call_object<'f>(&self, mut object: Object, at: &At<'_, 'f>, hits: &mut Option<&mut Vec<Hit<'f>>>) -> State {
        let rules = self.rules();
        if self.language() == Language::Ruby && matches!(object.path.as_str(), "send" | "public_send" | "__send__") {
            // `client.send(name, …)`: by the method that the name says, else the one that answers.
            let said =
                at.call.arguments.first().and_then(|first| self.repository.text(self.file, &first.value, at.line));
            let said = said.filter(|said| rules.of_type(object.of, said).is_some());
            object.path = said.unwrap_or_else(|| "chat".to_owned());
        }
        // Settings of a builder of something whose every method calls the service.
        if rules.is_open(object.of, &object.path) && is_building(&object.path, at.rest) {
            object.path.clear();
            return State::Object(object);
        }
        if self.is_group(&object, at) {
            return State::Object(object);
        }
        if let Some(method) = rules.of_type(object.of, &object.path) {
            let confidence = if object.is_guess { Confidence::Likely } else { Confidence::Certain };
            return self.does(method, &object, confidence, at, hits);
        }
        if let Some(service) = self.service(at) {
            return service;
        }
        let is_loose = rules.loose.contains(&object.of) && !object.path.is_empty();
        if let Some(method) = rules.by_word(&object.path).filter(|_| is_loose && !is_building(&object.path, at.rest)) {
            return self.does(method, &object, Confidence::Likely, at, hits);
        }
        // A function may make clients of several libraries.
        if !rules.is_prefix(object.of, &object.path) && self.is_own(at, Distinct::InFile) {
            return self.call_unknown(at, hits);
        }
        let last = object.path.rsplit('.').next().unwrap_or_default().to_owned();
        // A builder's last word, and everything on a fluent object.
        if rules.is_fluent(object.of) || matches!(last.as_str(), "build" | "buildClient" | "buildAsyncClient" | "make")
        {
            object.path.clear();
        } else if is_setter(&last, at.rest) {
            object.path.truncate(object.path.len().saturating_sub(last.len()));
            object.path = object.path.trim_end_matches('.').to_owned();
        }
        State::Object(object)
    }

    pub(super) fn does<'f>(
        &self,
        method: Method,
        object: &Object,
        confidence: Confidence,
        at: &At<'_, 'f>,
        hits: &mut Option<&mut Vec<Hit<'f>>>,
    ) -> State {
        let is_double = self.language() == Language::CSharp && at.is_double();
        if is_double || method.unless.is_some_and(|of| self.is_given(at.call, of)) {
            return State::Foreign;
        }
        let vendor = match object.vendor {
            "-" => self.vendor(object.sdk, method.vendor, self.object_in(at.call).as_ref(), at),
            own => method.vendor.unwrap_or(own),
        };
        let own = Whose { vendor, confidence: object.confidence };
        let whose = if method.is_maker { self.whose(own, at) } else { own };
        // A call is as sure as it is whose service its client calls.
        let (vendor, confidence) = (whose.vendor, confidence.min(whose.confidence));
        // Whatever is built on a model for completions asks for completions.
        let operation = match method.operation {
            Some("chat") if object.does == "completions" => Some("completions"),
            operation => operation,
        };
        if let (Some(hits), Some(operation)) = (hits.as_mut().filter(|_| !self.is_within(object.sdk)), operation) {
            let kind = match (method.is_maker, method.is_adapter) {
                (true, true) => Kind::Adapter,
                (true, false) => Kind::Client,
                _ => Kind::Call,
            };
            let hit = Hit { is_near: method.is_near, ..at.hit(kind, operation, object.sdk, vendor, confidence) };
            // A builder is where it begins.
            let is_built = method.is_maker && !at.named.is_empty() && at.last().eq_ignore_ascii_case("build");
            hits.push(if is_built { Hit { line: at.begins, ..hit } } else { hit });
        }
        match method.returns {
            Some(of) => State::Object(Object {
                of,
                vendor,
                path: String::new(),
                confidence: whose.confidence,
                ..object.clone()
            }),
            None => State::Foreign,
        }
    }

    /// Whose service an object calls that is made there: of what is given to it the base address says more than the library.
    fn whose(&self, own: Whose, at: &At<'_, '_>) -> Whose {
        site::of_client(self.repository, self.file, at.call, at.rest, own)
    }

    /// The service that a container is asked for by its type.
    fn service(&self, at: &At<'_, '_>) -> Option<State> {
        let last = at.last();
        let is_asked = last.starts_with("GetRequired")
            || last.starts_with("GetService")
            || last.starts_with("GetKeyed")
            || matches!(last, "Resolve" | "ref" | "getBean" | "getInstance" | "inject" | "get" | "koin");
        if let Some(class) = self.php_service(at) {
            return Some(class);
        }
        let asked =
            at.call.arguments.iter().filter(|_| is_asked).find(|argument| argument.name.as_deref() == Some(SERVICE))?;
        match self.repository.declared(self.file, asked.value.text()?, self.hops + 1) {
            State::Object(object) => Some(State::Object(object)),
            _ => None,
        }
    }

    /// A method of something unknown, whose name is a library's own.
    pub(super) fn call_unknown<'f>(&self, at: &At<'_, 'f>, hits: &mut Option<&mut Vec<Hit<'f>>>) -> State {
        let last = at.last();
        if JOINS.contains(&last) {
            let joined = self.joined(None, at);
            if joined != State::Unknown {
                return joined;
            }
        }
        let rules = self.rules();
        let own = rules.own(at.last(), || at.dotted());
        if own.is_empty() || self.is_of_class(at) {
            return State::Unknown;
        }
        let most = if self.is_wrapper(at) { Confidence::Possible } else { Confidence::Certain };
        let fitting = own.into_iter().filter(|own| own.fits(at.call));
        let known = fitting.filter_map(|own| Some((own, self.evidence(own)?)));
        // The longest name, but of one of a library that is used.
        let surest = known.reduce(|best, next| if next.1.1 > best.1.1 { next } else { best });
        if let Some((own, (sdk, confidence))) = surest {
            let vendor = own.method.vendor.unwrap_or(rules.sdks[sdk].vendor);
            let object = Object { is_guess: true, ..Object::new(own.of, sdk, vendor) };
            return self.does(own.method, &object, confidence.min(most), at, hits);
        }
        // A method of an unknown object may be a function of the repository.
        State::Unknown
    }

    /// The library whose method it is, and how sure that is.
    fn evidence(&self, own: &Own) -> Option<(usize, Confidence)> {
        let rules = self.rules();
        let makers: Vec<usize> = rules.makers_of(own.of).collect();
        if let Some(sdk) = makers.iter().find(|sdk| self.repository.imports(self.file, **sdk)) {
            return Some((*sdk, Confidence::Likely));
        }
        if own.distinct == Distinct::InFile {
            return None;
        }
        let used = makers.iter().find(|sdk| self.repository.uses(self.language(), **sdk));
        match used {
            Some(sdk) => Some((*sdk, Confidence::Likely)),
            None => Some((*makers.first()?, Confidence::Possible)),
        }
    }

    /// What a chain of models becomes.
    fn joined(&self, of: Option<&'static str>, at: &At<'_, '_>) -> State {
        let Some(given) = self.object_in(at.call) else { return State::Unknown };
        let wraps = self.rules().sdks[given.sdk].wraps;
        match of.or(wraps) {
            Some(of) => State::Object(Object { of, path: String::new(), ..given }),
            None => State::Unknown,
        }
    }

    /// Whether an object of the type is given.
    fn is_given(&self, call: &Call, of: &str) -> bool {
        call.arguments.iter().any(|argument| {
            let state = match &argument.value {
                Value::Chain(_) => self.repository.value(self.file, &argument.value, self.hops + 1),
                _ => State::Unknown,
            };
            matches!(state, State::Object(object) if object.of == of)
        })
    }

    /// A model, chain or client among what is given.
    pub(super) fn object_in(&self, call: &Call) -> Option<Object> {
        if self.hops > 9 {
            return None;
        }
        call.arguments.iter().find_map(|argument| self.object_of(&argument.value, 0))
    }

    fn object_of(&self, value: &Value, depth: u32) -> Option<Object> {
        match value {
            Value::Chain(_) => match self.repository.value(self.file, value, self.hops + 1) {
                State::Object(object) if answers(object.of) => Some(object),
                _ => None,
            },
            Value::Object(pairs) if depth < 3 => pairs.iter().find_map(|(_, value)| self.object_of(value, depth + 1)),
            Value::List(values) if depth < 3 => values.iter().find_map(|value| self.object_of(value, depth + 1)),
            _ => None,
        }
    }

    /// Whose service it is: what the rule says, whose base address is given, what the library is for.
    fn vendor(&self, sdk: usize, ruled: Option<&'static str>, given: Option<&Object>, at: &At<'_, '_>) -> &'static str {
        let own = ruled.unwrap_or(self.rules().sdks[sdk].vendor);
        if own != "-" {
            return own;
        }
        if let Some(given) = given {
            return given.vendor;
        }
        let of_text = |value: &Value| models::vendor_of(value.text()?);
        let of_value = |value: &Value| match value {
            Value::Object(pairs) => pairs.iter().find_map(|(_, value)| of_text(value)),
            value => of_text(value),
        };
        at.call.arguments.iter().find_map(|argument| of_value(&argument.value)).unwrap_or("-")
    }
}

/// The module that `require("…")` or `import("…")` brings in.
pub(super) fn required(chain: &Chain) -> Option<Cow<'_, str>> {
    let (Root::Name(name), Some(Step::Call(call))) = (&chain.root, chain.steps.first()) else { return None };
    matches!(name.as_str(), "require" | "import")
        .then(|| call.arguments.first()?.value.text().map(package_of))
        .flatten()
}

/// Whether something of the type can answer, so that what it is given to can.
pub(super) fn answers(of: &str) -> bool {
    !["_embed", "_pinecone", "_rerank", "_image", "_audio", "_moderation", "pinecone", "pinecone_index"]
        .iter()
        .any(|end| of.ends_with(end))
}

/// Whether a chain builds something by the name, or goes on to.
fn is_building(name: &str, rest: &[Step]) -> bool {
    name == "build" || rest.iter().any(|step| matches!(step, Step::Member(member, _) if member == "build"))
}

/// A setting of a builder: something is given and the chain goes on.
fn is_setter(name: &str, rest: &[Step]) -> bool {
    let goes_on = rest.len() >= 2;
    let is_with = name.starts_with("with_") || name.starts_with("with") && name[4..].starts_with(char::is_uppercase);
    goes_on && is_with
}

/// Where a call stands.
pub(super) struct At<'a, 'f> {
    /// Line of the name that is called.
    pub(super) line: u32,
    /// Line where the chain begins.
    pub(super) begins: u32,
    /// Whether it is a function's name alone, or a method of the class itself.
    pub(super) is_bare: bool,
    pub(super) root: &'a Root,
    /// What is done with the root, up to the name that is called.
    pub(super) named: &'a [Step],
    pub(super) call: &'f Call,
    pub(super) before: &'f [Step],
    pub(super) rest: &'f [Step],
}

impl<'f> At<'_, 'f> {
    /// The name that is called.
    pub(super) fn last(&self) -> &str {
        let member = self.named.iter().rev().find_map(|step| match step {
            Step::Member(name, _) => Some(name.as_str()),
            Step::Call(_) => None,
        });
        member.unwrap_or(match self.root {
            Root::Name(name) => name,
            _ => "",
        })
    }

    /// The same place.
    pub(super) fn again(&self) -> At<'_, 'f> {
        At { root: self.root, named: self.named, ..*self }
    }

    /// The names up to there.
    pub(super) fn dotted(&self) -> String {
        let mut dotted = match self.root {
            Root::Name(name) => name.clone(),
            _ => String::new(),
        };
        for step in self.named {
            if let Step::Member(name, _) = step {
                extend(&mut dotted, name);
            }
        }
        dotted
    }

    /// Whether a test says what a double answers to: `mock.Setup(x => x.AskAsync(It.IsAny<string>()))`.
    fn is_double(&self) -> bool {
        self.call.arguments.iter().any(|argument| match &argument.value {
            Value::Chain(Chain { root: Root::Name(name), steps, .. }) => {
                let asks = matches!(steps.first(), Some(Step::Member(member, _)) if member.starts_with("Is") || member.starts_with("Any"));
                asks && matches!(name.as_str(), "It" | "Arg")
            }
            _ => false,
        })
    }

    fn hit(
        &self,
        kind: Kind,
        operation: &'static str,
        sdk: usize,
        vendor: &'static str,
        confidence: Confidence,
    ) -> Hit<'f> {
        let line = self.line;
        let (call, before, chain, seen) = (self.call, self.before, self.rest, self.dotted());
        Hit { kind, operation, sdk, vendor, line, confidence, call, seen, before, chain, is_near: false }
    }
}

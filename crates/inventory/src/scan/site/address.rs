//! Addresses: from a value to the address that it is, through names, members, functions and what is put together.

use std::sync::OnceLock;

use crate::scan::facts::{Argument, Binding, BindingKind, Call, Chain, Root, Step, Text, Value};
use crate::scan::hosts;
use crate::scan::language::Language;
use crate::scan::link::{Repository, text_in, text_of_branch};

/// How many values are looked at for one address.
const BUDGET: u32 = 160;

/// How many names are followed one after the other.
const DEPTH: u32 = 8;

/// How many branches are looked at in which a name is given a value.
const BRANCHES: usize = 12;

/// Keys and names under which an address is given.
const KEYS: [&str; 19] = [
    "url",
    "uri",
    "baseURL",
    "base_url",
    "baseUrl",
    "path",
    "URL",
    "Url",
    "Uri",
    "Path",
    "host",
    "Host",
    "hostname",
    "endpoint",
    "CURLOPT_URL",
    "base_uri",
    "url_or_path",
    "RequestUri",
    "requestUri",
];

/// An address and the line in the same file where it is written.
pub(crate) type Address = (String, u32);

impl Repository<'_> {
    /// The address that a value comes to.
    pub(crate) fn address_of(&self, file: usize, value: &Value, line: u32) -> Option<Address> {
        Tracer { repository: self, budget: BUDGET }.value(file, value, line, 0)
    }

    /// The first address among arguments that says what is done there, else the first.
    pub(crate) fn address_in(&self, file: usize, arguments: &[Argument], line: u32) -> Option<Address> {
        Tracer { repository: self, budget: BUDGET }.arguments(file, arguments, line, 0)
    }
}

struct Tracer<'r> {
    repository: &'r Repository<'r>,
    budget: u32,
}

impl Tracer<'_> {
    fn value(&mut self, file: usize, value: &Value, line: u32, depth: u32) -> Option<Address> {
        self.budget = self.budget.checked_sub(1)?;
        if depth > DEPTH {
            return None;
        }
        match value {
            Value::Text(text) => {
                let whole = self.filled(file, &text.value, text.line, depth);
                is_address(&whole).then_some((whole, text.line))
            }
            Value::Object(pairs) => {
                let named = pairs.iter().filter(|(name, _)| KEYS.contains(&name.as_str()) || name.is_empty());
                self.best(named.map(|(_, value)| value), file, line, depth)
            }
            Value::List(values) => self.best(values.iter(), file, line, depth),
            Value::Chain(chain) => self.chain(file, chain, line, depth),
            _ => None,
        }
    }

    fn arguments(&mut self, file: usize, arguments: &[Argument], line: u32, depth: u32) -> Option<Address> {
        let given = arguments.iter().filter(|argument| {
            argument.name.as_deref().is_none_or(|name| KEYS.contains(&name) || name.to_lowercase().ends_with("url"))
        });
        self.best(given.map(|argument| &argument.value), file, line, depth)
    }

    /// Of several values the address with an operation, or a base and a path together.
    fn best<'v>(
        &mut self,
        values: impl Iterator<Item = &'v Value>,
        file: usize,
        line: u32,
        depth: u32,
    ) -> Option<Address> {
        let mut first: Option<Address> = None;
        for value in values {
            // `base . 'messages'`
            if let (Some((base, _)), Value::Text(text)) = (&first, value)
                && hosts::operation_of(base).is_none()
                && hosts::vendor_of(base).is_some()
                && hosts::is_path(&text.value)
                && hosts::operation_of(&text.value).is_some()
            {
                first =
                    Some((format!("{}/{}", base.trim_end_matches('/'), text.value.trim_start_matches('/')), text.line));
                break;
            }
            let Some((address, at)) = self.value(file, value, line, depth + 1) else { continue };
            match &first {
                None => first = Some((address, at)),
                Some((base, _)) if hosts::operation_of(base).is_none() && hosts::vendor_of(base).is_some() => {
                    if hosts::vendor_of(&address).is_some() {
                        first = Some((address, at));
                    } else {
                        let whole = format!("{}/{}", base.trim_end_matches('/'), address.trim_start_matches('/'));
                        first = Some((whole, at));
                    }
                }
                Some(_) => {}
            }
            if first.as_ref().is_some_and(|(address, _)| {
                hosts::vendor_of(address).is_some() && hosts::operation_of(address).is_some()
            }) {
                break;
            }
        }
        first
    }

    fn chain(&mut self, file: usize, chain: &Chain, line: u32, depth: u32) -> Option<Address> {
        // What sends by itself is a place of its own.
        if sends(chain) {
            return None;
        }
        if let Root::Group(values) = &chain.root
            && let Some(found) =
                self.best(values.iter(), file, line, depth).or_else(|| self.put_together(values, file, line))
        {
            return Some(found);
        }
        let given = calls_that_give(chain);
        for (idx, call) in given.iter().enumerate() {
            if let Some((base, at)) = self.arguments(file, &call.arguments, line, depth) {
                return Some((with_joined(base, &given[idx + 1..]), at));
            }
        }
        if let Some(base) = self.repository.told_under(file, chain) {
            return Some((with_joined(base, &given), line.max(chain.line)));
        }
        if let Some(found) = self.under_key(file, chain, line, depth) {
            return Some(found);
        }
        let (name, is_called) = last_name(chain)?;
        let (name, is_called) = if KEEPS.contains(&name) { named_before(chain)? } else { (name, is_called) };
        if is_called && let Some((address, at)) = self.returned(file, name, depth) {
            return Some((with_given(address, &given), at));
        }
        if let Some(found) = self.named(file, name, line.max(chain.line), depth) {
            return Some(found);
        }
        // `url.toString()`, `URL.strip`: what it is done to.
        let of_root = match &chain.root {
            Root::Name(root) if root != name => self.named(file, root, line.max(chain.line), depth),
            _ => None,
        };
        of_root.or_else(|| Some((self.repository.told_called(file, chain, name)?, line.max(chain.line))))
    }

    /// `base + "/speech"`: texts one after the other that are an address together.
    fn put_together(&self, values: &[Value], file: usize, line: u32) -> Option<Address> {
        let texts = values.iter().map(|value| self.repository.text(file, value, line));
        let texts: Vec<String> = texts.collect::<Option<Vec<String>>>()?;
        let is_path = texts.len() > 1 && texts[1..].iter().all(|text| text.starts_with('/'));
        let whole = texts.concat();
        (is_path && is_address(&whole)).then_some((whole, line))
    }

    /// `ADDRESSES["chat"]`: what stands under the key.
    fn under_key(&mut self, file: usize, chain: &Chain, line: u32, depth: u32) -> Option<Address> {
        let (Step::Member(key, _), before) = chain.steps.split_last()? else { return None };
        let name = match (before.last(), &chain.root) {
            (Some(Step::Member(name, _)), _) | (None, Root::Name(name)) => name,
            _ => return None,
        };
        let at = self.repository.bound_value(file, name, line.max(chain.line))?;
        let binding = &self.repository.files()[file].facts.bindings[at];
        let Some(Value::Object(pairs)) = &binding.value else { return None };
        let (_, value) = pairs.iter().find(|(own, _)| own == key)?;
        self.value(file, value, binding.line, depth + 1)
    }

    /// What is bound to a name, here or, where only one text is, anywhere.
    fn named(&mut self, file: usize, name: &str, line: u32, depth: u32) -> Option<Address> {
        if let Some(at) = self.repository.bound_value(file, name, line) {
            let binding = &self.repository.files()[file].facts.bindings[at];
            let Some(value) = &binding.value else {
                let injected = self.repository.injected(file, binding);
                return injected.or_else(|| self.passed(file, binding, depth));
            };
            // A machine of one's own: what another branch says is sent to there.
            if value.text().is_some_and(hosts::is_local) {
                return None;
            }
            let found = self.value(file, value, binding.line, depth + 1);
            // One branch asks the settings, another says an address.
            return found.or_else(|| {
                let others = self.repository.beside_binding(file, at).take(BRANCHES);
                others.into_iter().find_map(|other| self.value(file, other.value.as_ref()?, other.line, depth + 1))
            });
        }
        let fields = self.repository.named(file, name).filter(|(_, own)| own.kind == BindingKind::Field);
        if let Some(found) = fields.filter_map(|(_, own)| self.repository.injected(file, own)).next() {
            return Some(found);
        }
        let text = self.repository.constant(file, name).or_else(|| self.repository.setting(file, name))?;
        is_address(&text).then_some((text, line))
    }

    /// What Rust gives a parameter that is called like an address, where its function is called in the file.
    fn passed(&mut self, file: usize, binding: &Binding, depth: u32) -> Option<Address> {
        /// How much of the budget the search for the calls costs.
        const SEARCH: u32 = 30;
        let lower = binding.target.to_lowercase();
        let is_address = ["url", "uri", "endpoint", "base", "host", "addr"].iter().any(|word| lower.contains(word));
        if !is_address || self.repository.files()[file].language != Language::Rust {
            return None;
        }
        self.budget = self.budget.checked_sub(SEARCH)?;
        let repository = self.repository;
        let mut given = repository.passed_by_callers(file, binding);
        given.retain(|(_, line)| !repository.files()[file].facts.is_in_tests(*line));
        let found = given.into_iter().filter_map(|(value, line)| self.value(file, value, line, depth + 1));
        let mut found: Vec<Address> = found.collect();
        // Of addresses of several vendors none is the one.
        let vendor = hosts::vendor_of(&found.first()?.0);
        if found.iter().any(|(other, _)| hosts::vendor_of(other) != vendor) {
            return None;
        }
        let whole = found.iter().position(|(other, _)| hosts::operation_of(other).is_some());
        Some(found.swap_remove(whole.unwrap_or(0)))
    }

    /// What a function of the repository returns: of several addresses the first that says what is done there.
    fn returned(&mut self, file: usize, name: &str, depth: u32) -> Option<Address> {
        let repository = self.repository;
        let returns = repository.named(file, name).filter(|(_, binding)| binding.kind == BindingKind::Return).take(6);
        let mut first = None;
        for (_, binding) in returns {
            if let Some(value) = &binding.value
                && let Some(found) = self.value(file, value, binding.line, depth + 1)
            {
                if hosts::operation_of(&found.0).is_some() || repository.files()[file].language != Language::Rust {
                    return Some(found);
                }
                first = first.or(Some(found));
            }
        }
        if first.is_some() {
            return first;
        }
        // A client that a class of configuration makes.
        let (other, binding) = repository.returned_elsewhere(file, name)?;
        self.value(other, binding.value.as_ref()?, binding.line, depth + 1)
    }

    /// The text with the names in it replaced by what is bound to them.
    fn filled(&mut self, file: usize, text: &str, line: u32, depth: u32) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let Some(close) = rest[open..].find('}') else { break };
            let name = rest[open + 1..open + close].rsplit(['.', '>', ':', '@']).next().unwrap_or_default();
            filled += &rest[..open];
            let bound = self.repository.binding_value(file, name, line);
            let is_rust = self.repository.files()[file].language == Language::Rust;
            match bound.and_then(|bound| text_in(bound).or_else(|| text_of_branch(bound).filter(|_| is_rust))) {
                _ if name.is_empty() => filled += &rest[open..=open + close],
                Some(inner) if inner.contains('{') && depth < DEPTH && self.budget > 0 => {
                    self.budget -= 1;
                    let inner = inner.to_owned();
                    filled += &self.filled(file, &inner, line, depth + 1);
                }
                Some(inner) => filled += inner,
                None => match self.named(file, name, line, depth + 1) {
                    Some((inner, _)) if hosts::vendor_of(&inner).is_some() => filled += &inner,
                    Some((inner, _)) if inner.starts_with('/') && !filled.is_empty() => filled += &inner,
                    _ => filled += &rest[open..=open + close],
                },
            }
            rest = &rest[open + close + 1..];
            // `trailingslashit($base) . 'messages'`
            let is_bare = !filled.ends_with('/') && rest.starts_with(|character: char| character.is_ascii_lowercase());
            if is_bare && hosts::is_base(&filled) && hosts::vendor_of(&filled).is_some() {
                filled.push('/');
            }
        }
        filled + rest
    }
}

/// The calls of a chain, but of those by which Rust cuts something off.
fn calls_that_give(chain: &Chain) -> Vec<&Call> {
    const CUTS: [&str; 4] = ["trim_start_matches", "trim_end_matches", "strip_prefix", "strip_suffix"];
    let mut name = "";
    let calls = chain.steps.iter().filter_map(|step| match step {
        Step::Member(member, _) => {
            name = member;
            None
        }
        Step::Call(call) => (!CUTS.contains(&name)).then_some(call),
    });
    calls.collect()
}

/// The last name of a chain, and whether it is called.
fn last_name(chain: &Chain) -> Option<(&str, bool)> {
    let mut steps = chain.steps.iter().rev();
    let mut is_called = false;
    for step in steps.by_ref() {
        match step {
            Step::Call(_) => is_called = true,
            Step::Member(name, _) => return Some((name, is_called)),
        }
    }
    match &chain.root {
        Root::Name(name) => Some((name, is_called)),
        _ => None,
    }
}

/// Methods after which an address is still the same address.
const KEEPS: [&str; 26] = [
    "Trim",
    "TrimEnd",
    "ToString",
    "rtrim",
    "getValue",
    "value",
    "clone",
    "as_str",
    "as_ref",
    "as_deref",
    "to_string",
    "to_owned",
    "into",
    "unwrap",
    "expect",
    "unwrap_or_default",
    "trim",
    "trim_end_matches",
    "borrow",
    "deref",
    "to_s",
    "strip",
    "freeze",
    "dup",
    "chomp",
    "presence",
];

/// The last name that is none of those.
fn named_before(chain: &Chain) -> Option<(&str, bool)> {
    let mut is_called = false;
    for step in chain.steps.iter().rev() {
        match step {
            Step::Member(name, _) if KEEPS.contains(&name.as_str()) => is_called = false,
            Step::Member(name, _) => return Some((name, is_called)),
            Step::Call(_) => is_called = true,
        }
    }
    match &chain.root {
        Root::Name(name) => Some((name, is_called)),
        _ => None,
    }
}

/// `Url::parse(base)?.join("chat/completions")`: the base with the path that is joined to it.
fn with_joined(base: String, calls: &[&Call]) -> String {
    if hosts::operation_of(&base).is_some() {
        return base;
    }
    let paths = calls.iter().filter_map(|call| {
        let by_name = call.arguments.iter().find(|given| given.name.as_deref() == Some("path"));
        by_name.or(call.arguments.first())?.value.text()
    });
    match paths.into_iter().find(|path| hosts::operation_of(&format!("/{}", path.trim_start_matches('/'))).is_some()) {
        Some(path) => format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/')),
        None => base,
    }
}

/// `self.url("embeddings")`: the address with what is given in the place at its end.
fn with_given(address: String, calls: &[&Call]) -> String {
    let open = address.strip_suffix('}').and_then(|before| before.rfind('{'));
    match open {
        Some(open) if hosts::operation_of(&address).is_none() => {
            with_joined(address[..open].trim_end_matches('/').to_owned(), calls)
        }
        _ => address,
    }
}

/// Whether the text is the address of a vendor, or a path that only their APIs have.
pub(super) fn is_address(text: &str) -> bool {
    !text.contains(' ') && (hosts::vendor_of(text).is_some() || hosts::is_own_path(text))
}

/// Whether the text is the path of a file that stands on the machine itself.
pub(super) fn is_of_file(text: &str) -> bool {
    let filled = text.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(name, _)| name.to_lowercase());
    // `{ROOT_PATH}/converse`
    let is_place =
        |name: String| ["root", "dir", "folder"].iter().any(|word| name.contains(word)) && !name.contains("url");
    if filled.is_some_and(is_place) {
        return true;
    }
    [".txt", ".log", ".csv", ".md", ".html"].iter().any(|end| text.ends_with(end)) && hosts::vendor_of(text).is_none()
}

/// Names under which things are sent.
const SENDS: [&str; 44] = [
    "ExecuteAsync",
    "ExecutePostAsync",
    "ExecuteGetAsync",
    "ExecutePost",
    "prepareGet",
    "preparePut",
    "prepareDelete",
    "GetAsync",
    "GetStringAsync",
    "GetStreamAsync",
    "GetFromJsonAsync",
    "DeleteAsync",
    "PutAsync",
    "PatchAsync",
    "UploadString",
    "get",
    "put",
    "delete",
    "patch",
    "open",
    "Do",
    "do",
    "Get",
    "Put",
    "axios",
    "got",
    "ky",
    "curl_init",
    "curl_setopt",
    "curl_setopt_array",
    "file_get_contents",
    "HttpRequestMessage",
    "uri",
    "url",
    "exchange",
    "execute",
    "EventSource",
    "WebSocket",
    "connect",
    "retrieve",
    "setUrl",
    "ajax",
    "Create",
    "newBuilder",
];

/// Parts of such names, in lower case.
const SENDING: [&str; 13] = [
    "rest_call",
    "run_query",
    "post",
    "fetch",
    "request",
    "send",
    "urlopen",
    "callapi",
    "call_api",
    "api_call",
    "http",
    "stream",
    "getjson",
];

/// Names under which a text is compared with another, or a sum of it is taken to compare.
const CHECKS: [&str; 30] = [
    "md5",
    "sha1",
    "strpos",
    "stripos",
    "strstr",
    "strcmp",
    "str_contains",
    "str_starts_with",
    "str_ends_with",
    "preg_match",
    "in_array",
    "Contains",
    "StartsWith",
    "EndsWith",
    "Equals",
    "contains",
    "startsWith",
    "endsWith",
    "includes",
    "indexOf",
    "IndexOf",
    "startswith",
    "endswith",
    "starts_with",
    "ends_with",
    "equals",
    "trim_start_matches",
    "trim_end_matches",
    "strip_prefix",
    "strip_suffix",
];

/// Whether what is given under the name is only compared.
pub(super) fn is_check(name: &str) -> bool {
    CHECKS.contains(&name) || name.to_lowercase().starts_with("assert")
}

/// Whether something is sent under the name.
pub(super) fn is_sending(name: &str) -> bool {
    if SENDS.contains(&name) {
        return true;
    }
    // A macro of Rust.
    if name.ends_with('!') || is_double(name) || name.ends_with("Debug") {
        return false;
    }
    // Names that are no longer than this cost no memory of their own.
    let mut short = [0; 48];
    let long;
    let lower = match short.get_mut(..name.len()) {
        Some(own) if name.is_ascii() => {
            own.copy_from_slice(name.as_bytes());
            own.make_ascii_lowercase();
            std::str::from_utf8(own).unwrap_or_default()
        }
        _ => {
            long = name.to_lowercase();
            &long
        }
    };
    let is_events = name.contains("SSE") || name.contains("Sse") || lower.starts_with("sse") || lower.ends_with("_sse");
    // Most names have none.
    static ANY: OnceLock<hosts::AnyOf> = OnceLock::new();
    if !is_events && !ANY.get_or_init(|| hosts::AnyOf::new(&SENDING)).is_in(lower) {
        return false;
    }
    let is_reader =
        ["response", "error", "exception", "body", "config", "options", "header", "client", "handler", "mapping"]
            .iter()
            .any(|end| lower.ends_with(end));
    // A class of the repository that is called a request is made, not sent.
    let is_class = name.starts_with(char::is_uppercase)
        && name.ends_with("Request")
        && !matches!(
            name,
            "Request" | "NewRequest" | "HttpRequest" | "RestRequest" | "UnityWebRequest" | "SendRequest" | "DoRequest"
        );
    let is_checked = is_check(name) || ["expect", "sign_", "set_", "log_"].iter().any(|start| lower.starts_with(start));
    !is_reader && !is_class && !is_checked
}

/// Whether the name says what a test puts in the place of a service, or asks of that: `stub_request`.
pub(super) fn is_double(name: &str) -> bool {
    ["stub", "mock", "fake", "assert_request", "assert_not_request"].iter().any(|word| name.starts_with(word))
        || name == "a_request"
}

/// Where settings are read from: what is got there is sent nowhere.
const STORES: [&str; 16] = [
    "environ",
    "env",
    "ENV",
    "config",
    "Config",
    "configuration",
    "Configuration",
    "settings",
    "Settings",
    "options",
    "kwargs",
    "params",
    "headers",
    "cache",
    "os",
    "data",
];

/// Names by which a server says what it answers, not a client what it asks.
const SERVERS: [&str; 16] = [
    "app",
    "router",
    "server",
    "mux",
    "r",
    "e",
    "fastify",
    "Route",
    "engine",
    "echo",
    "bp",
    "blueprint",
    "routes",
    "group",
    "nock",
    "mock",
];

/// Whether the name, after the name before it, sends what is given to it.
pub(super) fn is_sent(before: &str, name: &str, call: &Call) -> bool {
    // `request.url(…)` of a builder, not a function that makes an address.
    let is_maker = matches!(name, "url" | "uri") && before.is_empty();
    let is_given = !call.arguments.is_empty() && is_sending(name);
    // `body.put("messages", all)`: a key and its value.
    let is_key = |given: &Argument| given.value.text().is_some_and(|text| !text.contains(['/', '{']));
    let is_entry = name == "put" && call.arguments.len() == 2 && call.arguments.first().is_some_and(is_key);
    is_given
        && !is_entry
        && !is_maker
        && !reads_errors(name, call)
        && !STORES.contains(&before)
        && route(before, name, call).is_none()
}

/// Whether Java reads what was wrong: `new InputStreamReader(connection.getErrorStream())`.
fn reads_errors(name: &str, call: &Call) -> bool {
    let is_errors =
        |step: &Step| matches!(step, Step::Member(name, _) if name == "getErrorStream" || name == "errorStream");
    name == "InputStreamReader"
        && call
            .arguments
            .iter()
            .any(|given| matches!(&given.value, Value::Chain(chain) if chain.steps.iter().any(is_errors)))
}

/// The path that a server says it answers.
pub(super) fn route<'c>(before: &str, name: &str, call: &'c Call) -> Option<&'c Text> {
    let is_server = || {
        let lower = before.to_lowercase();
        // A path and what answers it; a client has a name that says so.
        let is_of_client = ["client", "http", "api", "req", "resty"].iter().any(|part| lower.contains(part));
        matches!(name, "Post" | "Get" | "Put" | "Delete" | "Patch") && call.arguments.len() > 1 && !is_of_client
    };
    // Ruby's `post "/path", to: "…"`, and a path with a block that answers it.
    let is_bare = || {
        let is_verb = before.is_empty() && matches!(name, "post" | "get" | "put" | "patch" | "delete");
        let said = |name: &str| matches!(name, "to" | "via" | "controller" | "action");
        let is_routed = call.arguments.iter().any(|argument| argument.name.as_deref().is_some_and(said));
        is_verb && (is_routed || call.arguments.len() == 1 && call.end > call.line)
    };
    match call.arguments.first().map(|argument| &argument.value) {
        Some(Value::Text(path))
            if path.value.starts_with('/') && (SERVERS.contains(&before) || is_server() || is_bare()) =>
        {
            Some(path)
        }
        _ => None,
    }
}

/// Whether the chain sends something by itself.
fn sends(chain: &Chain) -> bool {
    let (mut before, mut name) = match &chain.root {
        Root::Name(name) => ("", name.as_str()),
        _ => ("", ""),
    };
    for step in &chain.steps {
        match step {
            Step::Member(member, _) => (before, name) = (name, member),
            Step::Call(call) if is_sent(before, name, call) => return true,
            Step::Call(_) => {}
        }
    }
    false
}

//! What Go, Java and Kotlin post to an address that settings say: what the body asks, and whose API the file is for.

use std::collections::HashSet;

use super::Visitor;
use super::body::vendor_of_header;
use super::named::{is_of_tests, is_own, whose};
use super::request::Request;
use crate::scan::facts::{Binding, BindingKind, Call, Chain, Facts, Root, Step, Value};
use crate::scan::finding::{Confidence, Finding, Kind};
use crate::scan::hosts;
use crate::scan::language::Language;

/// Under these a request is made or sent.
const MAKES: [&str; 20] = [
    "uri",
    "url",
    "newBuilder",
    "HttpPost",
    "HttpRequest",
    "Request",
    "setUrl",
    "NewRequest",
    "NewRequestWithContext",
    "Post",
    "post",
    "postAbs",
    "preparePost",
    "postForObject",
    "postForEntity",
    "exchange",
    "SimpleHttpRequest",
    "HttpPostRequest",
    "submitForm",
    "openConnection",
];

/// What says that something is posted, beside the names above that do.
const POSTS: [&str; 5] = ["POST", "post", "MethodPost", "Post", "HttpPost"];

/// Words in the names that an address comes from: what is asked there is no model.
const OTHERS: [&str; 14] = [
    "token", "auth", "login", "webhook", "callback", "notify", "telegram", "slack", "discord", "billing", "usage",
    "upload", "download", "balance",
];

/// What bodies of requests to models and their answers are made of.
const PARTS: [&str; 21] = [
    "model",
    "messages",
    "contents",
    "parts",
    "prompt",
    "input",
    "documents",
    "query",
    "texts",
    "maxtokens",
    "maxoutputtokens",
    "temperature",
    "generationconfig",
    "systeminstruction",
    "instructions",
    "embedding",
    "embeddings",
    "choices",
    "candidates",
    "instances",
    "voice",
];

/// Words of files and their directories, and what is asked there.
const ROOMS: [(&str, &str); 14] = [
    ("rerank", "rerank"),
    ("embed", "embeddings"),
    ("text2vec", "embeddings"),
    ("moderation", "moderation"),
    ("whisper", "audio"),
    ("transcri", "audio"),
    ("speech", "audio"),
    ("tts", "audio"),
    ("asr", "audio"),
    ("dalle", "images"),
    ("wanx", "images"),
    ("image", "images"),
    ("video", "video"),
    ("responses", "responses"),
];

impl Visitor<'_> {
    /// A request that is posted to an address of the settings, in a file that is for a vendor's API.
    pub(super) fn posted(&self, chain: &Chain, idx: usize, line: u32, name: &str) -> Option<Finding> {
        let source = &self.repository.files()[self.file];
        let is_rust = source.language == Language::Rust;
        let is_read = matches!(source.language, Language::Go | Language::Java | Language::Kotlin) || is_rust;
        let path = source.path.to_lowercase();
        if !is_read || !MAKES.contains(&name) || is_of_tests(&path) || is_own(&path) {
            return None;
        }
        let Step::Call(call) = chain.steps.get(idx)? else { return None };
        // `client.post()` counts where nothing else of the chain says where it is sent.
        let has_address = || chain.steps.iter().any(|step| matches!(step, Step::Member(own, _) if own == "uri"));
        if name == "post" && call.arguments.is_empty() && (!super::http::is_sent_bare(chain) || has_address()) {
            return None;
        }
        // Rust's `post(handler)` is a route of one's own server.
        if is_rust && idx == 0 {
            return None;
        }
        let room = last_parts(&path, if is_rust { 1 } else { 3 });
        if !is_posted(chain, name) || call.arguments.iter().any(|given| self.is_elsewhere(&given.value, call.line, 0)) {
            return None;
        }
        let vendor = whose(room).or_else(|| self.vendor_around(call.line).filter(|_| !is_rust))?;
        let of_path = call.arguments.iter().find_map(|given| self.asked_by_path(&given.value, call.line));
        let parts = parts_of(source.facts);
        let is_answered = is_rust && parts.contains("choices");
        let operation = of_path.or_else(|| asked(room, &parts)).or(is_answered.then_some("chat"))?;
        let finding = self.plain(Kind::Http, line, operation, vendor, &format!("{name} by the settings"));
        let request = Request::of_sent(self.repository, self.file, call, chain.steps.get(idx + 1..)?);
        let model = request.sent_model(self.repository, self.file, line);
        let (flags, parameters) = (request.flags_of_body(), request.names());
        Some(Finding { model, flags, parameters, confidence: Confidence::Likely, ..finding })
    }

    /// Whose API the function around a line is for: by the headers it sets, else by the one vendor that its names name.
    fn vendor_around(&self, line: u32) -> Option<&'static str> {
        let facts = self.repository.files()[self.file].facts;
        let is_around = |own: &&Binding| own.from > 1 && own.from <= line && line <= own.to;
        let local = facts.bindings.iter().filter(|own| own.kind == BindingKind::Local).filter(is_around);
        let around = local.max_by_key(|own| own.to - own.from)?;
        let mut names = Vec::new();
        for value in facts.values.iter().chain(facts.bindings.iter().filter_map(|own| own.value.as_ref())) {
            if line_of(value).is_some_and(|at| around.from <= at && at <= around.to) {
                names_in(value, &mut names, 0);
            }
        }
        let of_header = names.iter().find_map(|name| vendor_of_header(name));
        let mut vendors: Vec<&str> = names.iter().filter_map(|name| whose(name)).collect();
        vendors.sort_unstable();
        vendors.dedup();
        match vendors.as_slice() {
            _ if of_header.is_some() => of_header,
            ["azure-openai", "openai"] => Some("openai"),
            [one] => whose(one),
            _ => None,
        }
    }

    /// What is done at the path that a value is, or ends in.
    fn asked_by_path(&self, value: &Value, line: u32) -> Option<&'static str> {
        let path = self.repository.text(self.file, value, line)?;
        let is_path = path.starts_with(['/', '{']) && !path.contains(' ');
        hosts::operation_of(&path).filter(|_| is_path)
    }

    /// Whether the value has an address of a host that is known, or comes from a name that says it is another's.
    fn is_elsewhere(&self, value: &Value, line: u32, depth: u32) -> bool {
        if depth > 4 {
            return false;
        }
        let within = |value: &Value| self.is_elsewhere(value, line, depth + 1);
        let is_other = |name: &str| {
            let lower = name.to_lowercase();
            OTHERS.iter().any(|word| lower.contains(word))
        };
        match value {
            Value::Text(text) => match text.value.split_once("://") {
                Some((_, host)) => {
                    let is_known = hosts::vendor_of(&text.value).is_some();
                    !host.is_empty() && !host.starts_with(['{', '%', '$']) && !is_known
                }
                None => text.value.starts_with('/') && is_other(&text.value),
            },
            Value::Chain(chain) => {
                let of_root = match &chain.root {
                    Root::Name(name) => {
                        is_other(name) || self.repository.binding_value(self.file, name, line).is_some_and(within)
                    }
                    Root::Group(values) => values.iter().any(within),
                    Root::Itself => false,
                };
                of_root
                    || chain.steps.iter().any(|step| match step {
                        Step::Member(name, _) => is_other(name),
                        Step::Call(call) => call.arguments.iter().any(|given| within(&given.value)),
                    })
            }
            _ => false,
        }
    }
}

/// The last parts of a path.
fn last_parts(path: &str, count: usize) -> &str {
    let at = path.rmatch_indices('/').nth(count - 1).map_or(0, |(at, _)| at + 1);
    &path[at..]
}

/// Whether the chain says that it posts.
fn is_posted(chain: &Chain, name: &str) -> bool {
    let says = |value: &Value| match value {
        Value::Text(text) => text.value == "POST",
        Value::Chain(Chain { steps, .. }) => {
            matches!(steps.last(), Some(Step::Member(name, _)) if matches!(name.as_str(), "MethodPost" | "POST" | "Post"))
        }
        _ => false,
    };
    let is_root = matches!(&chain.root, Root::Name(root) if POSTS.contains(&root.as_str()));
    is_root
        || POSTS.contains(&name)
        || name.starts_with("post")
        || chain.steps.iter().any(|step| match step {
            Step::Member(name, _) => POSTS.contains(&name.as_str()),
            Step::Call(call) => call.arguments.iter().any(|given| says(&given.value)),
        })
}

/// What is asked by a file with these words in its name, and these parts of bodies in it.
fn asked(room: &str, parts: &HashSet<&'static str>) -> Option<&'static str> {
    let has = |part: &str| parts.contains(part);
    let any = |wanted: &[&str]| wanted.iter().any(|part| has(part));
    // A project may have pictures in its name.
    let is_said = |word: &str, operation: &str| {
        room.contains(word) && (operation != "images" || !has("messages") || last_parts(room, 1).contains(word))
    };
    if let Some((_, operation)) = ROOMS.iter().find(|(word, operation)| is_said(word, operation)) {
        let fits = match *operation {
            "rerank" => has("query") || has("documents"),
            "embeddings" => any(&["input", "texts", "contents", "instances", "embedding", "embeddings"]),
            "images" | "video" => has("prompt"),
            "audio" => has("model") || has("voice"),
            _ => has("input"),
        };
        return fits.then_some(*operation);
    }
    match () {
        () if has("messages") && has("model") => Some("chat"),
        () if has("contents") && any(&["generationconfig", "systeminstruction", "candidates", "parts"]) => Some("chat"),
        () if has("messages") && any(&["maxtokens", "temperature", "choices"]) => Some("chat"),
        () if has("input") && any(&["embedding", "embeddings"]) => Some("embeddings"),
        () if has("documents") && has("query") && has("model") => Some("rerank"),
        () if has("prompt") && any(&["maxtokens", "temperature"]) => Some("completions"),
        () => None,
    }
}

/// The parts of bodies that a file names: keys, members, texts.
fn parts_of(facts: &Facts) -> HashSet<&'static str> {
    let mut parts = HashSet::new();
    facts.values.iter().for_each(|value| in_value(value, &mut parts, 0));
    for Binding { target, value, .. } in &facts.bindings {
        part(target.rsplit('.').next().unwrap_or(target), &mut parts);
        if let Some(value) = value {
            in_value(value, &mut parts, 0);
        }
    }
    parts
}

fn part(name: &str, parts: &mut HashSet<&'static str>) {
    if name.len() > 24 {
        return;
    }
    let plain: String = name.chars().filter(|one| one.is_alphanumeric()).collect::<String>().to_lowercase();
    // `getMessages()`, `setModel(…)`
    let plain = plain.strip_prefix("set").or_else(|| plain.strip_prefix("get")).unwrap_or(&plain);
    parts.extend(PARTS.iter().find(|part| **part == plain));
}

fn in_value(value: &Value, parts: &mut HashSet<&'static str>, depth: u32) {
    if depth > 12 {
        return;
    }
    let mut in_calls = |call: &Call| {
        for argument in &call.arguments {
            if let Some(name) = &argument.name {
                part(name, parts);
            }
            in_value(&argument.value, parts, depth + 1);
        }
    };
    match value {
        Value::Chain(chain) => {
            for step in &chain.steps {
                match step {
                    Step::Call(call) => in_calls(call),
                    Step::Member(..) => {}
                }
            }
            for step in &chain.steps {
                if let Step::Member(name, _) = step {
                    part(name, parts);
                }
            }
            if let Root::Group(values) = &chain.root {
                values.iter().for_each(|value| in_value(value, parts, depth + 1));
            }
        }
        Value::Text(text) if text.value.contains('"') => {
            text.value.split('"').for_each(|piece| part(piece, parts));
        }
        Value::Text(text) => part(&text.value, parts),
        Value::Object(pairs) => {
            for (key, value) in pairs {
                part(key, parts);
                in_value(value, parts, depth + 1);
            }
        }
        Value::List(values) => values.iter().for_each(|value| in_value(value, parts, depth + 1)),
        Value::Flag(_) | Value::Number(_) | Value::Other => {}
    }
}

fn line_of(value: &Value) -> Option<u32> {
    match value {
        Value::Chain(chain) => Some(chain.line),
        Value::Text(text) => Some(text.line),
        _ => None,
    }
}

/// Names and short texts in a value, in lower case.
fn names_in(value: &Value, names: &mut Vec<String>, depth: u32) {
    if depth > 8 {
        return;
    }
    match value {
        Value::Text(text) if text.value.len() < 24 => names.push(text.value.to_lowercase()),
        Value::Object(pairs) => pairs.iter().for_each(|(_, value)| names_in(value, names, depth + 1)),
        Value::List(values) => values.iter().for_each(|value| names_in(value, names, depth + 1)),
        Value::Chain(chain) => {
            match &chain.root {
                Root::Name(name) => names.push(name.to_lowercase()),
                Root::Group(values) => values.iter().for_each(|value| names_in(value, names, depth + 1)),
                Root::Itself => {}
            }
            for step in &chain.steps {
                match step {
                    Step::Member(name, _) => names.push(name.to_lowercase()),
                    Step::Call(call) => call.arguments.iter().for_each(|own| names_in(&own.value, names, depth + 1)),
                }
            }
        }
        _ => {}
    }
}

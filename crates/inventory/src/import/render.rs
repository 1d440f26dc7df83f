//! The draft as a `crossfade.yaml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::draft::{Concurrency, Draft, Named, Price, Provider, Rollout, Route, Target, Timeouts};
use super::ledger::{Key, Outcome};
use super::tree::{Node, Value};
use super::variables::{Text, Variable};

/// The whole file.
pub(super) fn config(draft: &Draft, title: &str, file: &str, keys: &[Key], environment: &[Variable]) -> String {
    let mut page = Page::default();
    page.comment("", &format!("Imported from {}, a config of {title}'s, by `crossfade import`.", one_line(file)));
    page.comment("", "Check it with `crossfade check`. What could not be carried over is listed at the end.");
    draft.head.iter().for_each(|words| page.comment("", words));
    if !environment.is_empty() {
        page.comment("", "It reads these environment variables:");
        for variable in environment {
            let hint = variable.hint.as_ref().map_or_else(String::new, |hint| format!(": {hint}"));
            page.comment("", &format!("  {}{hint}", variable.name));
        }
    }
    page.line("");
    if let Some(listen) = &draft.listen {
        page.line(&format!("listen: {}", scalar(listen.as_str())));
    }
    if draft.auth {
        page.comment("", "Make keys with `crossfade keys create`; those of the old gateway are not taken over.");
        let limits =
            draft.key_concurrency.map_or_else(String::new, |n| format!(", key_limits: {{ concurrency: {n} }}"));
        page.line(&format!("auth: {{ required: true{limits} }}"));
    }
    if let Some(bytes) = draft.max_body {
        page.line(&format!("limits: {{ max_body: {bytes} }}"));
    }
    if draft.listen.is_some() || draft.auth || draft.max_body.is_some() {
        page.line("");
    }
    page.section("providers", &draft.providers, provider);
    page.section("prompts", &draft.prompts, |system: &String| vec![format!("system: {}", quoted(system))]);
    page.section("targets", &draft.targets, target);
    page.section("routes", &draft.routes, route);
    if !draft.passthrough.is_empty() {
        page.line("passthrough:");
        draft.passthrough.iter().for_each(|(what, provider)| page.line(&format!("  {what}: {}", scalar(provider))));
        page.line("");
    }
    page.rollouts(&draft.rollouts);
    page.unsupported(title, keys);
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        writeln!(self.0, "{line}").unwrap_or_default();
    }

    fn comment(&mut self, indent: &str, words: &str) {
        self.line(&format!("{indent}# {}", one_line(words)));
    }

    fn section<T>(&mut self, key: &str, things: &[Named<T>], lines: impl Fn(&T) -> Vec<String>) {
        if things.is_empty() {
            return;
        }
        self.line(&format!("{key}:"));
        for thing in things {
            for comment in &thing.comments {
                self.comment("  ", comment);
            }
            self.line(&format!("  {}:", scalar(&thing.name)));
            for line in lines(&thing.value) {
                self.line(&format!("    {line}"));
            }
        }
        self.line("");
    }

    fn rollouts(&mut self, rollouts: &[Rollout]) {
        if rollouts.is_empty() {
            return;
        }
        self.comment("", "To move traffic on evidence, take the candidate out of its route's fallback and uncomment:");
        self.comment("", "rollouts:");
        for Rollout { name, why, route, baseline, candidate } in rollouts {
            self.comment("", &format!("  # {why}"));
            self.comment("", &format!("  {}:", scalar(name)));
            for (key, value) in [("route", route), ("baseline", baseline), ("candidate", candidate)] {
                self.comment("", &format!("    {key}: {}", scalar(value)));
            }
        }
        self.line("");
    }

    fn unsupported(&mut self, title: &str, keys: &[Key]) {
        let lost: Vec<&Key> = keys.iter().filter(|key| matches!(key.outcome, Outcome::Unsupported { .. })).collect();
        if lost.is_empty() {
            return self.comment("", &format!("Everything in the config of {title}'s is carried over or not missed."));
        }
        self.comment("", "Not carried over:");
        for key in lost {
            self.comment("", &format!("  line {}, {}: {}", key.line, key.key, key.outcome.words()));
        }
    }
}

fn provider(provider: &Provider) -> Vec<String> {
    let mut lines =
        vec![format!("dialect: {}", provider.dialect), format!("base_url: {}", scalar(provider.base_url.as_str()))];
    if let Some(version) = &provider.api_version {
        lines.push(format!("api_version: {}", scalar(version.as_str())));
    }
    if let Some(key) = &provider.api_key {
        lines.push(format!("api_key: {}", scalar(key.as_str())));
    }
    lines.push(format!("class: {}", provider.class));
    if let Some(kind) = provider.kind {
        lines.push(format!("kind: {kind}"));
    }
    let Timeouts { first_token, inter_token, answer, total } = &provider.timeouts;
    let times = [("first_token", first_token), ("inter_token", inter_token), ("answer", answer), ("total", total)];
    let times: Vec<String> =
        times.into_iter().filter_map(|(key, time)| time.map(|time| format!("{key}: {}", duration(time)))).collect();
    if !times.is_empty() {
        lines.push(format!("timeouts: {{ {} }}", times.join(", ")));
    }
    lines
}

fn target(target: &Target) -> Vec<String> {
    let mut lines =
        vec![format!("provider: {}", scalar(&target.provider)), format!("model: {}", scalar(target.model.as_str()))];
    if let Some(prompt) = &target.prompt {
        lines.push(format!("prompt_variant: {}", scalar(prompt)));
    }
    if !target.replicas.is_empty() {
        let names: Vec<String> = target.replicas.iter().map(|name| scalar(name)).collect();
        lines.push(format!("replicas: [{}]", names.join(", ")));
    }
    if let Some(n) = target.max_attempts {
        lines.push(format!("retries: {{ max_attempts: {n} }}"));
    }
    if let Some(Concurrency { max, queue, timeout }) = &target.concurrency {
        lines.push(format!("max_concurrency: {max}"));
        lines.push(format!("queue: {{ max: {queue}, timeout: {} }}", duration(*timeout)));
    }
    if let Some(Price { rates, source, checked }) = &target.price {
        let rates: Vec<String> = rates.iter().map(|(meter, price)| format!("{meter}: {price}")).collect();
        let rates = rates.join(", ");
        lines.push(format!(
            "price: {{ rates: {{ {rates} }}, source: {}, checked: {checked} }}",
            quoted(&Text::literal(source.as_str()).to_string())
        ));
    }
    if target.remove.is_empty() && target.default.is_empty() && target.set.is_empty() {
        return lines;
    }
    lines.push("parameters:".to_owned());
    if !target.remove.is_empty() {
        let fields: Vec<String> = target.remove.iter().map(|field| scalar(field)).collect();
        lines.push(format!("  remove: [{}]", fields.join(", ")));
    }
    let mut fields = |key: &str, fields: &BTreeMap<String, String>| {
        if !fields.is_empty() {
            lines.push(format!("  {key}:"));
            lines.extend(fields.iter().map(|(name, json)| format!("    {}: {json}", scalar(name))));
        }
    };
    fields("default", &target.default);
    fields("set", &target.set);
    lines
}

fn route(route: &Route) -> Vec<String> {
    let mut lines = vec![format!("target: {}", scalar(&route.target))];
    if !route.fallback.is_empty() {
        let names: Vec<String> = route.fallback.iter().map(|name| scalar(name)).collect();
        lines.push(format!("fallback: [{}]", names.join(", ")));
    }
    if let Some(n) = route.max_attempts {
        lines.push(format!("retries: {{ max_attempts: {n} }}"));
    }
    lines
}

/// A duration as the config writes it.
fn duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    if ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") }
}

/// Words that must stay on one line of a comment.
fn one_line(words: &str) -> String {
    words.chars().map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c }).collect()
}

/// A text as a scalar: in quotes when YAML could read it as something else.
fn scalar(text: &str) -> String {
    let plain_start = |c: char| c.is_ascii_alphabetic() || c == '/' || c == '$';
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:${}".contains(c);
    let is_variable = text.starts_with("${")
        && text.ends_with('}')
        && text[2..text.len() - 1].chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let has_braces = text.contains(['{', '}']) && !is_variable;
    let has_colon = text.contains(": ") || text.ends_with(':');
    let means_something =
        matches!(text.to_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no" | "on" | "off");
    if text.starts_with(plain_start) && text.chars().all(plain) && !has_braces && !has_colon && !means_something {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// A text in double quotes, on one line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            // What YAML takes for a line's end, or refuses, or Crossfade's reader keeps for itself.
            c if c.is_control()
                || matches!(
                    c,
                    '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{e000}'..='\u{f8ff}'
                ) =>
            {
                write!(quoted, "\\u{:04X}", c as u32).unwrap_or_default();
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A value in flow style. `text` makes of every text what may be written down, given the key it stands under.
pub(super) fn flow(node: &Node, key: &str, text: &mut dyn FnMut(&Node, &str, &str) -> Text) -> String {
    match &node.value {
        Value::Nothing => "null".to_owned(),
        Value::Boolean(boolean) => boolean.to_string(),
        Value::Number(number) => plain_number(number),
        Value::Text(written) | Value::Secret(written) => quoted(text(node, written, key).as_str()),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| flow(item, key, text)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) => {
            let entry = |(name, node): &(String, Node)| {
                format!("{}: {}", quoted(&Text::literal(name.as_str()).to_string()), flow(node, name, text))
            };
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// A number as Crossfade's reader knows it for one.
fn plain_number(number: &str) -> String {
    let is_integer = number.parse::<i64>().is_ok();
    match number.parse::<f64>() {
        Ok(float) if !is_integer && float.is_finite() => {
            serde_json::Number::from_f64(float).map_or_else(|| quoted(number), |number| number.to_string())
        }
        _ if is_integer => number.to_owned(),
        _ => quoted(number),
    }
}

/// A document as a value in flow style. It is the importer's own, so that nothing in it is a secret.
pub(super) fn json(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => quoted(&Text::literal(text.as_str()).to_string()),
        serde_json::Value::Array(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", ")),
        serde_json::Value::Object(entries) => {
            let entry = |(name, value): (&String, &serde_json::Value)| {
                format!("{}: {}", quoted(&Text::literal(name.as_str()).to_string()), json(value))
            };
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        plain => plain.to_string(),
    }
}

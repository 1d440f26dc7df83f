//! `policy` of a route: what is looked for in its requests and answers, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use govern::policy::{BlockedAs, Check, Kind, Moderation, Patterns, Policy, Streams, When};
use wire::record::{Phase, Verdict};

use super::reader::{Item, Section, Written};
use super::targets::Targets;

/// How long a moderation target may take, when it is not written.
const MODERATION_TIMEOUT: Duration = Duration::from_secs(2);

/// The ways a check may look, of which each has one.
const KINDS: [&str; 5] = ["deny", "max_bytes", "tools", "moderation", "always"];

/// The policy of a route, when it has one, and the moderation targets where they were written.
pub(crate) fn read(parent: &Section<'_>, targets: &Targets) -> (Option<Arc<Policy>>, Vec<Written<String>>) {
    let mut moderators = Vec::new();
    let Some(section) = parent.get("policy").and_then(|item| item.section()) else { return (None, moderators) };
    let checks = section.named("checks");
    if checks.is_empty() {
        section
            .note("a policy without checks looks for nothing", Some("write `checks: { NAME: { deny: […] } }`".into()));
    }
    let checks: Vec<Check> =
        checks.into_iter().filter_map(|(name, item)| check(&name.value, &item, targets, &mut moderators)).collect();
    let blocked = section.get("blocked").and_then(|item| item.word(&BlockedAs::ALL.map(|way| (way.as_str(), way))));
    let written = section.get("streams");
    let streams = written.as_ref().and_then(|item| item.word(&Streams::ALL.map(|way| (way.as_str(), way))));
    let policy = Policy { checks, blocked_as: blocked.unwrap_or_default(), streams: streams.unwrap_or_default() };
    if written.is_none() && policy.of(Phase::After).next().is_some() {
        let hint =
            "write `streams: hold` (held back until they are whole) or `streams: cut` (passed on, and cut at the end)";
        section.note("answers are looked at, and it is not said what is done with streams", Some(hint.into()));
    }
    section.finish();
    (Some(Arc::new(policy)), moderators)
}

fn check(name: &str, item: &Item<'_>, targets: &Targets, moderators: &mut Vec<Written<String>>) -> Option<Check> {
    let section = item.section()?;
    let written: Vec<_> = KINDS.iter().filter_map(|kind| section.get(kind).map(|item| (*kind, item))).collect();
    let when_item = section.get("when");
    let when = when_item.as_ref().and_then(|item| item.word(&When::ALL.map(|when| (when.as_str(), when))));
    let then_item = section.get("then");
    let then = then_item.as_ref().map(|item| item.word(&Verdict::ALL.map(|verdict| (verdict.as_str(), verdict))));
    let kind = match written.as_slice() {
        [(kind, item)] => kind_of(kind, item, &section, targets, moderators),
        [] => {
            section.note(format!("a check looks for something: one of {}", list()), None);
            None
        }
        [_, (_, second), ..] => {
            second.note(format!("a check looks for one thing: one of {}", list()), Some("make it two checks".into()));
            None
        }
    };
    section.finish();
    let (when, then) = (when.unwrap_or_default(), then.unwrap_or(Some(Verdict::Block))?);
    let kind = kind?;
    if let (Some(item), Verdict::Redact) = (&then_item, then)
        && !matches!(kind, Kind::Deny(_))
    {
        item.note("only what patterns find can be taken out", Some("write `block`, `escalate` or `allow`".into()));
    }
    if let Some(item) = &when_item
        && when != When::Before
        && matches!(kind, Kind::Tools(_) | Kind::Always)
    {
        item.note("this check is of requests", Some("remove `when`, or write `when: before`".into()));
    }
    Some(Check { name: name.to_owned(), when, kind, then })
}

fn list() -> String {
    KINDS.map(|kind| format!("`{kind}`")).join(", ")
}

fn kind_of(
    kind: &str,
    item: &Item<'_>,
    section: &Section<'_>,
    targets: &Targets,
    moderators: &mut Vec<Written<String>>,
) -> Option<Kind> {
    match kind {
        "deny" => patterns(item).map(Kind::Deny),
        "max_bytes" => item.size().map(Kind::MaxBytes),
        "tools" => {
            let names = item.list("names of tools")?;
            Some(Kind::Tools(names.iter().filter_map(|item| Some(item.string()?.value)).collect()))
        }
        "always" => {
            if item.boolean() == Some(false) {
                item.note("a check that never finds anything", Some("remove it".into()));
            }
            Some(Kind::Always)
        }
        _ => {
            let target = targets.reference(item)?;
            moderators.push(target.clone());
            let answers = [("allow", Verdict::Allow), ("block", Verdict::Block)];
            // It has to be said what happens when nobody answers.
            let on_error = section.need("on_error").and_then(|item| item.word(&answers));
            let timeout = section.get("timeout").and_then(|item| item.duration());
            Some(Kind::Moderation(Moderation {
                target: target.value,
                timeout: timeout.unwrap_or(MODERATION_TIMEOUT),
                on_error: on_error?,
            }))
        }
    }
}

fn patterns(item: &Item<'_>) -> Option<Patterns> {
    let mut patterns = Vec::new();
    for item in item.list("patterns")? {
        let Some(text) = item.string() else { continue };
        match Patterns::compile(&text.value) {
            Ok(pattern) if pattern.is_match(b"") => {
                item.note("this pattern is found in every text, the empty one too", None);
            }
            Ok(pattern) => patterns.push(pattern),
            Err(error) => {
                let error = error.to_string();
                let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                item.note(
                    format!("not a pattern: {why}"),
                    Some("the syntax is that of Rust's `regex`: no look-around, no back-references".into()),
                );
            }
        }
    }
    if patterns.is_empty() {
        item.note("no pattern to look for", None);
    }
    Some(Patterns::new(patterns))
}

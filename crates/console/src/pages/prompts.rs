//! Prompts: every one, and one with its versions, variants and golden tests, and what is other between two versions.

use maud::{Markup, html};
use operations::OperationError;
use operations::prompts::{self, Tested, View};

use super::fields::{address, escape};
use super::frame::{self, badge, table};
use super::words::{count, inert, moment, word};
use super::{PageAnswer, Visit};

const PAGE: u32 = 50;
/// The label that is compared with where nothing else is said.
const PRODUCTION: &str = "production";

/// Every prompt of which a version is kept.
pub(super) fn list(visit: &Visit<'_>) -> PageAnswer {
    let lines = prompts::list(&visit.desk.reader(), (visit.query.get("after").unwrap_or_default(), PAGE))?;
    let more = lines.last().filter(|_| lines.len() >= PAGE as usize).map(|line| line.name.clone());
    let main = html! {
        h1 { "Prompts" }
        p.sub { "Versions of which the store keeps the text. A version is kept by " code { "prompts label" } ", " code { "prompts test" } " and " code { "exit drill" } "." }
        @if lines.is_empty() { (frame::empty("No version of a prompt is kept.", "crossfade prompts test --target TARGET")) }
        @else { (table("Prompts by name", &["Prompt", "Versions", "Last kept", "Labels", "Golden tests, last run"], &html! {
            @for line in &lines { tr {
                td { a href=(format!("/prompts/{}", escape(&line.name))) { bdi { (line.name) } } }
                td.number { (count(line.versions)) }
                td { (moment(line.kept_at_us)) }
                td.wide { @if line.labels.is_empty() { "–" } @for (label, version) in &line.labels { span { bdi { (label) } " " code.hash { (short(version)) } " " } } }
                td { @match &line.tested { Some(tested) => { (standing(tested)) " on " bdi { (tested.target) } }, None => (badge("calm", "never run")) } }
            } }
        })) }
        @if let Some(after) = more { p.more { a rel="next" href=(address("/prompts", &[("after".to_owned(), after)])) { "More" } } }
    };
    frame::page(visit, "Prompts", &main)
}

/// Enough of a version to tell it from others.
fn short(version: &str) -> &str {
    version.get(..12).unwrap_or(version)
}

fn standing(tested: &Tested) -> Markup {
    let kind = match (tested.failed, tested.unscored, tested.passed) {
        (1.., ..) => "bad",
        (0, 1.., _) | (0, 0, 0) => "warn",
        _ => "good",
    };
    let of = tested.passed + tested.failed + tested.unscored;
    html! { (badge(kind, &format!("{} of {of} passed", tested.passed))) @if tested.simulated { " " (badge("warn", "simulated")) } }
}

/// One prompt.
pub(super) fn one(visit: &Visit<'_>) -> PageAnswer {
    let view = prompts::show(&visit.desk.reader(), visit.name())?;
    let find = |wanted: &str| {
        let none = || {
            OperationError::NotFound(format!(
                "`{}` has no version or label `{wanted}`, or several that begin so",
                view.name
            ))
        };
        view.version(wanted).ok_or_else(none)
    };
    let newest = &view.versions[0];
    let shown = visit.query.text("version").map_or(Ok(newest), find)?;
    let before = view.version(PRODUCTION).filter(|row| row.version != shown.version);
    let before =
        before.or_else(|| view.versions.iter().find(|row| row.version != shown.version && row.at_us <= shown.at_us));
    let old = match visit.query.text("from") {
        Some(wanted) => Some(find(wanted)?),
        None => before,
    };
    let main = html! {
        h1 { "Prompt " bdi { (view.name) } }
        (versions(&view, &shown.version))
        h2 { "Version " code.hash { (short(&shown.version)) } }
        (form((visit.desk.read_prompt)(&view.name, &shown.text)))
        details { summary { "The file as it was kept" } pre.body tabindex="0" { (inert(&shown.text)) } }
        @if let Some(old) = old {
            h2 { "What is other than in " code.hash { (short(&old.version)) } }
            @let lines = prompts::difference(old, shown);
            @if lines.is_empty() { p.none { "Nothing: both files say the same." } } @else { (difference(&lines)) }
        }
        h2 { "Golden tests" }
        (tests(&view))
        h2 { "Labels" }
        @if view.labels.is_empty() { (frame::empty("No label names a version.", &format!("crossfade prompts label {} production", view.name))) }
        @else { (table("What labels name and named, the newest first", &["Since", "Label", "Version", "By", "Why"], &html! {
            @for row in &view.labels { tr { td { (moment(row.at_us)) } td { bdi { (row.label) } } td { code.hash { (short(&row.version)) } } td { bdi { (row.actor) } } td.wide { bdi { (row.reason) } } } }
        })) }
    };
    frame::page(visit, &format!("Prompt {}", view.name), &main)
}

fn versions(view: &View, shown: &str) -> Markup {
    let path = format!("/prompts/{}", escape(&view.name));
    let link = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        address(&path, &pairs)
    };
    let named = |version: &str| {
        let mut seen = std::collections::BTreeSet::new();
        let newest = view.labels.iter().filter(|row| seen.insert(row.label.as_str()));
        newest.filter(|row| row.version == version).map(|row| row.label.clone()).collect::<Vec<_>>().join(", ")
    };
    table(
        "Versions that are kept, the newest first",
        &["Kept", "Version", "Labels now", "By", ""],
        &html! {
            @for row in &view.versions { tr {
                td { (moment(row.at_us)) }
                td { a href=(link(&[("version", &row.version)])) aria-current=[(row.version == shown).then_some("true")] title=(row.version) { code.hash { (short(&row.version)) } } }
                td { bdi { (named(&row.version)) } }
                td { bdi { (row.actor) } }
                td { @if row.version != shown { a href=(link(&[("version", shown), ("from", &row.version)])) { "Compare the shown one with it" } } }
            } }
        },
    )
}

/// What a version says, with its variants.
fn form(read: Result<operations::prompts::Prompt, String>) -> Markup {
    let prompt = match read {
        Ok(prompt) => prompt,
        Err(why) => {
            return html! { p.problem { "This version was kept by a build that read prompts otherwise: " (why) } };
        }
    };
    html! {
        dl.facts {
            @if let Some(task) = &prompt.task { div { dt { "Task" } dd { bdi { (task) } } } }
            div { dt { "Variables" } dd { bdi { (if prompt.variables.is_empty() { "–".to_owned() } else { prompt.variables.keys().cloned().collect::<Vec<_>>().join(", ") }) } } }
            div { dt { "Golden tests" } dd { (prompt.tests.len()) } }
        }
        h3 { "For all targets" }
        @for message in &prompt.form.messages { (said(&word(&message.role), &word(&message.text))) }
        @for (name, variant) in &prompt.variants {
            h3 { "Variant " bdi { (name) } }
            p.hint { "For " bdi { (if variant.targets.is_empty() { "no target by itself".to_owned() } else { variant.targets.join(", ") }) } ". What it does not say is as above." }
            @for message in variant.messages.iter().flatten() { (said(&word(&message.role), &word(&message.text))) }
            @if let Some(instruction) = &variant.instruction { (said("instruction", instruction)) }
            @if !variant.parameters.is_empty() { pre.body tabindex="0" { (inert(&serde_json::to_string_pretty(&variant.parameters).unwrap_or_default())) } }
        }
    }
}

fn said(role: &str, text: &str) -> Markup {
    html! { div.card { p.hint { (role) } pre.body tabindex="0" { (inert(text)) } } }
}

/// Lines that went and came.
fn difference(text: &str) -> Markup {
    html! {
        pre.body tabindex="0" role="region" aria-label="What is other" {
            @for line in text.lines() {
                @match line.as_bytes().first() {
                    Some(b'+') => { ins { (inert(line)) "\n" } }
                    Some(b'-') => { del { (inert(line)) "\n" } }
                    _ => { (inert(line)) "\n" }
                }
            }
        }
    }
}

fn tests(view: &View) -> Markup {
    if view.tested.is_empty() {
        return frame::empty(
            "No run of its golden tests is on record.",
            &format!("crossfade prompts test {} --target TARGET", view.name),
        );
    }
    table(
        "Runs, the newest first",
        &["When", "Version", "Target", "Variant", "Outcome", "What did not pass"],
        &html! {
            @for tested in &view.tested { tr {
                td { (moment(tested.at_us)) }
                td { code.hash { (short(&tested.version)) } }
                td { bdi { (tested.target) } }
                td { bdi { (tested.variant.as_deref().unwrap_or("–")) } }
                td { (standing(tested)) }
                td.wide { @if tested.words.is_empty() { "–" } @else { details { summary { (tested.failed) " failed, " (tested.unscored) " not measured" } ul { @for (test, why) in &tested.words { li { bdi { (test) } ": " bdi { (inert(why)) } } } } } } }
            } }
        },
    )
}

//! `crossfade prompts`: prompts in files, their versions in the store, and what targets make of them.

mod asker;
mod shelf;
mod test;
mod trial;

use std::path::PathBuf;

use clap::Subcommand;
use eval::prompt::diff;
use eval::prompt::results::Row;
use serde_json::{Map, Value, json};
use store::{AuditRow, Database, PromptLabelRow, PromptRow};

use super::Place;
use super::time::{now_us, us_to_text};
use crate::config::{Unbindable, bindable};
use crate::load;
use crate::out::{Exit, Out, Stop, table};
use shelf::{Kept, Loaded, Shelf};

/// The label a rollback is of where none is named.
const PRODUCTION: &str = "production";

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory of the prompts' files; `prompts` beside the config when it is not said.
    #[arg(long, global = true, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    verb: Verb,
}

/// The golden tests of the prompts beside the config, asked of `target`; none where there are no prompts.
pub(crate) fn golden(place: &Place, target: &str, out: &Out) -> Result<Vec<Row>, Stop> {
    let dir = place.config.parent().unwrap_or(std::path::Path::new("")).join("prompts");
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    test::all_of(place, &Shelf::open(place, Some(dir))?, target, out)
}

/// What can be typed after it.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Every prompt: its version, labels, variants, golden tests, and the targets bound to it.
    List,
    /// One prompt, or one as it is sent when values are given.
    Show {
        /// Its name; with @ and a label or the beginning of a version, as it was then.
        #[arg(value_name = "NAME[@VERSION|@LABEL]")]
        name: String,
        /// In the form of this variant.
        #[arg(long, value_name = "NAME")]
        variant: Option<String>,
        /// A value, as JSON or as plain text; given once for each variable.
        #[arg(long = "with", value_name = "VARIABLE=VALUE", value_parser = assigned)]
        values: Vec<(String, Value)>,
        /// With the values of this golden test.
        #[arg(long, value_name = "NAME")]
        test: Option<String>,
    },
    /// What is other in a version: from the label `production`, or the newest that is kept, to the file.
    Diff {
        /// The prompt.
        name: String,
        /// From this label or version.
        #[arg(long, value_name = "VERSION|LABEL")]
        from: Option<String>,
        /// To this label or version; the file when it is not said.
        #[arg(long, value_name = "VERSION|LABEL")]
        to: Option<String>,
    },
    /// Keep the file's version, or take one that is kept, and let a label name it.
    Label {
        /// The prompt.
        name: String,
        /// The label, such as `production`.
        label: String,
        /// The version, or another label's; the file's when it is not said.
        #[arg(long, value_name = "VERSION|LABEL")]
        version: Option<String>,
        /// Why, for the record.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        /// Who says so.
        #[arg(long, value_name = "NAME", default_value = "command-line")]
        actor: String,
    },
    /// Take a label, and the file, back to the version before.
    Rollback {
        /// The prompt.
        name: String,
        /// The label.
        #[arg(long, value_name = "LABEL", default_value = PRODUCTION)]
        label: String,
        /// Back to this version; the one the label named before when it is not said.
        #[arg(long, value_name = "VERSION|LABEL")]
        to: Option<String>,
        /// Why, for the record.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Who says so.
        #[arg(long, value_name = "NAME", default_value = "command-line")]
        actor: String,
    },
    /// Ask targets the golden tests, each in its own variant, and hold the answers against what is expected.
    Test(test::Args),
    /// Ask a candidate the unchanged prompts, and sort them: works, minor adjustment, rework.
    Try(trial::Args),
}

impl Args {
    /// Whether it writes JUnit XML when it is asked to.
    pub(crate) fn makes_junit(&self) -> bool {
        matches!(self.verb, Verb::Test(_))
    }
}

fn assigned(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("expected VARIABLE=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((name.to_owned(), value))
}

/// Does what was typed.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let shelf = Shelf::open(place, args.dir.clone())?;
    match &args.verb {
        Verb::List => list(place, &shelf, out),
        Verb::Show { name, variant, values, test } => {
            show(&shelf, name, (variant.as_deref(), values, test.as_deref()), out)
        }
        Verb::Diff { name, from, to } => difference(&shelf, name, (from.as_deref(), to.as_deref()), out),
        Verb::Label { name, label, version, reason, actor } => {
            let why = Why { actor, reason };
            let kept = match version {
                Some(version) => shelf.kept(name, version)?,
                None => shelf.keep(shelf.get(name)?, actor)?,
            };
            set_label(&shelf, (&kept, label), &why, "prompt.label")?;
            let facts = json!({ "prompt": name, "label": label, "version": kept.version });
            out.answer(&facts, || format!("{name}@{label} is {}\n", short(&kept.version)));
            Ok(Exit::Ok)
        }
        Verb::Rollback { name, label, to, reason, actor } => {
            rollback(place, &shelf, (name, label, to.as_deref()), &Why { actor, reason }, out)
        }
        Verb::Test(args) => test::run(place, &shelf, args, out),
        Verb::Try(args) => trial::run(place, &shelf, args, out),
    }
}

struct Why<'w> {
    actor: &'w str,
    reason: &'w str,
}

/// Enough of a version to tell it from others.
fn short(version: &str) -> &str {
    version.get(..12).unwrap_or(version)
}

fn list(place: &Place, shelf: &Shelf, out: &Out) -> Result<Exit, Stop> {
    let config = load::config(&place.config).ok();
    let bound = |prompt: &str| -> Vec<String> {
        let targets = config.iter().flat_map(|config| config.snapshot.targets.values());
        let is_bound = |target: &&std::sync::Arc<gateway::snapshot::Target>| {
            let source = target.prompt.as_ref().and_then(|variant| variant.source.as_ref());
            source.is_some_and(|source| source.prompt == prompt)
        };
        targets.filter(is_bound).map(|target| target.name.clone()).collect()
    };
    let mut facts = Vec::new();
    for Loaded { path, prompt, .. } in shelf.prompts() {
        let (version, labels) = (prompt.version(), shelf.labels(&prompt.name)?);
        let n_versions = shelf.versions(&prompt.name)?.len();
        let labels: Map<String, Value> = labels.into_iter().map(|row| (row.label, row.version.into())).collect();
        facts.push(json!({
            "name": prompt.name, "task": prompt.task, "version": version, "file": path, "labels": labels,
            "versions": n_versions, "variants": prompt.variants.keys().collect::<Vec<_>>(), "tests": prompt.tests.len(),
            "variables": prompt.variables, "targets": bound(&prompt.name),
        }));
    }
    out.answer(&facts, || {
        let joined = |value: &Value| {
            let words = value.as_array().into_iter().flatten().filter_map(Value::as_str);
            words.collect::<Vec<_>>().join(", ")
        };
        let row = |one: &Value| {
            let word = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
            let version = word("version");
            let label = |(label, named): (&String, &Value)| {
                if named.as_str() == Some(&version) {
                    label.clone()
                } else {
                    format!("{label} ({})", short(named.as_str().unwrap_or_default()))
                }
            };
            let labels = one["labels"].as_object().into_iter().flatten().map(label).collect::<Vec<_>>().join(", ");
            let numbers = [one["versions"].to_string(), one["tests"].to_string()];
            let [versions, tests] = numbers;
            vec![
                word("name"),
                word("task"),
                short(&version).to_owned(),
                versions,
                labels,
                joined(&one["variants"]),
                tests,
                joined(&one["targets"]),
            ]
        };
        let rows: Vec<Vec<String>> = facts.iter().map(row).collect();
        table(&["prompt", "task", "version", "kept", "labels", "variants", "tests", "bound targets"], &rows)
    });
    Ok(Exit::Ok)
}

fn show(
    shelf: &Shelf,
    name: &str,
    (variant, given, test): (Option<&str>, &[(String, Value)], Option<&str>),
    out: &Out,
) -> Result<Exit, Stop> {
    let Kept { name, version, text, prompt } = match name.split_once('@') {
        Some((name, version)) => shelf.kept(name, version)?,
        None => Kept::of(shelf.get(name)?),
    };
    if given.is_empty() && test.is_none() {
        let form = prompt.form(variant).ok_or_else(|| shelf::no_variant(&prompt, variant.unwrap_or_default()))?;
        let facts = json!({ "name": name, "version": version, "text": text, "prompt": prompt, "form": form });
        out.answer(&facts, || format!("# {name} {version}\n{text}"));
        return Ok(Exit::Ok);
    }
    let mut values = match test {
        None => Map::new(),
        Some(test) => {
            let golden = prompt.tests.iter().find(|golden| golden.name == test);
            let known = || prompt.tests.iter().map(|golden| golden.name.as_str()).collect::<Vec<_>>().join(", ");
            let golden = golden.ok_or_else(|| {
                Stop::usage(format!("`{name}` has no golden test `{test}`")).hint(format!("it has: {}", known()))
            })?;
            golden.values.clone()
        }
    };
    values.extend(given.iter().cloned());
    let request = prompt.request(variant, &values).map_err(Stop::usage)?;
    out.answer(&request, || {
        let mut page = String::new();
        for message in request.get("messages").and_then(Value::as_array).into_iter().flatten() {
            let word = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
            page += &format!("[{}]\n{}\n\n", word("role"), word("content").trim_end());
        }
        for (name, value) in request.iter().filter(|(name, _)| *name != "messages") {
            page += &format!("{name}: {value}\n");
        }
        page
    });
    Ok(Exit::Ok)
}

fn difference(shelf: &Shelf, name: &str, (from, to): (Option<&str>, Option<&str>), out: &Out) -> Result<Exit, Stop> {
    let new = match to {
        Some(to) => shelf.kept(name, to)?,
        None => Kept::of(shelf.get(name)?),
    };
    let old = match from {
        Some(from) => shelf.kept(name, from)?,
        None => match shelf.kept(name, PRODUCTION) {
            Ok(kept) => kept,
            Err(_) => {
                let newest = shelf.versions(name)?.into_iter().find(|row| row.version != new.version);
                let newest = newest.ok_or_else(|| {
                    Stop::usage(format!("no other version of `{name}` is kept"))
                        .hint(format!("`crossfade prompts label {name} {PRODUCTION}` keeps the one in the file"))
                })?;
                shelf.read(&newest)?
            }
        },
    };
    let text = diff::text(&old.text, &new.text, 3);
    let facts = json!({ "prompt": name, "from": old.version, "to": new.version, "same": old.version == new.version, "diff": text });
    out.answer(&facts, || match (old.version == new.version, text.is_empty()) {
        (true, true) => format!("{name} is version {} in both\n", short(&old.version)),
        (true, false) => {
            format!("{name} says the same in both, version {}; the files differ\n{text}", short(&old.version))
        }
        _ => format!("--- {name} {}\n+++ {name} {}\n{text}", short(&old.version), short(&new.version)),
    });
    Ok(Exit::Ok)
}

fn set_label(shelf: &Shelf, (kept, label): (&Kept, &str), why: &Why<'_>, action: &str) -> Result<(), Stop> {
    if label.is_empty() || !label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
        return Err(Stop::usage(format!("`{label}` is no label")).hint("a label has letters, digits, `-` and `_`"));
    }
    let row = PromptLabelRow {
        name: kept.name.clone(),
        label: label.to_owned(),
        version: kept.version.clone(),
        at_us: now_us(),
        actor: why.actor.to_owned(),
        reason: why.reason.to_owned(),
    };
    let audit = AuditRow {
        at_us: row.at_us,
        actor: row.actor.clone(),
        action: action.to_owned(),
        subject: format!("prompt:{}", kept.name),
        reason: row.reason.clone(),
        detail_json: json!({ "label": label, "version": kept.version }).to_string(),
    };
    shelf.writing()?.label_prompt(&row, &audit).map_err(Stop::failed)
}

fn rollback(
    place: &Place,
    shelf: &Shelf,
    (name, label, to): (&str, &str, Option<&str>),
    why: &Why<'_>,
    out: &Out,
) -> Result<Exit, Stop> {
    let history: Vec<PromptLabelRow> = shelf.history(name)?.into_iter().filter(|row| row.label == label).collect();
    let now = history.first().ok_or_else(|| {
        Stop::usage(format!("`{name}` has no label `{label}`"))
            .hint(format!("`crossfade prompts label {name} {label}` makes it"))
    })?;
    let kept = match to {
        Some(to) => shelf.kept(name, to)?,
        None => {
            // A rollback after a rollback goes on backwards, not to and fro: what a rollback left is no place to go back to.
            let before = before(&history).ok_or_else(|| {
                Stop::usage(format!("`{label}` of `{name}` has named no version before {}", short(&now.version)))
            })?;
            shelf.kept(name, before)?
        }
    };
    let loaded = shelf.get(name).ok();
    if let Some(loaded) = loaded {
        stays_bound(place, loaded, &kept)?;
        // What stood in the file stays to be had.
        let file = shelf.keep(loaded, why.actor)?;
        if file.version != kept.version {
            std::fs::write(&loaded.path, &kept.text)
                .map_err(|error| Stop::failed(anyhow::anyhow!("cannot write {}: {error}", loaded.path.display())))?;
            out.say(format_args!(
                "{} has version {} again; it had {}",
                loaded.path.display(),
                short(&kept.version),
                short(&file.version)
            ));
        }
    }
    set_label(shelf, (&kept, label), why, "prompt.rollback")?;
    let facts = json!({ "prompt": name, "label": label, "from": now.version, "version": kept.version });
    out.answer(&facts, || format!("{name}@{label} is {} again, was {}\n", short(&kept.version), short(&now.version)));
    Ok(Exit::Ok)
}

/// Refuses a version that the config is bound to in a form the gateway cannot send: written into the file it would make the config invalid.
fn stays_bound(place: &Place, loaded: &Loaded, kept: &Kept) -> Result<(), Stop> {
    let real = |path: &std::path::Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let file = real(&loaded.path);
    let bindings = load::prompt_bindings(&place.config)?;
    let lost = bindings.into_iter().filter(|binding| real(&binding.file) == file).filter_map(|binding| {
        let Unbindable { why, hint } = bindable(&kept.prompt, binding.variant.as_deref()).err()?;
        Some(format!("`prompts.{}`: {why}; {hint}", binding.name))
    });
    let lost: Vec<String> = lost.collect();
    if lost.is_empty() {
        return Ok(());
    }
    let config = place.config.display();
    let version = short(&kept.version);
    let stop = Stop::usage(format!("{config} would not be valid with version {version}: {}", lost.join(" and ")));
    Err(stop.hint(format!(
        "nothing is changed; take the binding out of {config} first, or go back to another version with `--to`"
    )))
}

/// The version to go back to: that before the newest row in the order of the label's life, where each return to an earlier version
/// undoes all that came after it.
fn before(history: &[PromptLabelRow]) -> Option<&str> {
    let mut life: Vec<&str> = Vec::new();
    for row in history.iter().rev() {
        match life.iter().position(|version| *version == row.version) {
            Some(at) => life.truncate(at + 1),
            None => life.push(&row.version),
        }
    }
    life.len().checked_sub(2).and_then(|at| life.get(at)).copied()
}

/// A row of the store for a version.
fn row(kept: &Kept, actor: &str) -> PromptRow {
    PromptRow {
        name: kept.name.clone(),
        version: kept.version.clone(),
        at_us: now_us(),
        actor: actor.to_owned(),
        text: kept.text.clone(),
    }
}

/// When a version was kept, for messages.
fn kept_at(row: &PromptRow) -> String {
    us_to_text(row.at_us)
}

/// The store for writing, made where there is none.
fn writing(store: &std::path::Path) -> Result<Database, Stop> {
    Database::open(store).map_err(Stop::failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_goes_on_backwards_and_not_to_and_fro() {
        let history = |versions: &[&str]| -> Vec<PromptLabelRow> {
            let row = |version: &&str| PromptLabelRow {
                name: "p".into(),
                label: PRODUCTION.into(),
                version: (*version).to_owned(),
                at_us: 0,
                actor: String::new(),
                reason: String::new(),
            };
            versions.iter().rev().map(row).collect()
        };
        assert_eq!(before(&history(&["a", "b", "c"])), Some("b"));
        assert_eq!(before(&history(&["a", "b", "c", "b"])), Some("a"));
        assert_eq!(before(&history(&["a", "b", "c", "b", "d"])), Some("b"));
        assert_eq!(before(&history(&["a"])), None);
    }
}

//! `crossfade import promptfoo`: a promptfoo configuration as a suite with its cases, prompts and targets.

use std::path::{Path, PathBuf};

use anyhow::Context;
use eval::dataset::promptfoo::{Beside, Converted, Fate, convert, files};
use inventory::import::{Counts, Imported, Key, Outcome};
use serde_json::json;

use super::report;
use crate::config::parse_tree;
use crate::out::{Exit, Out, Stop};
use crate::verbs::dataset::{located, n_things};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration: promptfooconfig.yaml, or one as JSON.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write suite.yaml, cases.jsonl, crossfade.yaml and prompts/ into this directory; by default the suite goes to stdout.
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// Write over files that are there.
    #[arg(long, requires = "write")]
    force: bool,
    /// Write nothing when something cannot be carried over.
    #[arg(long)]
    strict: bool,
}

/// Converts, writes and reports. What is lost makes it a failure, so that a script notices.
pub(crate) fn run(args: &Args, out: &Out) -> Result<Exit, Stop> {
    let shown = args.file.display().to_string();
    let text =
        std::fs::read_to_string(&args.file).map_err(|error| Stop::usage(format!("cannot read {shown}: {error}")))?;
    let tree = parse_tree(&text).map_err(|error| {
        let (line, column) = (error.place.line, error.place.column);
        Stop::usage(format!("{shown}:{line}: not YAML at column {column}: {}", error.message))
    })?;
    let directory = args.file.parent().unwrap_or(Path::new("")).to_owned();
    let read = |path: &str| std::fs::read_to_string(directory.join(path)).ok();
    let parse = |text: &str| parse_tree(text).ok().map(|tree| located(&tree));
    let converted = convert(&shown, &located(&tree), &Beside { read: &read, parse: &parse });
    let converted = converted
        .map_err(|problems| Stop::usage(format!("{} with {shown}\n{problems}", n_things(problems.n, "problem"))))?;
    let imported =
        Imported { config: String::new(), keys: keys(&converted), environment: Vec::new(), is_foreign: false };
    let counts = imported.counts();
    let keeps_back = args.strict && counts.unsupported > 0;
    let made = files(&shown, &converted);
    let written = match &args.write {
        Some(directory) if !keeps_back => write(directory, &made, args.force)?,
        _ => Vec::new(),
    };
    let facts = json!({
        "source": "promptfoo", "file": shown, "counts": counts, "keys": imported.keys, "written": written,
        "n_cases": converted.cases.len(),
        "files": made.iter().map(|(name, text)| json!({ "name": name, "text": text })).collect::<Vec<_>>(),
    });
    if out.is_json() || args.write.is_some() || keeps_back {
        out.answer(&facts, || report(&imported));
    } else {
        let suite = made.iter().find(|(name, _)| name == "suite.yaml");
        out.print(suite.map(|(_, text)| text.as_str()).unwrap_or_default());
        out.say(report(&imported).trim_end());
    }
    close(args, &converted, counts, out);
    Ok(if counts.unsupported == 0 { Exit::Ok } else { Exit::Failed })
}

fn keys(converted: &Converted) -> Vec<Key> {
    let outcome = |fate: &Fate| match fate.clone() {
        Fate::Converted { to, note } => Outcome::Mapped { to, note },
        Fate::LeftOut { why } => Outcome::Harmless { why },
        Fate::Unsupported { why, hint } => Outcome::Unsupported { why, hint },
    };
    let entries = converted.entries.iter();
    entries
        .map(|entry| Key {
            line: entry.line,
            column: entry.column,
            key: entry.key.clone(),
            outcome: outcome(&entry.fate),
        })
        .collect()
}

/// Writes all of them, or none where one is in the way.
fn write(directory: &Path, files: &[(String, String)], force: bool) -> Result<Vec<String>, Stop> {
    let paths: Vec<PathBuf> = files.iter().map(|(name, _)| directory.join(name)).collect();
    if let Some(path) = paths.iter().find(|path| path.exists() && !force) {
        let stop = Stop::usage(format!("{} exists, and nothing is written", path.display()));
        return Err(stop.hint("`--force` writes over it"));
    }
    for (path, (_, text)) in paths.iter().zip(files) {
        let parent = path.parent().unwrap_or(directory);
        std::fs::create_dir_all(parent).with_context(|| format!("could not make {}", parent.display()))?;
        std::fs::write(path, text).with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(paths.iter().map(|path| path.display().to_string()).collect())
}

fn close(args: &Args, converted: &Converted, counts: Counts, out: &Out) {
    let Counts { mapped, harmless, unsupported } = counts;
    out.say(format_args!(
        "{mapped} mapped, {harmless} harmless, {unsupported} unsupported of the values in promptfoo's config; {}",
        n_things(converted.cases.len(), "case")
    ));
    match &args.write {
        _ if args.strict && unsupported > 0 => {
            out.say("nothing is written: something cannot be carried over, and `--strict` asks for all");
        }
        Some(directory) => {
            out.say(format_args!(
                "hint: cd {} && crossfade check && crossfade eval run suite.yaml",
                directory.display()
            ));
        }
        None => out.say("hint: `--write DIR` writes the cases, the prompts and the targets as well"),
    }
}

//! `crossfade import`: the config of another gateway as one of Crossfade's, and what became of each of its keys.

mod promptfoo;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use inventory::import::{Beside, Counts, Imported, Key, Outcome, Source, import};
use serde_json::json;

use super::time::{now_us, us_to_text};
use crate::out::{Exit, Out, Stop, table};

/// What can be typed.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    of: Option<Of>,
    /// The config to import: LiteLLM's config.yaml, TensorZero's tensorzero.toml or a config of Portkey's as JSON.
    #[arg(value_name = "FILE", required = true)]
    file: Option<PathBuf>,
    /// Whose config it is; by default what the file looks like.
    #[arg(long, value_name = "GATEWAY")]
    from: Option<From>,
    /// A model name that applications send, for a config that names none (Portkey's); may be given again. By default any.
    #[arg(long, value_name = "NAME")]
    route: Vec<String>,
    /// Write the config here, never over a file that is there; by default to stdout.
    #[arg(long, short, alias = "out", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over a file that is there.
    #[arg(long, requires = "output")]
    force: bool,
    /// Write nothing when something cannot be carried over.
    #[arg(long)]
    strict: bool,
}

/// What is no gateway's.
#[derive(Debug, Subcommand)]
enum Of {
    /// A promptfoo configuration as a suite with its cases, prompts and suggestions of targets.
    Promptfoo(promptfoo::Args),
}

/// Whose config it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum From {
    /// LiteLLM's proxy.
    Litellm,
    /// TensorZero's gateway.
    Tensorzero,
    /// Portkey's gateway.
    Portkey,
}

impl From {
    const fn source(self) -> Source {
        match self {
            From::Litellm => Source::Litellm,
            From::Tensorzero => Source::Tensorzero,
            From::Portkey => Source::Portkey,
        }
    }
}

/// Imports, writes and reports. A partial import is written and still ends as a failure, so that a script notices.
pub(crate) fn run(args: &Args, out: &Out) -> Result<Exit, Stop> {
    if let Some(Of::Promptfoo(args)) = &args.of {
        return promptfoo::run(args, out);
    }
    // Without a subcommand it is required.
    let file = args.file.as_deref().unwrap_or(Path::new(""));
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| Stop::usage(format!("cannot read {shown}: {error}")))?;
    let source = args.from.map(From::source).or_else(|| Source::detect(&shown));
    let source = source.ok_or_else(|| {
        Stop::usage(format!("{shown} does not look like the config of a gateway that is known"))
            .hint("say whose it is: `--from litellm`, `tensorzero` or `portkey`")
    })?;
    let directory = file.parent().unwrap_or(Path::new("")).to_owned();
    let beside = |path: &str| std::fs::read_to_string(directory.join(path)).ok();
    let today = &us_to_text(now_us())[..10];
    let beside = Beside { file: &shown, read: &beside, today, routes: &args.route };
    let unreadable =
        |error| Stop::usage(format!("{shown}: {error}")).hint("is it the config of another gateway? see `--from`");
    let imported = import(source, &text, &beside).map_err(unreadable)?;
    if imported.is_foreign {
        let stop = Stop::usage(format!("{shown}: none of the keys at its top is one of {}'s", source.title()));
        return Err(stop.hint("is it the config of another gateway? see `--from`"));
    }
    let counts = imported.counts();
    let keeps_back = args.strict && counts.unsupported > 0;
    let written = match &args.output {
        Some(path) if !keeps_back => {
            write(path, &imported.config, args.force)?;
            Some(path.display().to_string())
        }
        _ => None,
    };
    let facts = json!({
        "source": source, "file": shown, "counts": counts, "keys": imported.keys, "environment": imported.environment,
        "written": written, "config": (!keeps_back).then_some(&imported.config),
    });
    if out.is_json() || args.output.is_some() || keeps_back {
        out.answer(&facts, || report(&imported));
    } else {
        out.print(&imported.config);
        out.say(report(&imported).trim_end());
    }
    close(args, source, counts, written.as_deref(), out);
    Ok(if counts.unsupported == 0 { Exit::Ok } else { Exit::Failed })
}

fn write(path: &Path, config: &str, force: bool) -> Result<(), Stop> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).create_new(!force);
    let mut file = options.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Stop::usage(format!("{} exists and is left as it is", path.display())).hint("`--force` writes over it")
        }
        _ => Stop::failed(anyhow::Error::new(error).context(format!("could not write {}", path.display()))),
    })?;
    file.write_all(config.as_bytes()).with_context(|| format!("could not write {}", path.display()))?;
    Ok(())
}

fn close(args: &Args, source: Source, counts: Counts, written: Option<&str>, out: &Out) {
    let Counts { mapped, harmless, unsupported } = counts;
    let title = source.title();
    out.say(format_args!(
        "{mapped} mapped, {harmless} harmless, {unsupported} unsupported of the values in {title}'s config"
    ));
    match written {
        Some(path) => out.say(format_args!("hint: set its variables, then `crossfade --config {path} check`")),
        None if args.strict && unsupported > 0 => {
            out.say("nothing is written: something cannot be carried over, and `--strict` asks for all")
        }
        None => {}
    }
}

/// What became of each key: one line per value, or per map or list whose values all ended alike.
fn report(imported: &Imported) -> String {
    let rows: Vec<Vec<String>> = alike(&imported.keys)
        .into_iter()
        .map(|(key, path)| vec![key.line.to_string(), path, key.outcome.as_str().to_owned(), key.outcome.words()])
        .collect();
    let mut text = table(&["line", "key", "ends as", ""], &rows);
    if !imported.environment.is_empty() {
        text += "\nenvironment variables:\n";
        for variable in &imported.environment {
            let hint = variable.hint.as_ref().map_or_else(String::new, |hint| format!(": {hint}"));
            // Writing to a String cannot fail.
            writeln!(text, "  {}{hint}", variable.name).unwrap_or_default();
        }
    }
    text
}

/// Every value, but maps and lists whose values all ended alike as one.
fn alike(keys: &[Key]) -> Vec<(&Key, String)> {
    let mut groups: Vec<(&Key, String)> = Vec::new();
    for key in keys {
        if let Some((first, path)) = groups.last_mut()
            && !matches!(key.outcome, Outcome::Mapped { .. })
            && let Some(common) = common(path, &key.key)
            && keys.iter().filter(|other| is_in(&common, &other.key)).all(|other| other.outcome == first.outcome)
        {
            *path = common;
            continue;
        }
        groups.push((key, key.key.clone()));
    }
    groups
}

fn is_in(whole: &str, part: &str) -> bool {
    part.strip_prefix(whole).is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// The map or list that two key paths are both in.
fn common(a: &str, b: &str) -> Option<String> {
    let length = a
        .char_indices()
        .zip(b.chars())
        .take_while(|((_, a), b)| a == b)
        .map(|((at, a), _)| at + a.len_utf8())
        .last()?;
    let at_end = |path: &str| path.len() == length || path[length..].starts_with(['.', '[']);
    let end = if at_end(a) && at_end(b) { length } else { a[..length].rfind(['.', '['])? };
    (end > 0).then(|| a[..end].to_owned())
}

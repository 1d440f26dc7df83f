//! `crossfade inventory prompts`: the prompts of a code base, in the form of the prompt registry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use inventory::prompts::{self, Extracted, Prompt, Read, Role, draft};
use inventory::scan::Language;
use serde_json::{Value, json};

use super::tree::{self, Choice};
use crate::config::{ConfigError, read_prompt};
use crate::out::{Exit, Out, Stop, table};
use crate::verbs::dataset::n_things;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Directories to look through; each is taken as one repository.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Write a file for each prompt into this directory; the registry's is `prompts` beside the config.
    #[arg(long = "output", short, alias = "out", value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write over files that are there.
    #[arg(long, requires = "out")]
    force: bool,
    /// Leave out files under this path, from the directory that is looked through; may be given again.
    #[arg(long, value_name = "PATH")]
    exclude: Vec<String>,
}

/// A prompt with its file.
struct Made {
    prompt: Prompt,
    drafted: draft::Drafted,
    /// Why the registry would not take it.
    problems: Vec<ConfigError>,
}

/// Finds them, and writes them where that is asked.
pub(super) fn run(args: &Args, out: &Out) -> Result<Exit, Stop> {
    let mut found = Extracted::default();
    for path in &args.paths {
        let own = extract(path, &args.exclude, out)?;
        let prefix = if args.paths.len() > 1 { format!("{}/", path.display()) } else { String::new() };
        found.add(own, &prefix);
    }
    let Extracted { prompts, unread } = found;
    let made: Vec<Made> = prompts.into_iter().map(made).collect();
    let (taken, refused): (Vec<&Made>, Vec<&Made>) = made.iter().partition(|made| made.problems.is_empty());
    let written = match &args.out {
        Some(directory) => write(directory, &taken, args.force)?,
        None => Vec::new(),
    };
    let refusal = |made: &&Made| {
        let problems: Vec<String> = made.problems.iter().map(|problem| problem.message.clone()).collect();
        json!({ "path": made.prompt.path, "line": made.prompt.line, "why": format!("the registry does not take it: {}", problems.join("; ")) })
    };
    let not_read = unread.iter().map(|unread| json!(unread)).chain(refused.iter().map(refusal));
    let not_read: Vec<Value> = not_read.collect();
    let facts = json!({
        "prompts": taken.iter().map(|made| fact(made)).collect::<Vec<_>>(), "not_read": not_read, "written": written,
    });
    out.answer(&facts, || page(&taken, &not_read));
    out.say(format_args!(
        "{}, {} that cannot be read without running the code",
        n_things(taken.len(), "prompt"),
        n_things(not_read.len(), "place")
    ));
    match (&args.out, written.len()) {
        (Some(directory), n) if n > 0 => out.say(format_args!(
            "hint: beside a config (`crossfade init` writes one) `crossfade prompts list --dir {}` shows them; what variables are called and which roles they have is for you to look at",
            directory.display()
        )),
        (None, _) if !taken.is_empty() => out.say("hint: `--output prompts` writes them as files of the prompt registry"),
        _ => {}
    }
    Ok(Exit::Ok)
}

fn extract(root: &Path, exclude: &[String], out: &Out) -> Result<Extracted, Stop> {
    let wants = |path: &str| Language::of_path(path).is_some() || prompts::is_prompt_file(path);
    let choice = Choice { exclude, with_ignored: false, with_blame: false, wants };
    let read: Vec<Read> = tree::each(root, &choice, out, prompts::read)?;
    Ok(prompts::link(&read))
}

fn made(prompt: Prompt) -> Made {
    let drafted = draft::draft(&prompt);
    let problems = read_prompt(&format!("{}.yaml", prompt.name), &drafted.yaml).err().unwrap_or_default();
    Made { prompt, drafted, problems }
}

/// Writes all of them, or none where one is in the way.
fn write(directory: &Path, made: &[&Made], force: bool) -> Result<Vec<String>, Stop> {
    let path = |made: &&Made| directory.join(format!("{}.yaml", made.prompt.name));
    if let Some(path) = made.iter().map(path).find(|path| path.exists() && !force) {
        let stop = Stop::usage(format!("{} exists, and nothing is written", path.display()));
        return Err(stop.hint("`--force` writes over it"));
    }
    std::fs::create_dir_all(directory).with_context(|| format!("could not make {}", directory.display()))?;
    for one in made {
        let path = path(one);
        std::fs::write(&path, &one.drafted.yaml).with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(made.iter().map(|made| path(made).display().to_string()).collect())
}

fn fact(made: &Made) -> Value {
    let Made { prompt, drafted, .. } = made;
    let messages = prompt.messages.iter().map(
        |message| json!({ "role": message.role, "path": message.path, "line": message.line, "pieces": message.pieces }),
    );
    json!({
        "name": prompt.name, "path": prompt.path, "line": prompt.line, "messages": messages.collect::<Vec<_>>(),
        "variables": drafted.variables, "few_shots": drafted.few_shots, "notes": prompt.notes, "file": drafted.yaml,
    })
}

fn page(made: &[&Made], not_read: &[Value]) -> String {
    let mut text = String::new();
    if !made.is_empty() {
        let rows: Vec<Vec<String>> = made.iter().map(|made| row(made)).collect();
        text += &table(&["prompt", "where", "messages", "few-shots", "variables", "not read"], &rows);
    }
    if !not_read.is_empty() {
        let rows = not_read.iter().map(|unread| {
            let place = format!("{}:{}", unread["path"].as_str().unwrap_or_default(), unread["line"]);
            vec![place, unread["why"].as_str().unwrap_or_default().chars().take(100).collect()]
        });
        text += if text.is_empty() { "" } else { "\n" };
        text += &table(&["not read", "why"], &rows.collect::<Vec<_>>());
    }
    text
}

fn row(Made { prompt, drafted, .. }: &Made) -> Vec<String> {
    let mut counts: BTreeMap<Role, usize> = BTreeMap::new();
    prompt.messages.iter().for_each(|message| *counts.entry(message.role).or_default() += 1);
    let shown: Vec<String> = counts.iter().map(|(role, n)| format!("{} {n}", role.as_str())).collect();
    let variables: Vec<&str> = drafted.variables.keys().map(String::as_str).collect();
    vec![
        prompt.name.clone(),
        format!("{}:{}", prompt.path, prompt.line),
        shown.join(", "),
        drafted.few_shots.to_string(),
        if variables.is_empty() { "-".to_owned() } else { variables.join(", ").chars().take(60).collect() },
        if prompt.notes.is_empty() { "-".to_owned() } else { prompt.notes.len().to_string() },
    ]
}

//! `crossfade inventory`: where a code base uses vendors of language models, how, and what of it has an end.

mod cache;
mod page;
#[cfg(test)]
mod tests;
mod tree;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use inventory::scan::{self, Confidence, Finding, render};
use serde_json::json;

use self::cache::Cache;
use self::tree::Scanned;
use super::time::{now_us, us_to_text};
use crate::out::{Exit, Out, Stop};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directories to look through; each is taken as one repository.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Another form than a table or, with `--format json`, JSON.
    #[arg(long = "as", value_enum, value_name = "FORM")]
    form: Option<Form>,
    /// Write to this file instead of stdout.
    #[arg(long, short, alias = "out", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Leave findings out that are less sure than this.
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "likely")]
    confidence: Level,
    /// End with 3 when something at least this sure is found, whatever is shown.
    #[arg(long, value_enum, value_name = "LEVEL")]
    fail_on: Option<Level>,
    /// Show call sites only, no configuration, dependencies or lone model ids. Keys are always shown.
    #[arg(long)]
    sites: bool,
    /// Leave out files under this path, from the directory that is looked through; may be given again.
    #[arg(long, value_name = "PATH")]
    exclude: Vec<String>,
    /// Where what was read is kept between runs, by the files' content.
    #[arg(long, value_name = "DIR", env = "CROSSFADE_INVENTORY_CACHE")]
    cache: Option<PathBuf>,
    /// Read every file anew and keep nothing.
    #[arg(long, conflicts_with = "cache")]
    no_cache: bool,
}

/// A form for other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One row per finding.
    Csv,
    /// Static analysis results, for code hosts and editors.
    Sarif,
}

/// How sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    /// Followed to an import of the library, or said by the text.
    Certain,
    /// The name is the library's own and the repository uses it.
    Likely,
    /// It looks like it.
    Possible,
}

impl Level {
    const fn confidence(self) -> Confidence {
        match self {
            Level::Certain => Confidence::Certain,
            Level::Likely => Confidence::Likely,
            Level::Possible => Confidence::Possible,
        }
    }
}

/// Looks through the directories and says what is there.
pub(crate) fn run(args: &Args, out: &Out) -> Result<Exit, Stop> {
    let mut cache = if args.no_cache { None } else { Cache::open(args.cache.as_deref()) };
    let mut whole = Vec::new();
    let mut counts = tree::Counts::default();
    for path in &args.paths {
        let Scanned { findings, counts: own } = tree::scan(path, &args.exclude, cache.as_mut(), out)?;
        counts.add(own);
        // Of several directories the path says which.
        let prefix = if args.paths.len() > 1 { format!("{}/", path.display()) } else { String::new() };
        whole.extend(
            findings.into_iter().map(|finding| Finding { path: format!("{prefix}{}", finding.path), ..finding }),
        );
    }
    if let Some(cache) = cache
        && let Err(error) = cache.save()
    {
        out.say(format_args!("what was read could not be kept: {error}"));
    }
    let is_failed =
        args.fail_on.is_some_and(|level| whole.iter().any(|finding| finding.confidence >= level.confidence()));
    let least = args.confidence.confidence();
    let n_less = whole.iter().filter(|finding| finding.confidence < least).count();
    whole.retain(|finding| finding.confidence >= least);
    if args.sites {
        whole.retain(|finding| finding.kind.is_site() || finding.kind == scan::Kind::Key);
    }
    let today = &us_to_text(now_us())[..10];
    write(args, &whole, &counts, today, out)?;
    for line in page::words(&whole, &counts, n_less, today) {
        out.say(line);
    }
    Ok(if is_failed { Exit::No } else { Exit::Ok })
}

fn write(args: &Args, findings: &[Finding], counts: &tree::Counts, today: &str, out: &Out) -> Result<(), Stop> {
    let text = match args.form {
        Some(Form::Csv) => render::csv(findings),
        Some(Form::Sarif) => render::sarif(findings, env!("CARGO_PKG_VERSION"), today),
        None if out.is_json() => {
            let facts = json!({ "date": today, "files": counts, "sunsets_of": scan::SUNSETS_OF, "findings": findings });
            serde_json::to_string_pretty(&facts).map_err(Stop::failed)? + "\n"
        }
        None => page::table(findings, today),
    };
    match &args.output {
        Some(path) => save(path, &text),
        None => {
            out.print(&text);
            Ok(())
        }
    }
}

/// Writes beside the file and puts it in its place, so that a reader never sees half of it.
fn save(path: &Path, text: &str) -> Result<(), Stop> {
    let beside = path.with_extension("partial");
    let mut file = std::fs::File::create(&beside).with_context(|| format!("could not write {}", beside.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("could not write {}", beside.display()))?;
    std::fs::rename(&beside, path).with_context(|| format!("could not write {}", path.display()))?;
    Ok(())
}

//! `crossfade inventory`: where a code base uses vendors of language models, how, and what of it has an end.

mod cache;
mod ending;
mod fail;
mod matrix;
mod page;
mod prompts;
#[cfg(test)]
mod tests;
mod traffic;
mod tree;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use inventory::scan::{self, Confidence, Finding, render};
use serde_json::json;
use sha2::{Digest, Sha256};

use self::cache::Cache;
use self::fail::FailOn;
use self::traffic::Recorded;
use self::tree::{Choice, NotRead, Scanned};
use super::Place;
use super::time::{now_us, us_to_text};
use crate::out::{Exit, Format, Out, Stop};

/// What can be typed.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Directories to look through, or git repositories without their files (bare ones: their last commit); each is taken as one
    /// repository.
    #[arg(value_name = "PATH", required_unless_present = "traffic")]
    paths: Vec<PathBuf>,
    /// Another form than a table or, with `--format json`, JSON.
    #[arg(long = "as", value_enum, value_name = "FORM")]
    form: Option<Form>,
    /// Write to this file instead of stdout; a name that ends in .html, .json, .csv, .sarif, .txt or .cdx.json says the form.
    #[arg(long, short, alias = "out", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Leave findings out that are less sure than this.
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "likely")]
    confidence: Level,
    /// End with 3 when this is found, whatever is shown; may be given again: a level (`possible`, `likely`, `certain`), `key`, `ended`
    /// (its vendor has switched it off), `ends` (or set a day), `vendor:NAME`, `operation:NAME`, `model:ID`.
    #[arg(long, value_name = "WHAT")]
    fail_on: Vec<FailOn>,
    /// Show call sites only, no configuration, dependencies or lone model ids. Keys are always shown.
    #[arg(long)]
    sites: bool,
    /// File it in the store of the config too, whatever its form: the console shows the last one.
    #[arg(long)]
    file: bool,
    /// Who files it.
    #[arg(long, value_name = "NAME", default_value = "command-line", requires = "file")]
    actor: String,
    #[command(flatten)]
    looked: Looked,
    #[command(flatten)]
    traffic: traffic::Flags,
}

/// What is made of an inventory.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Say what would take each vendor's place, capability by capability that is used, with what proves it, effort and risk.
    Matrix(matrix::Args),
    /// Extract prompt templates, system messages and examples into files of the prompt registry.
    Prompts(prompts::Args),
}

/// How directories are looked through.
#[derive(Debug, clap::Args)]
struct Looked {
    /// Leave out files under this path, from the directory that is looked through; may be given again.
    #[arg(long, value_name = "PATH")]
    exclude: Vec<String>,
    /// Look into files that a `.gitignore` names, too.
    #[arg(long)]
    with_ignored: bool,
    /// Where CODEOWNERS says nobody owns a call site, ask git who wrote its line last.
    #[arg(long)]
    blame: bool,
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
    /// A page that needs nothing else.
    Html,
    /// A machine-learning bill of materials: CycloneDX 1.6 as JSON.
    Bom,
    /// Static analysis results, for code hosts and editors.
    Sarif,
    /// What there is without a form: a table.
    #[value(skip)]
    Table,
    /// The same as `--format json`.
    #[value(skip)]
    Json,
}

/// Endings of a file's name and the form that each says; the first that fits.
const ENDINGS: [(&str, Form); 7] = [
    (".cdx.json", Form::Bom),
    (".json", Form::Json),
    (".html", Form::Html),
    (".htm", Form::Html),
    (".csv", Form::Csv),
    (".sarif", Form::Sarif),
    (".txt", Form::Table),
];

/// The form that is named, else what the file's ending says.
fn form(args: &Args, out: &Out) -> Result<Form, Stop> {
    Ok(match (args.form, out.format()) {
        (Some(form), _) => form,
        (None, Format::Json) => Form::Json,
        (None, Format::Html) => Form::Html,
        (None, _) => ending::form_of(args.output.as_deref(), &ENDINGS)?.unwrap_or(Form::Table),
    })
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
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    match &args.verb {
        Some(Verb::Matrix(args)) => return matrix::run(place, args, out),
        Some(Verb::Prompts(args)) => return prompts::run(args, out),
        None => {}
    }
    let form = form(args, out)?;
    let recorded = record(place, args, form)?;
    let Scanned { findings: mut whole, counts, not_read, .. } = look(&args.paths, &args.looked, out)?;
    let now = us_to_text(now_us());
    let today = &now[..10];
    let hits: Vec<(&FailOn, usize)> = args
        .fail_on
        .iter()
        .map(|of| (of, whole.iter().filter(|finding| of.is_hit(finding, today)).count()))
        .filter(|(_, n_hits)| *n_hits > 0)
        .collect();
    let least = args.confidence.confidence();
    let n_less = whole.iter().filter(|finding| finding.confidence < least).count();
    whole.retain(|finding| finding.confidence >= least);
    if args.sites {
        whole.retain(|finding| finding.kind.is_site() || finding.kind == scan::Kind::Key);
    }
    let shown = Shown { findings: &whole, counts: &counts, not_read: &not_read, now: &now };
    write(args, form, &shown, recorded.as_ref(), out)?;
    if args.file {
        filed(place, (operations::inventory::INVENTORY, &args.actor), &args.paths, &facts(&shown), out)?;
    }
    for line in recorded.iter().flat_map(|recorded| recorded.words(&recorded.rows(&whole))) {
        out.say(line);
    }
    for line in page::words(&whole, &counts, &not_read, n_less, today) {
        out.say(line);
    }
    for (of, n_hits) in &hits {
        out.say(format_args!("--fail-on {}: {n_hits} found", of.words()));
    }
    Ok(if hits.is_empty() { Exit::Ok } else { Exit::No })
}

/// The record, where that is asked for: read first, for without one there is nothing to look through code for.
fn record(place: &Place, args: &Args, form: Form) -> Result<Option<Recorded>, Stop> {
    if !args.traffic.record.traffic {
        return Ok(None);
    }
    if matches!(form, Form::Sarif | Form::Bom) {
        let stop = Stop::usage("SARIF and a bill of materials have places in code only, and traffic is in none");
        return Err(stop.hint(
            "with `--traffic` there are a table, `--as csv`, `--as html` and `--format json`; without it every form has the code",
        ));
    }
    traffic::read(place, &args.traffic.record).map(Some)
}

/// Everything that is found, however sure.
fn look(paths: &[PathBuf], looked: &Looked, out: &Out) -> Result<Scanned, Stop> {
    let cache = if looked.no_cache { None } else { Cache::open(looked.cache.as_deref()) };
    let (exclude, with_ignored, with_blame) = (&looked.exclude, looked.with_ignored, looked.blame);
    let choice = Choice { exclude, with_ignored, with_blame, wants: scan::is_candidate };
    let mut scanned = Scanned::default();
    for path in paths {
        // Of several directories the path says which.
        let prefix = if paths.len() > 1 { format!("{}/", path.display()) } else { String::new() };
        scanned.add(tree::scan(path, &choice, cache.as_ref(), out)?, &prefix);
    }
    if let Some(cache) = cache
        && let Err(error) = cache.save(&scanned.used)
    {
        out.say(format_args!("what was read could not be kept: {error}"));
    }
    Ok(scanned)
}

/// What is written.
struct Shown<'a> {
    findings: &'a [Finding],
    counts: &'a tree::Counts,
    not_read: &'a [NotRead],
    now: &'a str,
}

fn write(args: &Args, form: Form, shown: &Shown<'_>, recorded: Option<&Recorded>, out: &Out) -> Result<(), Stop> {
    let Shown { findings, counts, now, .. } = *shown;
    let (version, today) = (env!("CARGO_PKG_VERSION"), &now[..10]);
    let names: Vec<String> = args.paths.iter().map(|path| name_of(path)).collect();
    let about = render::About { names: &names, version, now, lines: counts.lines, files: counts.candidates };
    let rows = recorded.map(|recorded| recorded.rows(findings)).unwrap_or_default();
    let text = match (form, recorded) {
        (Form::Csv, Some(recorded)) => recorded.csv(&rows),
        (Form::Csv, None) => render::csv(findings),
        (Form::Sarif, _) => render::sarif(findings, version, today),
        (Form::Bom, _) => render::bom(findings, &about),
        (Form::Html, Some(recorded)) => recorded.html(&rows, &names, now),
        (Form::Html, None) => render::html(findings, &about),
        (Form::Json, _) => {
            let mut facts = facts(shown);
            if let Some(recorded) = recorded {
                facts["traffic"] = recorded.facts(&rows);
            }
            serde_json::to_string_pretty(&facts).map_err(Stop::failed)? + "\n"
        }
        (Form::Table, Some(recorded)) => recorded.page(&rows, &args.traffic),
        (Form::Table, None) => page::table(findings, today),
    };
    match &args.output {
        Some(path) => save(path, &text),
        None => {
            out.print(&text);
            Ok(())
        }
    }
}

/// All of it as JSON.
fn facts(shown: &Shown<'_>) -> serde_json::Value {
    let Shown { findings, counts, not_read, now } = *shown;
    json!({
        "date": &now[..10], "files": counts, "not_read": not_read, "sunsets_of": scan::SUNSETS_OF,
        "models_asked": scan::Asked::of_findings(findings), "findings": findings,
    })
}

/// Files a document in the store of the config.
fn filed(
    place: &Place,
    (kind, actor): (&str, &str),
    paths: &[PathBuf],
    document: &impl serde::Serialize,
    out: &Out,
) -> Result<(), Stop> {
    let database = store::Database::open(&crate::load::places(&place.config)?.store).map_err(Stop::failed)?;
    let document = serde_json::to_string(document).map_err(Stop::failed)?;
    let names: Vec<String> = paths.iter().map(|path| name_of(path)).collect();
    let row = store::InventoryRow {
        kind: kind.to_owned(),
        at_us: now_us(),
        actor: actor.to_owned(),
        names: if names.is_empty() { "recorded traffic".to_owned() } else { names.join(", ") },
        digest: Sha256::digest(&document).iter().map(|byte| format!("{byte:02x}")).collect(),
        document,
    };
    operations::inventory::file(&database, &row).map_err(Stop::failed)?;
    out.say(format_args!("the {kind} of {} is filed", row.names));
    Ok(())
}

/// What a directory is called: its last name, also where it is typed as `.`.
fn name_of(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    whole.file_name().map_or_else(|| "repository".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Writes beside the file and puts it in its place, so that a reader never sees half of it.
fn save(path: &Path, text: &str) -> Result<(), Stop> {
    let beside = path.with_extension("partial");
    let mut file = std::fs::File::create(&beside).with_context(|| format!("could not write {}", beside.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("could not write {}", beside.display()))?;
    std::fs::rename(&beside, path).with_context(|| format!("could not write {}", path.display()))?;
    Ok(())
}

//! `crossfade report`: stay, switch or hybridize, workload by workload, by stated rules from the evidence there is; and `report verify`, which makes
//! every figure of a bundle again.

mod engine;
mod gather;
mod pdf;
mod verify;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;
use cost::tco::odds::DRAWS;
use report::{Bundle, Decision, MOST_PAGES, Report, Rows, bundle, html, markdown};

use super::Place;
use super::source::Source;
use crate::out::{Exit, Format, Out, Stop};

/// What can be typed.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    asked: Asked,
}

/// What can be done with a bundle.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Make every figure of a bundle again from its rows, offline; exit code 3 names what does not follow from them.
    Verify(verify::Args),
}

/// What a report is asked.
#[derive(Debug, clap::Args)]
struct Asked {
    /// Only this workload, or this route; may be given several times.
    #[arg(long, value_name = "NAME")]
    workload: Vec<String>,
    /// The target that might take over, where the route has no rollout, or another one is meant.
    #[arg(long, value_name = "TARGET")]
    candidate: Option<String>,
    /// Write report.html, appendix.html, report.md, report.json, report.pdf and bundle.tar into this directory; without it Markdown goes to stdout.
    #[arg(long, short, alias = "out", value_name = "DIR")]
    output: Option<PathBuf>,
    /// A worksheet of costs (`crossfade tco init` writes one); `support=tco.yaml` says which workload or route it is of, whose baseline and candidate its sides are. Without it, those of
    /// the config's `tco.worksheets`.
    #[arg(long, value_name = "[NAME=]FILE")]
    tco: Vec<String>,
    /// Business outcomes: CSV with a column `arm` (baseline, candidate), perhaps `cohort`, and one for each metric; `support=o.csv` says of what.
    #[arg(long, value_name = "[NAME=]FILE")]
    outcomes: Vec<String>,
    /// A probe's report (`crossfade conformance TARGET -o FILE.json`).
    #[arg(long, value_name = "FILE")]
    conformance: Vec<PathBuf>,
    /// What the code uses of vendors, held against the candidate (`crossfade inventory matrix PATH -o FILE.json`).
    #[arg(long, value_name = "FILE")]
    matrix: Vec<PathBuf>,
    /// Another demand than the config's: `quality.parity=0.95`, `latency.p95=1500ms`, `safety.required=false`.
    #[arg(long = "set", value_name = "AREA.KEY=VALUE")]
    set: Vec<String>,
    /// Draws of what is uncertain in a worksheet.
    #[arg(long, value_name = "N", default_value_t = DRAWS, value_parser = clap::value_parser!(u32).range(100..=2_000_000))]
    draws: u32,
    /// The same seed gives the same draws.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Make no PDF.
    #[arg(long)]
    no_pdf: bool,
    /// How long the browser may take over the PDF; after that there is the HTML without it.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pdf_timeout: u64,
}

/// Reports, or verifies.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    if let Some(Verb::Verify(args)) = &args.verb {
        return verify::run(args, out);
    }
    let asked = &args.asked;
    let mut rows = gather::rows(place, asked)?;
    let source = Source::open(place)?;
    rows.settings.unserved = source.serves_another(&rows.settings.config_hash);
    for mv in rows.settings.moves.iter_mut().filter(|mv| !mv.switched) {
        mv.down = mv.rollout.as_ref().and_then(|name| super::rollout::down(&source, name));
    }
    let made = bundle(&rows, &engine::Rooms).map_err(Stop::failed)?;
    match &asked.output {
        Some(dir) => write(dir, &made, asked, out)?,
        None => out.print(&match out.format() {
            Format::Html => html(&made.report),
            Format::Json => serde_json::to_string_pretty(&made.report).map_err(Stop::failed)? + "\n",
            _ => markdown(&made.report),
        }),
    }
    Ok(exit(&made.report))
}

/// The rows of one route and the report of them, for what else is made of both.
pub(crate) fn of_route(
    place: &Place,
    route: &str,
    candidate: Option<String>,
    (tco, conformance): (Option<&Path>, &[PathBuf]),
) -> Result<(Rows, Report), Stop> {
    let asked = Asked {
        tco: tco.map(|path| path.display().to_string()).into_iter().collect(),
        conformance: conformance.to_vec(),
        ..plain(Some(route), candidate)
    };
    let mut rows = gather::rows(place, &asked)?;
    // A workload of the same name has other routes.
    rows.settings.moves.retain(|mv| mv.route == route);
    let report = report::report(&rows, &engine::Rooms);
    Ok((rows, report))
}

/// The bundle that the verb makes when it is asked no more than this.
pub(crate) fn made(place: &Place, workload: Option<&str>, candidate: Option<String>) -> Result<Bundle, Stop> {
    let rows = gather::rows(place, &plain(workload, candidate))?;
    bundle(&rows, &engine::Rooms).map_err(Stop::failed)
}

/// What is asked where nothing more is typed.
fn plain(workload: Option<&str>, candidate: Option<String>) -> Asked {
    Asked {
        workload: workload.map(str::to_owned).into_iter().collect(),
        candidate,
        output: None,
        tco: Vec::new(),
        outcomes: Vec::new(),
        conformance: Vec::new(),
        matrix: Vec::new(),
        set: Vec::new(),
        draws: DRAWS,
        seed: 1,
        no_pdf: true,
        pdf_timeout: 1,
    }
}

/// A page as a PDF.
///
/// # Errors
/// Why there is none, in words.
pub(crate) fn print(page: &str, most: usize, patience: Duration) -> Result<Vec<u8>, String> {
    pdf::print(page, most, patience).map(|printed| printed.bytes)
}

/// What is proven to stay stays proven, whatever else is open; where nothing says no, what is open keeps it from being a yes.
fn exit(report: &Report) -> Exit {
    let any = |decision| report.moves.iter().any(|mv| mv.decision == decision);
    if any(Decision::Stay) {
        Exit::No
    } else if report.moves.is_empty() || any(Decision::NotEnoughEvidence) {
        Exit::Undecided
    } else {
        Exit::Ok
    }
}

/// The forms that are laid beside the bundle.
const FORMS: [&str; 4] = ["report.html", "appendix.html", "report.md", "report.json"];
/// The page as a browser prints it; no part of the bundle.
const PDF: &str = "report.pdf";
/// The bundle's file.
pub(crate) const BUNDLE: &str = "bundle.tar";

fn write(dir: &Path, made: &Bundle, asked: &Asked, out: &Out) -> Result<(), Stop> {
    std::fs::create_dir_all(dir).with_context(|| format!("could not make {}", dir.display()))?;
    for name in FORMS {
        let bytes = made.files.get(name).map(Vec::as_slice).unwrap_or_default();
        put(&dir.join(name), bytes)?;
    }
    put(&dir.join(BUNDLE), &made.archive)?;
    let pdf = dir.join(PDF);
    // One of an earlier report would be of other figures.
    drop(std::fs::remove_file(&pdf));
    let mut written: Vec<PathBuf> = FORMS.iter().chain([&BUNDLE]).map(|name| dir.join(name)).collect();
    let mut printed = None;
    if !asked.no_pdf {
        let page = made.files.get("report.html").map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default();
        let done = pdf::print(&page, MOST_PAGES, Duration::from_secs(asked.pdf_timeout));
        if let Ok(done) = &done {
            put(&pdf, &done.bytes)?;
            written.push(pdf);
        }
        printed = Some(done);
    }
    let facts = serde_json::json!({
        "headline": made.report.headline,
        "evidence": made.report.evidence,
        "decisions": made.report.moves.iter().map(decided).collect::<Vec<_>>(),
        "pdf_pages": printed.as_ref().and_then(|done| Some(done.as_ref().ok()?.n_pages)),
        "written": written,
    });
    out.answer(&facts, || {
        let mut text = format!("{}\n", made.report.headline);
        for mv in made.report.in_order() {
            text += &format!("  {} ({}): {} — {}\n", mv.workload, mv.route, mv.label(), mv.next);
        }
        written.iter().fold(text, |text, path| text + &format!("{}\n", path.display()))
    });
    match printed {
        Some(Err(why)) => {
            out.say(format_args!("no PDF: {why}"));
            let hint = "put chromium or google-chrome on PATH, or name one in CROSSFADE_BROWSER, or print";
            out.say(format_args!("hint: {hint} {} from a browser", dir.join("report.html").display()));
        }
        Some(Ok(done)) if done.n_pages > MOST_PAGES => {
            out.say(format_args!(
                "the PDF has {} pages, more than {MOST_PAGES}, in this browser's fonts",
                done.n_pages
            ));
        }
        _ => {}
    }
    Ok(())
}

fn decided(mv: &report::MoveReport) -> serde_json::Value {
    serde_json::json!({ "workload": mv.workload, "route": mv.route, "decision": mv.decision, "rule": mv.rule })
}

/// Writes beside the name and puts it in its place: whoever is killed leaves no half of a file under it.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> Result<(), Stop> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = path.with_file_name(format!(".{name}.new"));
    let doing = || format!("could not write {}", path.display());
    std::fs::write(&beside, bytes).with_context(doing)?;
    std::fs::rename(&beside, path).with_context(doing)?;
    Ok(())
}

//! `crossfade bench show`: a result as text, JSON, CSV or a page.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bench::definition;
use bench::result::{BenchResult, Level, short};
use bench::slo::Verdict;
use serde_json::json;

use super::against;
use crate::out::{Exit, Format, Out, Stop, table};
use crate::verbs::time::now_us;
use crate::verbs::{Place, dataset};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A result of the store, or a file that `--output` wrote as JSON.
    #[arg(value_name = "NAME|FILE")]
    name: String,
    /// Another one: the figures of both at the loads that both have.
    #[arg(value_name = "AGAINST", conflicts_with = "output")]
    against: Option<String>,
    /// Write it to this file: .json, .csv or .html.
    #[arg(long, short, alias = "out", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Say what each figure is, by its id.
    #[arg(long)]
    explain: bool,
}

/// What can be typed to list results.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only those with this in their name.
    #[arg(value_name = "PART")]
    part: Option<String>,
    /// Only those of this kind.
    #[arg(long, value_name = "KIND", value_parser = ["load", "search", "recovery", "cold_start", "matrix"])]
    kind: Option<String>,
    /// Only these: `valid`, `invalid`, `partial` (somebody stopped it) or `running` (under way, or killed).
    #[arg(long, value_name = "VERDICT", value_parser = ["valid", "invalid", "partial", "running"])]
    verdict: Option<String>,
    /// Only of so many days, today included.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3660))]
    days: Option<u32>,
    /// Only those of which this is said, as in `--meta`; given again, all of it.
    #[arg(long = "meta", value_name = "NAME=VALUE")]
    metadata: Vec<String>,
}

/// How a result is written to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Csv,
    Html,
}

/// The form that a file's ending names.
pub(super) fn form_of(path: &Path) -> Result<Form, Stop> {
    match path.extension().and_then(std::ffi::OsStr::to_str) {
        Some("json") => Ok(Form::Json),
        Some("csv") => Ok(Form::Csv),
        Some("html" | "htm") => Ok(Form::Html),
        _ => {
            Err(Stop::usage(format!("{} has no ending of a form", path.display()))
                .hint("end it in .json, .csv or .html"))
        }
    }
}

/// Writes a result to a file.
pub(super) fn write(path: &Path, result: &BenchResult) -> Result<(), Stop> {
    let text = match form_of(path)? {
        Form::Json => serde_json::to_string_pretty(result).map_err(Stop::failed)? + "\n",
        Form::Csv => bench::csv::csv(result),
        Form::Html => bench::page::html(result),
    };
    std::fs::write(path, text)
        .map_err(|error| Stop::failed(anyhow::anyhow!("cannot write {}: {error}", path.display())))
}

/// Shows one.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let result = found(place, &args.name)?;
    if let Some(against) = &args.against {
        let other = found(place, against)?;
        let rows = bench::beside::rows(&result, &other);
        out.answer(&rows, || against::text(&result, &other, &rows));
        return Ok(if result.is_evidence() && other.is_evidence() { Exit::Ok } else { Exit::Undecided });
    }
    match &args.output {
        Some(path) => {
            write(path, &result)?;
            out.say(format_args!("written to {}", path.display()));
        }
        None if out.format() == Format::Html => out.print(&bench::page::html(&result)),
        None => out.answer(&result, || text(&result, args.explain)),
    }
    Ok(exit(&result))
}

fn found(place: &Place, name: &str) -> Result<BenchResult, Stop> {
    if Path::new(name).extension().is_some_and(|ending| ending == "json") {
        let text =
            std::fs::read_to_string(name).map_err(|error| Stop::usage(format!("cannot read {name}: {error}")))?;
        return BenchResult::parse(&text).map_err(|error| Stop::usage(format!("{name}: {error}")));
    }
    let database = dataset::readable(place)?;
    let result = BenchResult::load(&database, name).map_err(Stop::failed)?;
    result.ok_or_else(|| {
        let known: Vec<String> = database.benches().unwrap_or_default().into_iter().map(|row| row.name).collect();
        let stop = Stop::usage(format!("there is no result `{name}`"));
        if known.is_empty() {
            stop.hint("`crossfade bench run` makes one")
        } else {
            stop.hint(format!("there are: {}", known.join(", ")))
        }
    })
}

/// Lists them.
pub(super) fn list(place: &Place, args: &ListArgs, out: &Out) -> Result<Exit, Stop> {
    let mut rows = dataset::readable(place)?.benches().map_err(Stop::failed)?;
    let since = args.days.map(|days| now_us().saturating_sub(u64::from(days) * 86_400_000_000));
    let is = |wanted: &Option<String>, word: &str| wanted.as_ref().is_none_or(|wanted| wanted == word);
    rows.retain(|row| {
        args.part.as_ref().is_none_or(|part| row.name.contains(part.as_str()))
            && is(&args.kind, &row.kind)
            && is(&args.verdict, &row.verdict)
            && since.is_none_or(|since| row.at_us >= since)
            && has_metadata(row, &args.metadata)
    });
    let facts: Vec<_> = rows
        .iter()
        .map(|row| json!({ "name": row.name, "kind": row.kind, "verdict": row.verdict, "at_us": row.at_us, "actor": row.actor }))
        .collect();
    out.answer(&facts, || {
        let cells = |row: &store::BenchRow| {
            vec![
                row.name.clone(),
                row.kind.clone(),
                row.verdict.clone(),
                crate::verbs::time::us_to_text(row.at_us),
                row.actor.clone(),
            ]
        };
        table(&["name", "kind", "verdict", "at", "by"], &rows.iter().map(cells).collect::<Vec<_>>())
    });
    Ok(Exit::Ok)
}

fn has_metadata(row: &store::BenchRow, wanted: &[String]) -> bool {
    if wanted.is_empty() {
        return true;
    }
    let Ok(result) = BenchResult::parse(&row.result_json) else { return false };
    let has = |(name, value): (&str, &str)| result.metadata.get(name).is_some_and(|said| said == value);
    wanted.iter().all(|one| one.split_once('=').is_some_and(has))
}

/// What the columns of the table are, for whoever knows none of them.
const LEGEND: &str = "ttft.intended and e2e.intended: from when a request was due to its first and to its last content; tpot: for a token after the first chunk;
gap: between chunks; active: answers under way; lag: by which this client was late. `--explain` says exactly what each figure is.";

/// A result for people.
pub(super) fn text(result: &BenchResult, explain: bool) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    write_text(&mut text, result).unwrap_or_default();
    if explain {
        let lines = definition::ALL.iter().map(|(id, words)| format!("{id}: {words}\n"));
        text += &format!("\n{}", lines.collect::<String>());
    }
    text
}

/// What the objective is, whether it is kept to, and by which figures.
fn objective(text: &mut String, result: &BenchResult) -> std::fmt::Result {
    if let (Some(slo), Some(verdict)) = (&result.slo, result.slo_verdict()) {
        writeln!(text, "{}: {}", slo.words(), verdict.as_str())?;
        // A search says of each probe what it came to, and ends at its own answer.
        for level in result.levels.iter().filter(|level| result.found.is_empty() && level.invalid.is_none()) {
            let standing = level.goodput.and_then(|goodput| slo.standing(&goodput.attained, level.seconds));
            if let Some(standing) = standing {
                writeln!(text, "  {} at {}: {standing}", level.target, level.load_words())?;
            }
        }
    }
    Ok(())
}

fn write_text(text: &mut String, result: &BenchResult) -> std::fmt::Result {
    let state = if result.partial { "partial: somebody stopped it" } else { &result.verdict };
    let simulated = if result.simulated { "; SIMULATED answers" } else { "" };
    let n_invalid = result.levels.iter().filter(|level| level.invalid.is_some()).count();
    let invalid = match n_invalid {
        0 => String::new(),
        n => format!("; {n} of {} loads INVALID, which are no evidence", result.levels.len()),
    };
    writeln!(text, "{} ({}): {}{invalid}{simulated}", result.name, result.kind, state.to_uppercase())?;
    for why in &result.why {
        writeln!(text, "  {why}")?;
    }
    objective(text, result)?;
    if !result.cells.is_empty() {
        writeln!(
            text,
            "\nThe cells, where each gave the most tokens a second or sustained the most; latencies in ms.\n{}",
            super::cells::compared(result)
        )?;
    }
    if !result.levels.is_empty() {
        writeln!(text, "\nLatencies in ms.\n{}\n{LEGEND}\n", levels(result))?;
    }
    for level in &result.levels {
        for check in level.token_checks.iter().filter(|check| !check.is_off()) {
            writeln!(text, "{} at {}: {}", level.target, level.load_words(), check.words())?;
        }
        let from: Vec<&str> = level.tokens_from.keys().map(String::as_str).collect();
        if from != ["usage"] && !from.is_empty() {
            writeln!(text, "{} at {}: tokens counted from {}", level.target, level.load_words(), from.join(", "))?;
        }
        let errors: Vec<String> = level.errors.iter().map(|(word, n)| format!("{word} {n}")).collect();
        if !errors.is_empty() {
            writeln!(text, "{} at {}: {}", level.target, level.load_words(), errors.join(", "))?;
        }
    }
    for found in &result.found {
        let of = |load: Option<f64>| load.map_or("none".to_owned(), short);
        let width = found.width.map_or(String::new(), |width| format!(", {:.1} % apart", width * 100.0));
        writeln!(
            text,
            "{}: max_{}@SLO {} ({}: {}{width}), {} probes",
            found.target,
            found.over,
            // Nothing above it failed: it is only the most that was tried.
            match found.failed {
                None if found.sustained.is_some() => format!("at least {}", of(found.sustained)),
                _ => of(found.sustained),
            },
            match found.failed {
                _ if found.is_client_bound => "the client lagged at",
                Some(failed) if found.is_undecided_at(failed) => "undecided, the least that is not shown to be held",
                _ => "the least that failed",
            },
            found.failed.map_or(if found.is_client_bound { "every try" } else { "none" }.to_owned(), short),
            found.tried.len(),
        )?;
        if let (Some(peak), Some(verdict)) = (found.peak, found.verdict) {
            writeln!(text, "  peak {} with 20 % headroom: {}", short(peak), verdict.as_str())?;
        }
    }
    for delta in &result.deltas {
        let interval = delta.interval_ms.map_or("no interval: too few blocks".to_owned(), |(low, high)| {
            format!("95 %: {low:+.2} to {high:+.2}{}", if delta.is_shown() { "" } else { ", not shown to differ" })
        });
        writeln!(
            text,
            "{} against {}: {} {} {:+.2} ms ({:+.1} %); {interval}; {} blocks",
            delta.candidate,
            delta.baseline,
            delta.metric,
            delta.quantile,
            delta.delta_ms,
            delta.relative() * 100.0,
            delta.n_blocks
        )?;
    }
    super::phases::write(text, result)
}

fn levels(result: &BenchResult) -> String {
    let headings = [
        "target",
        "load",
        "good",
        "ttft.intended p50",
        "p95",
        "p99",
        "e2e.intended p95",
        "p99",
        "tpot p50",
        "gap p99",
        "tok/s",
        "req/s",
        "active",
        "lag p99",
        "slo",
    ];
    table(&headings, &result.levels.iter().map(row).collect::<Vec<_>>())
}

fn row(level: &Level) -> Vec<String> {
    let of = |id: &str, quantile: &str| {
        level.latency.get(id).and_then(|found| found.value(quantile)).map_or("-".to_owned(), |ms| format!("{ms:.1}"))
    };
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
    let slo = match (&level.invalid, level.verdict) {
        (Some(_), _) => "INVALID".to_owned(),
        (None, Some(verdict)) => verdict.as_str().to_owned(),
        (None, None) => "-".to_owned(),
    };
    vec![
        level.target.clone(),
        level.load_words(),
        format!("{} of {}", level.n_good, level.n_requests),
        of(definition::TTFT_INTENDED, "p50"),
        of(definition::TTFT_INTENDED, "p95"),
        of(definition::TTFT_INTENDED, "p99"),
        of(definition::E2E_INTENDED, "p95"),
        of(definition::E2E_INTENDED, "p99"),
        of(definition::TPOT, "p50"),
        of(definition::GAP, "p99"),
        number(level.out_tok_s),
        number(level.requests_per_s),
        number(level.mean_active),
        level.client_lag.value("p99").map_or("-".to_owned(), |ms| format!("{ms:.2}")),
        slo,
    ]
}

/// The exit code of a result.
pub(super) fn exit(result: &BenchResult) -> Exit {
    match result.slo_verdict() {
        _ if !result.is_evidence() => Exit::Undecided,
        Some(Verdict::Fail) => Exit::No,
        Some(Verdict::Undecided) => Exit::Undecided,
        Some(Verdict::Pass) | None => Exit::Ok,
    }
}

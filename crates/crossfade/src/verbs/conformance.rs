//! `crossfade conformance TARGET|URL`: what of the vendor's API a live server does, and what it does wrong in silence.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use eval::conformance::{
    Change, Comparison, DEFINITION, Options, ProbeError, Progress, Report, Row, Subject, Verdict, compare, page, probe,
    snippet,
};
use providers::{BaseUrl, Dialect, ProviderConfig, Shared};
use serde_json::json;
use wire::capability::{BackendKind, Capability, Group, Profile};
use wire::private::Private;
use wire::record::Lane;

use super::Place;
use super::ledger::Collected;
use crate::load;
use crate::out::{Exit, Format, Out, Stop, table};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A target of the config, or a URL such as http://gpu-1:8000/v1.
    #[arg(value_name = "TARGET|URL")]
    subject: String,
    /// Probe this one too, and say where the first is worse.
    #[arg(long, value_name = "TARGET|URL")]
    against: Option<String>,
    /// The model to ask for at a URL; without it the first of the server's list.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The model to ask for embeddings, when it is another.
    #[arg(long, value_name = "NAME")]
    embedding_model: Option<String>,
    /// The model to ask for a service of its own, such as `moderation=NAME`: `moderation`, `rerank`, `transcription`, `speech`, `images`,
    /// `batches` or `assistants`; may be given again. Without it the same model, and then a refusal says nothing of the server.
    #[arg(long, value_name = "SERVICE=NAME", value_parser = service_model)]
    service_model: Vec<(Capability, String)>,
    /// Ask for no services of their own: moderation, reranking, sound, images, files, batches and assistants stay unmeasured.
    #[arg(long, conflicts_with = "service_model")]
    no_services: bool,
    /// What kind of server is at a URL; what the config snippet starts from.
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<BackendKind>,
    /// Environment variable with the key for a URL.
    #[arg(long, value_name = "VARIABLE")]
    key_from: Option<String>,
    /// Write the report to this file instead of stdout; a name that ends in .html makes a page, .json the facts.
    #[arg(long, short, alias = "out", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the lines for the config to this file.
    #[arg(long, value_name = "FILE")]
    write_config: Option<PathBuf>,
    /// Exit with 3 when the score is lower, from 0 to 1.
    #[arg(long, value_name = "SCORE", value_parser = score)]
    fail_under: Option<f64>,
    /// Exit with 3 when the first is worse than the second in any row.
    #[arg(long, requires = "against")]
    fail_on_worse: bool,
    /// All of one probe takes no longer than this.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    budget: Duration,
    /// How many tokens a conversation may have, when the server does not say.
    #[arg(long, value_name = "TOKENS")]
    context: Option<u64>,
    /// Requests under way at once: 4, but 1 for the kind `llama_cpp_python`, whose streams end when another request comes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: Option<u16>,
}

fn kind(text: &str) -> Result<BackendKind, String> {
    let words = || BackendKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    BackendKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| format!("expected one of {}", words()))
}

fn service_model(text: &str) -> Result<(Capability, String), String> {
    let (service, model) =
        text.split_once('=').filter(|(_, model)| !model.is_empty()).ok_or("expected SERVICE=NAME")?;
    let is_it = |capability: &&Capability| capability.group() == Group::Services && **capability != Capability::Files;
    let services = Capability::ALL.iter().filter(is_it);
    let found = services.clone().find(|capability| capability.id() == service);
    let known = || services.map(|capability| capability.id()).collect::<Vec<_>>().join(", ");
    found.map(|capability| (*capability, model.to_owned())).ok_or_else(|| format!("`{service}` is none of {}", known()))
}

fn score(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::config::parse_duration(text)
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "expected a time such as 30s".to_owned())
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
    Html,
}

/// Probes one server, or two.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let form = form(args, out);
    let subject = subject(place, args, &args.subject)?;
    let other = args.against.as_deref().map(|name| self::subject(place, args, name)).transpose()?;
    let kind = subject.provider.capabilities.kind();
    let ledger = Arc::new(Collected::default());
    let report = probed(&subject, (args, &ledger), out);
    let other = report.is_ok().then_some(other).flatten();
    let other = other.map(|other| probed(&other, (args, &ledger), out)).transpose();
    ledger.note(place, out);
    let (report, other) = (report?, other?);
    let comparison = other.as_ref().map(|other| compare(&report, other));
    let against = other.as_ref().zip(comparison.as_ref());
    let config = snippet(&report, &subject.provider.name, kind);
    if let Some(path) = &args.write_config {
        write(path, &config)?;
        out.say(format_args!("the config's lines are in {}", path.display()));
    }
    let text = match form {
        Form::Text => text(&report, against, &config),
        Form::Html => page(&report, against, &config),
        Form::Json => {
            let facts = json!({
                "report": report, "against": other, "comparison": comparison, "config": config,
                "score_definition": DEFINITION,
            });
            serde_json::to_string_pretty(&facts).map_err(Stop::failed)? + "\n"
        }
    };
    match &args.output {
        Some(path) => {
            write(path, &text)?;
            out.say(format_args!("the report is in {}", path.display()));
        }
        None => out.print(&text),
    }
    Ok(verdict(args, &report, comparison.as_ref(), out))
}

fn form(args: &Args, out: &Out) -> Form {
    let ending = args.output.as_deref().and_then(Path::extension).and_then(std::ffi::OsStr::to_str);
    match (out.format(), ending) {
        (Format::Html, _) | (Format::Text, Some("html" | "htm")) => Form::Html,
        (Format::Json, _) | (Format::Text, Some("json")) => Form::Json,
        (Format::Text | Format::Junit, _) => Form::Text,
    }
}

/// The exit code, and in words why it is not 0.
fn verdict(args: &Args, report: &Report, comparison: Option<&Comparison>, out: &Out) -> Exit {
    let worse = comparison.map_or(0, |comparison| comparison.worse);
    if args.fail_on_worse && worse > 0 {
        out.say(format_args!("{} is worse in {worse} rows", report.subject));
        return Exit::No;
    }
    match (args.fail_under, report.score.value) {
        (Some(_), None) => {
            out.say("nothing was measured");
            Exit::Undecided
        }
        (Some(limit), Some(value)) if value < limit => {
            out.say(format_args!("the score {value:.2} is under {limit}"));
            Exit::No
        }
        _ => Exit::Ok,
    }
}

/// A target of the config, or the server at a URL.
fn subject(place: &Place, args: &Args, name: &str) -> Result<Subject, Stop> {
    if name.contains("://") {
        let url = BaseUrl::parse(name).map_err(|error| Stop::usage(error.to_string()))?;
        let mut provider = ProviderConfig::new("probed", Dialect::Openai, url);
        if let Some(variable) = &args.key_from {
            let key = std::env::var(variable).map_err(|_| Stop::usage(format!("{variable} is not set")))?;
            provider.api_key = Some(Private::new(key));
        }
        let generic = || provider.capabilities.kind();
        provider.capabilities = Arc::new(Profile::of(args.kind.unwrap_or_else(generic)));
        return Ok(Subject {
            name: provider.base_url.to_string(),
            provider: Arc::new(provider),
            model: args.model.clone(),
            embedding_model: args.embedding_model.clone(),
            service_models: args.service_model.iter().cloned().collect(),
        });
    }
    let config = load::config(&place.config)?;
    let target = config.snapshot.targets.get(name).ok_or_else(|| {
        let known: Vec<&str> = config.snapshot.targets.keys().map(String::as_str).collect();
        let stop = Stop::usage(format!("there is no target `{name}`"));
        stop.hint(format!("defined: {}; or name a URL with http:// or https://", known.join(", ")))
    })?;
    Ok(Subject {
        name: name.to_owned(),
        provider: Arc::clone(&target.provider),
        model: Some(args.model.clone().unwrap_or_else(|| target.model.clone())),
        embedding_model: args.embedding_model.clone(),
        service_models: args.service_model.iter().cloned().collect(),
    })
}

fn probed(subject: &Subject, (args, ledger): (&Args, &Arc<Collected>), out: &Out) -> Result<Report, Stop> {
    let mut options = Options {
        budget: args.budget,
        context: args.context,
        services: !args.no_services,
        providers: Arc::new(Shared::new().watched(Arc::clone(ledger) as _, Lane::Conformance)),
        ..Options::default()
    };
    match args.concurrency {
        Some(concurrency) => options.concurrency = usize::from(concurrency),
        None if subject.provider.capabilities.kind() == BackendKind::LlamaCppPython => options.concurrency = 1,
        None => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    out.say(format_args!("probing {} at {}", subject.name, subject.provider.base_url));
    let drawn = Cell::new(false);
    let on_terminal = std::io::stderr().is_terminal();
    let progress = |what: Progress<'_>| {
        if let Progress::Asked { n_requests, capability } = what
            && on_terminal
        {
            // A line that is drawn over and over is for eyes only.
            write!(std::io::stderr().lock(), "\r\x1b[K{n_requests} requests, {capability}").unwrap_or_default();
            drawn.set(true);
        }
    };
    let report = runtime.block_on(probe(subject, &options, &progress));
    // Whatever it still has open is closed now.
    drop(runtime);
    if drawn.get() {
        write!(std::io::stderr().lock(), "\r\x1b[K").unwrap_or_default();
    }
    let report = report.map_err(|error| match &error {
        ProbeError::Unreachable { .. } => {
            Stop::failed(error).hint("is the server up, and is the URL the one that applications would use, with /v1?")
        }
        ProbeError::Key(_) => {
            Stop::failed(error).hint("for a URL, `--key-from VARIABLE` names the variable with the key")
        }
        ProbeError::Provider(..) => Stop::failed(error),
    })?;
    let (n_requests, ms) = (report.evidence.len(), report.took_ms);
    out.say(format_args!("{}: {n_requests} requests in {ms} ms", subject.name));
    Ok(report)
}

fn write(path: &Path, text: &str) -> Result<(), Stop> {
    std::fs::write(path, text).with_context(|| format!("could not write {}", path.display())).map_err(Stop::from)
}

fn text(report: &Report, against: Option<(&Report, &Comparison)>, config: &str) -> String {
    let mut text = format!("{}  {}  model {}\n", report.subject, report.base_url, report.model);
    let score = report.score;
    let value = score.value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.2}"));
    let percent = score.coverage() * 100.0;
    let simulated = if report.simulated { ", simulated: the answers were made up" } else { "" };
    // Writing to a String cannot fail.
    writeln!(
        text,
        "drop-in score {value} ({} equivalent, {} degraded, {} none, {} not measured: {percent:.0} % of the points measured{simulated})",
        score.equivalent, score.degraded, score.none, score.not_measured
    )
    .unwrap_or_default();
    if let Some((other, comparison)) = against {
        let Comparison { against, worse, better, same, unknown, .. } = comparison;
        let score = other.score.value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.2}"));
        writeln!(text, "against {against} (score {score}): worse in {worse}, better in {better}, the same in {same}, unknown in {unknown}")
            .unwrap_or_default();
    }
    let rows: Vec<Vec<String>> = report.rows.iter().map(|row| cells(row, against)).collect();
    let headings: &[&str] = if against.is_some() {
        &["capability", "found", "against", "", "seen", "through the gateway", "evidence"]
    } else {
        &["capability", "found", "seen", "through the gateway", "evidence"]
    };
    format!("{text}\n{}\n{config}", table(headings, &rows))
}

fn cells(row: &Row, against: Option<(&Report, &Comparison)>) -> Vec<String> {
    let mut cells = vec![row.capability.id().to_owned(), row.verdict.as_str().to_owned()];
    if let Some((other, comparison)) = against {
        let verdict = other.row(row.capability).map_or(Verdict::NotMeasured, |row| row.verdict);
        let change = comparison.rows.iter().find(|(capability, _)| *capability == row.capability);
        cells.push(verdict.as_str().to_owned());
        cells.push(change.map_or(Change::Unknown, |(_, change)| *change).as_str().to_owned());
    }
    let gateway = match (row.verdict.is_quirk(), row.capability.inherent(), row.advice) {
        (false, ..) => "",
        (true, Some(_), _) => "the gateway's own",
        (true, None, Some(treatment)) => treatment.as_str(),
        (true, None, None) => "as it is",
    };
    let how =
        if row.how.chars().count() > 76 { row.how.chars().take(75).chain(['…']).collect() } else { row.how.clone() };
    cells.extend([how, gateway.to_owned(), row.evidence.join(" ")]);
    cells
}

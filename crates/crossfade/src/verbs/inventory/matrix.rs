//! `crossfade inventory matrix`: what would take a vendor's place, capability by capability that is used, with what proves it.

mod page;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::ValueEnum;
use gateway::snapshot::Target;
use inventory::matrix::{About, Candidate, Facts, Matrix, Probe, Standing, Used, matrix, probes, render};
use providers::Class;

use super::super::time::{now_us, us_to_text};
use super::ending::form_of;
use super::{Level, Place, name_of, save};
use crate::config::nearest;
use crate::load;
use crate::out::{Exit, Format, Out, Stop};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directories to look through; each is taken as one repository. Without one, `--traffic` stands alone.
    #[arg(value_name = "PATH", required_unless_present = "traffic")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    traffic: super::traffic::Record,
    /// A probe's report (`crossfade conformance TARGET -o FILE.json`); may be given again.
    #[arg(long, value_name = "FILE")]
    conformance: Vec<PathBuf>,
    /// A target of the config that might take over; may be given again. Without it: candidates of rollouts, and targets at providers
    /// that are no vendor's. Where there is no config and no report, kinds of servers are named, and nothing is proved.
    #[arg(long, value_name = "TARGET")]
    target: Vec<String>,
    /// Whose machines the servers are that reports are about and no config names: sovereignty depends on it.
    #[arg(long, value_enum, value_name = "CLASS")]
    class: Option<Whose>,
    /// Another form than a table; `--format json` and `--format html` are the same as here.
    #[arg(long = "as", value_enum, value_name = "FORM")]
    form: Option<Form>,
    /// Write to this file instead of stdout; a name that ends in .html, .md, .csv, .json or .txt says the form.
    #[arg(long, short, alias = "out", value_name = "FILE")]
    output: Option<PathBuf>,
    /// End with 3 when the replacement of any capability is so bad or worse.
    #[arg(long, value_enum, value_name = "STANDING")]
    fail_on: Option<Worst>,
    /// Leave findings out that are less sure than this.
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "likely")]
    confidence: Level,
    /// File it in the store of the config too, whatever its form: the console shows the last one.
    #[arg(long)]
    file: bool,
    /// Who files it.
    #[arg(long, value_name = "NAME", default_value = "command-line", requires = "file")]
    actor: String,
    #[command(flatten)]
    looked: super::Looked,
}

/// Whose machines, in the config's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Whose {
    /// One's own.
    SelfHosted,
    /// Open weights at somebody else's.
    Hosted,
    /// A vendor's.
    Vendor,
}

impl Whose {
    const fn as_str(self) -> &'static str {
        match self {
            Whose::SelfHosted => "self_hosted",
            Whose::Hosted => "hosted",
            Whose::Vendor => "vendor",
        }
    }
}

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a terminal.
    Table,
    /// Everything that is known of each cell.
    Json,
    /// For a pull request or a wiki.
    Markdown,
    /// One row for each capability at each alternative.
    Csv,
    /// One page that needs nothing else, for screen and paper.
    Html,
}

/// Endings of a file's name and the form that each says.
const ENDINGS: [(&str, Form); 6] = [
    (".json", Form::Json),
    (".html", Form::Html),
    (".htm", Form::Html),
    (".md", Form::Markdown),
    (".csv", Form::Csv),
    (".txt", Form::Table),
];

/// How bad, from the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Worst {
    /// It differs.
    Degraded,
    /// Nobody measured it.
    Unproved,
    /// There is none.
    None,
}

impl Worst {
    const fn standing(self) -> Standing {
        match self {
            Worst::Degraded => Standing::Degraded,
            Worst::Unproved => Standing::Unproved,
            Worst::None => Standing::None,
        }
    }
}

/// Makes the matrix and writes it.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let form = form(args, out)?;
    let probes = read(&args.conformance)?;
    let recorded = args.traffic.traffic.then(|| super::traffic::read(place, &args.traffic)).transpose()?;
    let candidates = candidates(place, args, &probes, out)?;
    let mut findings = super::look(&args.paths, &args.looked, out)?.findings;
    findings.retain(|finding| finding.confidence >= args.confidence.confidence());
    let mut used: Vec<Used> = findings.iter().map(Used::of).collect();
    let mut of: Vec<String> = args.paths.iter().map(|path| name_of(path)).collect();
    if let Some(recorded) = &recorded {
        used.extend(recorded.used());
        of.push("recorded traffic".to_owned());
    }
    let traffic = recorded.map(|recorded| recorded.summary());
    let about = About { of: &of, date: &us_to_text(now_us())[..10], traffic: traffic.as_ref() };
    let made = matrix(&used, &candidates, about);
    let text = text(&made, form)?;
    match &args.output {
        Some(path) => {
            save(path, &text)?;
            out.say(format_args!("the matrix is in {}", path.display()));
        }
        None => out.print(&text),
    }
    if args.file {
        super::filed(place, (operations::inventory::MATRIX, &args.actor), &args.paths, &made, out)?;
    }
    out.say(&made.headline);
    Ok(exit(args, &made))
}

/// The form that is named, else what the file's ending says.
fn form(args: &Args, out: &Out) -> Result<Form, Stop> {
    Ok(match (args.form, out.format()) {
        (Some(form), _) => form,
        (None, Format::Json) => Form::Json,
        (None, Format::Html) => Form::Html,
        (None, _) => form_of(args.output.as_deref(), &ENDINGS)?.unwrap_or(Form::Table),
    })
}

fn text(made: &Matrix, form: Form) -> Result<String, Stop> {
    Ok(match form {
        Form::Table => page::table(made),
        Form::Json => serde_json::to_string_pretty(made).map_err(Stop::failed)? + "\n",
        Form::Markdown => render::markdown(made),
        Form::Csv => render::csv(made),
        Form::Html => render::html(made),
    })
}

fn exit(args: &Args, made: &Matrix) -> Exit {
    let is_hit = args.fail_on.is_some_and(|worst| made.rows.iter().any(|row| row.standing >= worst.standing()));
    if is_hit { Exit::No } else { Exit::Ok }
}

fn read(paths: &[PathBuf]) -> Result<Vec<Probe>, Stop> {
    let mut read = Vec::new();
    for path in paths {
        let shown = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|error| Stop::usage(format!("cannot read {shown}: {error}")))?;
        read.extend(probes(&shown, &text).map_err(|error| Stop::usage(format!("{shown}: {error}")))?);
    }
    Ok(read)
}

/// Targets of the config, servers that reports are about, or kinds of servers where there is neither.
fn candidates(place: &Place, args: &Args, probes: &[Probe], out: &Out) -> Result<Vec<Candidate>, Stop> {
    let now_s = now_us() / 1_000_000;
    let is_asked = out.config().is_some() || !args.target.is_empty();
    let mut found = Vec::new();
    let mut known = BTreeSet::new();
    if is_asked || place.config.exists() {
        let config = load::config(&place.config)?;
        known.extend(config.snapshot.targets.keys().cloned());
        for name in names(&config, args)? {
            if let Some(target) = config.snapshot.targets.get(&name) {
                found.push(Candidate::target(facts(target), probes, now_s));
            }
        }
    }
    let others = probes.iter().filter(|probe| !probe.held_against && !known.contains(&probe.head.subject));
    let class = args.class.map_or("", Whose::as_str);
    found.extend(others.map(|probe| Candidate::probed(probe, class, now_s)));
    if found.iter().all(Candidate::is_made_up) {
        out.say(
            "no target and no report of a real server is named, so the alternatives are kinds of servers, and nothing is proved: a config \
             (`crossfade init`) and `crossfade conformance` change that",
        );
        found.splice(0..0, Candidate::references());
    }
    Ok(found)
}

/// Targets that might take over: those that are asked for, or candidates of rollouts and targets that are no vendor's.
fn names(config: &crate::config::Config, args: &Args) -> Result<Vec<String>, Stop> {
    let snapshot = &config.snapshot;
    for name in &args.target {
        if !snapshot.targets.contains_key(name) {
            let known: Vec<&str> = snapshot.targets.keys().map(String::as_str).collect();
            let near =
                nearest(name, known.iter().copied()).map(|word| format!("did you mean `{word}`? ")).unwrap_or_default();
            let stop = Stop::usage(format!("no target is called `{name}`"));
            return Err(stop.hint(format!("{near}there are: {}", known.join(", "))));
        }
    }
    if !args.target.is_empty() {
        return Ok(args.target.clone());
    }
    let is_candidate = |name: &str| snapshot.rollouts.values().any(|rollout| rollout.candidate == name);
    let is_baseline = |name: &str| snapshot.rollouts.values().any(|rollout| rollout.baseline == name);
    let targets = snapshot.targets.values().filter(|target| {
        is_candidate(&target.name) || target.provider.class != Class::Vendor && !is_baseline(&target.name)
    });
    Ok(targets.map(|target| target.name.clone()).collect())
}

fn facts(target: &Target) -> Facts {
    Facts {
        name: target.name.clone(),
        provider: target.provider.name.clone(),
        model: target.model.clone(),
        kind: target.provider.capabilities.kind().as_str().to_owned(),
        class: target.provider.class.as_str().to_owned(),
        external: target.providers().any(|provider| provider.class.is_external()),
        simulated: target.providers().any(|provider| provider.is_simulated()),
    }
}

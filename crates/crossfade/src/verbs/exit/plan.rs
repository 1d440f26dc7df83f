//! `crossfade exit plan ROUTE`: how a route leaves its vendor, with what was measured of it, and what is missing.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use exit::{MANIFEST, Manifest};
use gateway::snapshot::Snapshot;
use report::{ExitDrill, ExitPlan, ExportFacts, Leaving, People, Replacements, Rows, exit_plan};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use store::Database;

use crate::config::{Config, exit_worksheet};
use crate::load;
use crate::out::{Exit, Format, Out, Stop};
use crate::verbs::source::names_like;
use crate::verbs::{Place, now_us, report as decision};

/// The worksheet that `--init` writes.
const WORKSHEET: &str = include_str!("plan/exit.yaml");
/// Sheets of paper from which on a smaller print is tried.
const MOST_PAGES: usize = 12;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The route whose vendor is to be left.
    route: String,
    /// The target that takes over; without it the candidate of the route's rollout, else the first of its fallbacks.
    #[arg(long, value_name = "TARGET")]
    to: Option<String>,
    /// Write the worksheet to fill in, of what only people know, and no plan.
    #[arg(long)]
    init: bool,
    /// The worksheet; `exit.yaml` where there is one.
    #[arg(long, value_name = "FILE")]
    worksheet: Option<PathBuf>,
    /// An export of the vendor's data (`crossfade exit export` makes one).
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
    /// The replacement matrix, as JSON.
    #[arg(long, value_name = "FILE")]
    matrix: Option<PathBuf>,
    /// A worksheet of costs (`crossfade tco init` writes one).
    #[arg(long, value_name = "FILE")]
    tco: Option<PathBuf>,
    /// A probe's report (`crossfade conformance TARGET -o FILE.json`); may be given several times.
    #[arg(long, value_name = "FILE")]
    conformance: Vec<PathBuf>,
    /// Write exit-plan.html, exit-plan.md, exit-plan.json and exit-plan.pdf into this directory; without it Markdown goes to stdout.
    #[arg(long, short, alias = "out", value_name = "DIR", conflicts_with = "init")]
    output: Option<PathBuf>,
    /// Make no PDF.
    #[arg(long)]
    no_pdf: bool,
    /// How long the browser may take over the PDF.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pdf_timeout: u64,
}

/// Plans. Exits 3 when the last drill failed, 4 when something is missing.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let config = load::config(&place.config)?;
    let to = alternative(&config.snapshot, &args.route, args.to.as_deref())?;
    if args.init {
        return init(&config, args, out);
    }
    let plan = exit_plan(&gather(place, &config, args, to)?);
    match &args.output {
        Some(dir) => write(dir, &plan, args, out)?,
        None => out.print(&match out.format() {
            Format::Html => plan.html(),
            Format::Json => serde_json::to_string_pretty(&plan).map_err(Stop::failed)? + "\n",
            _ => plan.markdown(),
        }),
    }
    Ok(if plan.drill_failed {
        Exit::No
    } else if plan.missing().next().is_some() || plan.items.iter().any(|item| item.evidence.is_none()) {
        Exit::Undecided
    } else {
        Exit::Ok
    })
}

/// The target that takes over a route: the one that is named, the candidate of its rollout, or the first of its fallbacks.
pub(super) fn alternative(snapshot: &Snapshot, name: &str, named: Option<&str>) -> Result<Option<String>, Stop> {
    let route = snapshot.routes.get(name).ok_or_else(|| {
        let names = || snapshot.routes.keys().map(String::as_str);
        Stop::usage(format!("there is no route `{name}`")).hint(names_like(name, names().collect::<Vec<_>>()))
    })?;
    let candidate = || snapshot.rollouts.values().find(|it| it.route == name).map(|it| it.candidate.clone());
    let to = named.map(str::to_owned).or_else(candidate).or_else(|| route.fallback.first().cloned());
    match &to {
        Some(to) if !snapshot.targets.contains_key(to) => {
            let names: Vec<&str> = snapshot.targets.keys().map(String::as_str).collect();
            Err(Stop::usage(format!("there is no target `{to}`")).hint(names_like(to, names)))
        }
        _ => Ok(to),
    }
}

fn init(config: &Config, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let path = args.worksheet.clone().unwrap_or_else(|| PathBuf::from("exit.yaml"));
    let snapshot = &config.snapshot;
    let own = snapshot.routes.get(&args.route).and_then(|route| snapshot.target(&route.target));
    let today = cost::When::from_us(now_us()).date().to_string();
    let text = WORKSHEET
        .replace("{today}", &today)
        .replace("{route}", &args.route)
        .replace("{provider}", own.map_or("", |target| &target.provider.name));
    let file = OpenOptions::new().write(true).create_new(true).open(&path);
    let mut file = file.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let stop = Stop::usage(format!("{} exists and is left as it is", path.display()));
            stop.hint("`--worksheet FILE` writes another")
        }
        _ => Stop::failed(anyhow::Error::new(error).context(format!("could not write {}", path.display()))),
    })?;
    file.write_all(text.as_bytes()).with_context(|| format!("could not write {}", path.display()))?;
    out.answer(&serde_json::json!({ "written": path }), || format!("{}\n", path.display()));
    out.say(format_args!("hint: fill in what is unknown, then `crossfade exit plan {} -o DIR`", args.route));
    Ok(Exit::Ok)
}

/// Everything a plan is made of.
fn gather(place: &Place, config: &Config, args: &Args, to: Option<String>) -> Result<Leaving, Stop> {
    let people = people(args.worksheet.as_deref())?;
    let export = args.export.as_deref().map(export_facts).transpose()?;
    let replacements = args.matrix.as_deref().map(matrix).transpose()?;
    let (rows, report) = decision::of_route(place, &args.route, to, (args.tco.as_deref(), &args.conformance))?;
    let mv = report.moves.into_iter().next();
    let mv = mv.ok_or_else(|| Stop::failed(anyhow::anyhow!("the route `{}` has no move", args.route)))?;
    let drills = match config.store.exists() {
        true => drills(&Database::open_read_only(&config.store).map_err(Stop::failed)?, &args.route)?,
        false => Vec::new(),
    };
    let Rows { mut filed, settings, .. } = rows;
    filed.sort_by_key(|row| std::cmp::Reverse(row.at_us));
    Ok(Leaving {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at_us: report.at_us,
        recorded: settings.moves.first().and_then(|mv| mv.recorded),
        mv,
        people,
        drills,
        filed,
        export,
        replacements,
    })
}

fn people(named: Option<&Path>) -> Result<Option<(String, People)>, Stop> {
    let usual = Path::new("exit.yaml");
    let Some(path) = named.or_else(|| usual.exists().then_some(usual)) else { return Ok(None) };
    let shown = path.display().to_string();
    let people = exit_worksheet(&shown, &read(path)?).map_err(Stop::config)?;
    Ok(Some((shown, people)))
}

fn read(path: &Path) -> Result<String, Stop> {
    std::fs::read_to_string(path).map_err(|error| Stop::usage(format!("cannot read {}: {error}", path.display())))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Stop> {
    let text = read(path)?;
    serde_json::from_str(&text)
        .map_err(|error| Stop::usage(format!("{} is not what is wanted: {error}", path.display())))
}

fn matrix(path: &Path) -> Result<Replacements, Stop> {
    let is_inventory = |facts: &serde_json::Value| facts["findings"].is_array() && facts["rows"].is_null();
    match serde_json::from_str(&read(path)?) {
        Ok(facts) if is_inventory(&facts) => {
            let stop = Stop::usage(format!("{} is an inventory, not a matrix", path.display()));
            Err(stop.hint("`crossfade inventory matrix PATH… -o FILE.json` makes one"))
        }
        _ => read_json(path),
    }
}

/// Exit drills of a route, newest first, as the audit keeps them. One of a later version that cannot be read is no evidence.
fn drills(database: &Database, route: &str) -> Result<Vec<ExitDrill>, Stop> {
    let rows = database.audit(Some(&format!("route:{route}"))).map_err(Stop::failed)?;
    let of_drills = rows.into_iter().rev().filter(|row| row.action == "exit.drill_over");
    let drill = |row: store::AuditRow| {
        let drill: ExitDrill = serde_json::from_str(&row.detail_json).ok()?;
        Some(ExitDrill { digest: hex(row.detail_json.as_bytes()), ..drill })
    };
    Ok(of_drills.filter_map(drill).collect())
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a manifest says. Its files are `exit verify`'s to count again.
fn export_facts(directory: &Path) -> Result<ExportFacts, Stop> {
    let path = directory.join(MANIFEST);
    if !path.exists() {
        let stop = Stop::usage(format!("{} holds no export: it has no {MANIFEST}", directory.display()));
        return Err(stop.hint("`crossfade exit export DIR` writes it when it is through, also when it was stopped"));
    }
    let manifest: Manifest = read_json(&path)?;
    let bytes = manifest.files.values().map(|file| file.bytes).sum();
    let of_collection = |it: &exit::CollectionFacts| (it.name.clone(), it.n_objects, it.content_bytes);
    Ok(ExportFacts {
        directory: directory.display().to_string(),
        source: manifest.source,
        complete: manifest.complete,
        signed: directory.join(exit::SIGNATURE).exists(),
        collections: manifest.collections.iter().map(of_collection).collect(),
        files: (manifest.files.len() as u64, bytes),
        n_refused: manifest.refused.len() as u64,
        not_given: manifest.not_given.into_iter().collect(),
        digest: hex(read(&path)?.as_bytes()),
    })
}

fn write(dir: &Path, plan: &ExitPlan, args: &Args, out: &Out) -> Result<(), Stop> {
    std::fs::create_dir_all(dir).with_context(|| format!("could not make {}", dir.display()))?;
    let html = plan.html();
    let json = serde_json::to_string_pretty(plan).map_err(Stop::failed)? + "\n";
    let mut written = Vec::new();
    for (name, text) in [("exit-plan.html", &html), ("exit-plan.md", &plan.markdown()), ("exit-plan.json", &json)] {
        decision::put(&dir.join(name), text.as_bytes())?;
        written.push(dir.join(name));
    }
    let pdf = dir.join("exit-plan.pdf");
    // One of an earlier plan would be of other figures.
    drop(std::fs::remove_file(&pdf));
    let mut why_none = None;
    if !args.no_pdf {
        match decision::print(&html, MOST_PAGES, Duration::from_secs(args.pdf_timeout)) {
            Ok(bytes) => {
                decision::put(&pdf, &bytes)?;
                written.push(pdf);
            }
            Err(why) => why_none = Some(why),
        }
    }
    let missing: Vec<_> = plan.missing().map(|(_, missing)| missing).collect();
    let facts = serde_json::json!({
        "headline": plan.headline, "simulated": plan.simulated, "missing": missing, "items": plan.items, "written": written,
    });
    out.answer(&facts, || {
        let lines = written.iter().map(|path| format!("{}\n", path.display()));
        lines.fold(format!("{}\n", plan.headline), |text, line| text + &line)
    });
    if let Some(first) = missing.first() {
        out.say(format_args!("hint: first of what is missing, {}: {}", first.what, first.supply));
    }
    if let Some(why) = why_none {
        out.say(format_args!("no PDF: {why}"));
        let hint = "put chromium or google-chrome on PATH, or name one in CROSSFADE_BROWSER, or print";
        out.say(format_args!("hint: {hint} {} from a browser", dir.join("exit-plan.html").display()));
    }
    Ok(())
}

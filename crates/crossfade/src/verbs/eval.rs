//! `crossfade eval run|compare|report|watch|list`: is the candidate good enough on one's own tasks?

mod asker;
mod bench;
mod drift;
mod encoder;
mod entailment;
mod file;
mod plan;
mod progress;
mod report;
mod review;
mod run;
mod words;

pub(super) use progress::{draw, rough};
pub(super) use review::dollars;

use std::time::Duration;

use clap::Subcommand;
use eval::compare::{Report, Verdict, report as compared, summary_report as summarised};
use eval::results::{Results, ResultsError};
use operations::evaluations::SEED;
use serde_json::json;
use store::{Database, EvalRunRow};

use super::Place;
use super::dataset::{readable, short};
use super::time::us_to_text;
use crate::out::{Exit, Out, Stop, table};

/// How often a watched run is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What can be typed.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Ask every target every case, and compare; a run that was stopped or killed goes on where it was.
    Run(Box<run::Args>),
    /// Say again how the targets of a run compare.
    Compare {
        /// The run.
        #[arg(value_name = "RUN")]
        run: String,
    },
    /// Write a run's report: a page, JSON, CSV, JUnit or Markdown.
    Report(report::Args),
    /// Watch a run until it is whole, and until its judges have been asked everything.
    Watch {
        /// The run.
        #[arg(value_name = "RUN")]
        run: String,
        /// Look once.
        #[arg(long)]
        once: bool,
    },
    /// Say whether inputs and answers of two runs come out alike.
    Drift(drift::Args),
    /// File a run's verdict for the gates of a rollout.
    File(file::Args),
    /// Have people judge pairs of answers without knowing whose they are.
    #[command(subcommand)]
    Review(review::Verb),
    /// Every run.
    List,
}

/// Evaluates, or reads evaluations.
pub(crate) fn run(place: &Place, verb: Verb, out: &Out) -> Result<Exit, Stop> {
    match verb {
        Verb::Run(args) => run::run(place, &args, out),
        Verb::Compare { run } => {
            let report = summarised(&opened(place, &run, Results::load_numbers)?, SEED);
            out.answer(&facts(&report), || words::comparison(&report));
            Ok(exit(&report))
        }
        Verb::Report(args) => report::run(place, &args, out),
        Verb::Drift(args) => drift::run(place, &args, out),
        Verb::File(args) => file::run(place, &args, out),
        Verb::Review(verb) => review::run(place, verb, out),
        Verb::Watch { run, once } => watch(place, (&run, once), out),
        Verb::List => list(place, out),
    }
}

/// A run, compared.
pub(super) fn load(place: &Place, run: &str) -> Result<Report, Stop> {
    Ok(compared(&opened(place, run, Results::load)?, SEED))
}

/// A run without what its answers say: what they are worth, by its plan.
pub(super) fn numbers(place: &Place, run: &str) -> Result<Results, Stop> {
    opened(place, run, Results::load_numbers)
}

/// A run, so much of it as `load` reads.
fn opened(
    place: &Place,
    run: &str,
    load: fn(&Database, &str) -> Result<Results, ResultsError>,
) -> Result<Results, Stop> {
    let database = readable(place)?;
    load(&database, run).map_err(|error| match &error {
        ResultsError::NoRun(_) => {
            let known: Vec<String> = database.eval_runs().unwrap_or_default().into_iter().map(|row| row.run).collect();
            let stop = Stop::failed(error).exit(Exit::Usage);
            if known.is_empty() {
                stop.hint("`crossfade eval run SUITE` makes one")
            } else {
                stop.hint(format!("there are: {}", known.join(", ")))
            }
        }
        ResultsError::OfJudge { of, .. } | ResultsError::OfEncoder { of, .. } => {
            let hint = format!("`crossfade eval report {of}`");
            Stop::failed(error).exit(Exit::Usage).hint(hint)
        }
        _ => Stop::failed(error),
    })
}

/// The report without its cases: what a comparison says.
fn facts(report: &Report) -> serde_json::Value {
    // Numbers, words and maps with text keys always serialise.
    let mut facts = serde_json::to_value(report).unwrap_or_default();
    if let Some(members) = facts.as_object_mut() {
        members.remove("cases");
    }
    facts
}

/// All candidates pass; or one fails; or something is not decided. A run of one target has nothing to decide.
fn exit(report: &Report) -> Exit {
    let verdicts = || report.candidates.iter().map(|candidate| candidate.primary.verdict);
    let is_whole = report.whole
        && report.judges.iter().all(|judge| judge.whole)
        && report.encoder.as_ref().is_none_or(|encoder| encoder.whole)
        && report.entailment.as_ref().is_none_or(|entailment| entailment.whole);
    if !is_whole || verdicts().any(|verdict| verdict == Verdict::Undecided) {
        // What is proven stays proven, whatever else is not.
        return if verdicts().any(|verdict| verdict == Verdict::Fail) { Exit::No } else { Exit::Undecided };
    }
    if verdicts().any(|verdict| verdict == Verdict::Fail) { Exit::No } else { Exit::Ok }
}

fn watch(place: &Place, (run, once): (&str, bool), out: &Out) -> Result<Exit, Stop> {
    let database = readable(place)?;
    let began = std::time::Instant::now();
    let (mut first, mut judges) = (None, None);
    loop {
        let row = database.eval_run(run).map_err(Stop::failed)?;
        let row = row.ok_or_else(|| Stop::usage(format!("there is no run `{run}`")))?;
        let answered = row.n_answered >= row.n_items;
        if answered && judges.is_none() {
            judges = Some(asked_of_judges(&database, &row)?);
        }
        let judged = judged(&database, judges.as_deref().unwrap_or_default())?;
        let whole = answered && judged.iter().all(Judged::is_whole);
        if whole || once {
            out.answer(&with_judges(&row, &judged), || {
                let lines = judged.iter().map(Judged::line);
                std::iter::once(line(&row, None)).chain(lines).fold(String::new(), |text, line| text + &line + "\n")
            });
            return Ok(if whole { Exit::Ok } else { Exit::Undecided });
        }
        if answered {
            let open = judged.iter().filter(|judged| !judged.is_whole()).map(Judged::line);
            progress::draw(&open.collect::<Vec<_>>().join("; "));
            std::thread::sleep(LOOK);
            continue;
        }
        let before = *first.get_or_insert(row.n_answered);
        let n_since = row.n_answered - before;
        let left =
            (n_since > 0).then(|| began.elapsed().mul_f64((row.n_items - row.n_answered) as f64 / n_since as f64));
        progress::draw(&line(&row, left));
        std::thread::sleep(LOOK);
    }
}

/// How far a judge is.
struct Judged {
    run: String,
    n_questions: u64,
    n_answered: u64,
}

impl Judged {
    fn is_whole(&self) -> bool {
        self.n_answered >= self.n_questions
    }

    fn line(&self) -> String {
        format!("{}: {} of {} questions", self.run, self.n_answered, self.n_questions)
    }
}

/// What the judges of a run whose answers are all there are to be asked: the name of each one's run, and how many questions.
fn asked_of_judges(database: &Database, row: &EvalRunRow) -> Result<Vec<(String, u64)>, Stop> {
    // A run of a judge has none, and one without judges need not be read.
    if row.plan["judges"].as_array().is_none_or(Vec::is_empty) && row.plan["entailment"].is_null() {
        return Ok(Vec::new());
    }
    let results = Results::load(database, &row.run).map_err(Stop::failed)?;
    let one = |judged: &eval::judge::said::Judged| {
        (eval::judge::questions::run_name(&row.run, &judged.judge.name), judged.said.len() as u64)
    };
    let entailment = (eval::entail::run_name(&row.run), results.n_entailment_questions());
    Ok([entailment].into_iter().filter(|(_, n)| *n > 0).chain(results.judged.iter().map(one)).collect())
}

fn judged(database: &Database, judges: &[(String, u64)]) -> Result<Vec<Judged>, Stop> {
    let one = |(run, n_questions): &(String, u64)| {
        // A judge that is asked nothing has no run.
        let row = database.eval_run(run).map_err(Stop::failed)?;
        Ok(Judged { run: run.clone(), n_questions: *n_questions, n_answered: row.map_or(0, |row| row.n_answered) })
    };
    judges.iter().map(one).collect()
}

/// The run as it is, with how far its judges are.
fn with_judges(row: &EvalRunRow, judged: &[Judged]) -> serde_json::Value {
    let mut facts = json!(row);
    if !judged.is_empty() {
        let one = |judged: &Judged| json!({ "run": judged.run, "n_questions": judged.n_questions, "n_answered": judged.n_answered });
        facts["judges"] = judged.iter().map(one).collect();
    }
    facts
}

fn line(row: &EvalRunRow, left: Option<Duration>) -> String {
    let left = left.map(|left| format!(", about {} left", progress::rough(left))).unwrap_or_default();
    format!(
        "{}: {} of {} answers, {} failed, {} reused, {} dollars{left}",
        row.run,
        row.n_answered,
        row.n_items,
        row.n_failed,
        row.n_reused,
        cost::decimal::dollars(row.spent_nanos)
    )
}

fn list(place: &Place, out: &Out) -> Result<Exit, Stop> {
    let rows = readable(place)?.eval_runs().map_err(Stop::failed)?;
    out.answer(&json!(rows), || {
        let row = |row: &EvalRunRow| {
            let text = |name: &str| row.plan[name].as_str().unwrap_or_default().to_owned();
            let targets = row.plan["targets"].as_array().into_iter().flatten();
            let targets: Vec<&str> = targets.filter_map(|target| target["name"].as_str()).collect();
            vec![
                row.run.clone(),
                us_to_text(row.at_us),
                format!("{}@{}", text("dataset"), short(&text("version"))),
                targets.join(" "),
                format!("{} / {}", row.n_answered, row.n_items),
                row.n_failed.to_string(),
                cost::decimal::dollars(row.spent_nanos),
            ]
        };
        let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
        table(&["run", "planned at (UTC)", "dataset", "targets", "answers", "failed", "dollars"], &rows)
    });
    Ok(Exit::Ok)
}

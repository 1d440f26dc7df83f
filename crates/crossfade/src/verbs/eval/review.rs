//! `crossfade eval review next|say|hand-out|file|queue|results`: people judge pairs of answers without knowing whose they are.
//!
//! Until a pair is judged nothing that is printed says which answer is whose. What is shown is decided in `operations::blind`; a running gateway
//! is asked, else the store.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use eval::review::{Choice, Standing};
use operations::blind::{self, FileRequest, Handed, Progress, Request, Shown, Taken};
use operations::{Actor, OperationError, Role};
use serde_json::{Value, json};
use store::Database;

use crate::out::{Exit, Out, Stop, table};
use crate::verbs::Place;
use crate::verbs::panel::agreement;
use crate::verbs::source::{Source, operation, percent};
use crate::verbs::time::now_us;

/// What can be typed.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show the next pair to somebody.
    Next(Who),
    /// Say which answer of a pair is better.
    Say {
        /// What `next` called the pair.
        #[arg(value_name = "PAIR")]
        token: String,
        /// Which.
        #[arg(value_enum)]
        choice: Word,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// The run, which a running gateway asks for.
        #[arg(long, value_name = "RUN")]
        run: Option<String>,
        /// Who judges, where no key says so.
        #[arg(long, value_name = "NAME")]
        reviewer: Option<String>,
    },
    /// Print many pairs at once, as lines or a table to fill in: `choice` is first, second or tie.
    HandOut {
        /// To whom, and of what.
        #[command(flatten)]
        who: Who,
        /// How many pairs; at most 200.
        #[arg(long, value_name = "N", default_value_t = 20)]
        pairs: u16,
        /// As what.
        #[arg(long = "as", value_enum, value_name = "FORMAT", default_value_t = Written::Jsonl)]
        written: Written,
    },
    /// Take the verdicts of a file that was handed out: all of them, or none. Pairs without a choice are left open.
    File {
        /// The run.
        #[arg(value_name = "RUN")]
        run: String,
        /// JSON lines or CSV: `pair`, `choice`, and `reviewer`, `reason` and `seconds` where they are known.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Who judged, where no key says so.
        #[arg(long, value_name = "NAME")]
        reviewer: Option<String>,
    },
    /// How far the review is, by candidate and by reviewer.
    Queue {
        /// The run.
        #[arg(value_name = "RUN")]
        run: String,
    },
    /// What all verdicts come to.
    Results {
        /// The run.
        #[arg(value_name = "RUN")]
        run: String,
    },
}

/// Who judges pairs of what.
#[derive(Debug, clap::Args)]
pub(crate) struct Who {
    /// The run.
    #[arg(value_name = "RUN")]
    run: String,
    /// Who judges.
    #[arg(long, value_name = "NAME")]
    reviewer: String,
    /// Which candidate's pairs; of several, the one that was shown the least.
    #[arg(long, value_name = "TARGET")]
    candidate: Option<String>,
    /// How many people judge the same pair.
    #[arg(long, value_name = "N", default_value_t = 1)]
    overlap: u64,
}

/// What is said of a pair.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Word {
    /// The first answer is better.
    First,
    /// The second one is.
    Second,
    /// Neither is.
    Tie,
}

/// How pairs are handed out.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Written {
    /// A line of JSON each.
    Jsonl,
    /// A row each.
    Csv,
}

/// Shows pairs, takes verdicts, and says what they come to.
pub(crate) fn run(place: &Place, verb: Verb, out: &Out) -> Result<Exit, Stop> {
    match verb {
        Verb::Next(who) => {
            let handed = hand_out(place, &who, 1)?;
            let first = handed.pairs.first();
            let facts = first.map_or_else(|| json!({ "pair": null }), |shown| json!(shown));
            out.answer(&facts, || first.map_or_else(|| "nothing is left to judge\n".to_owned(), page));
        }
        Verb::Say { token, choice, reason, run, reviewer } => {
            say(place, (run.as_deref(), token, choice), (reason, reviewer), out)?;
        }
        Verb::HandOut { who, pairs, written } => {
            let handed = hand_out(place, &who, usize::from(pairs))?;
            out.answer(&handed.pairs, || match written {
                Written::Jsonl => handed.pairs.iter().map(line).collect(),
                Written::Csv => csv(&handed.pairs),
            });
            out.say(format_args!(
                "{} pairs; `crossfade eval review file {} FILE` takes them back",
                handed.pairs.len(),
                who.run
            ));
        }
        Verb::File { run, file, reviewer } => take(place, (&run, &file), reviewer, out)?,
        Verb::Queue { run } => {
            let actor = Actor::trusted("command-line", Role::Admin);
            let path = format!("/api/evaluations/{}/review", percent(&run));
            let found = Source::open(place)?.read(&path, |database| blind::progress(database, &actor, &run))?;
            let progress: Progress = serde_json::from_value(found).map_err(Stop::failed)?;
            out.answer(&progress, || queue(&progress));
        }
        Verb::Results { run } => {
            let actor = Actor::trusted("command-line", Role::Admin);
            let path = format!("/api/evaluations/{}/review/results", percent(&run));
            let found = Source::open(place)?.read(&path, |database| blind::results(database, &actor, &run))?;
            let standings: Vec<Standing> = serde_json::from_value(found).map_err(Stop::failed)?;
            out.answer(&standings, || text(&standings));
        }
    }
    Ok(Exit::Ok)
}

/// Asks the gateway, or does it in the store when none runs.
fn change<T: serde::Serialize>(
    place: &Place,
    path: Option<&str>,
    request: &impl serde::Serialize,
    here: impl FnOnce(&Database) -> Result<T, OperationError>,
) -> Result<Value, Stop> {
    let source = Source::open(place)?;
    let body = serde_json::to_value(request).map_err(Stop::failed)?;
    let answer = path.map(|path| source.change(path, &body)).transpose()?.flatten();
    if let Some(answer) = answer {
        return Ok(answer);
    }
    let database = Database::open(source.database()?.path()).map_err(Stop::failed)?;
    serde_json::to_value(here(&database).map_err(operation)?).map_err(Stop::failed)
}

fn hand_out(place: &Place, who: &Who, n_pairs: usize) -> Result<Handed, Stop> {
    let Who { run, reviewer, candidate, overlap } = who;
    let request = Request {
        reviewer: Some(reviewer.clone()),
        candidate: candidate.clone(),
        overlap: Some(*overlap),
        pairs: Some(n_pairs),
        ..Request::default()
    };
    let path = format!("/api/evaluations/{}/review/next", percent(run));
    let actor = Actor::trusted(reviewer.clone(), Role::Viewer);
    let handed = change(place, Some(&path), &request, |database| {
        blind::next((database, database), &actor, (run, now_us()), &request)
    })?;
    serde_json::from_value(handed).map_err(Stop::failed)
}

fn say(
    place: &Place,
    (run, token, word): (Option<&str>, String, Word),
    (reason, reviewer): (Option<String>, Option<String>),
    out: &Out,
) -> Result<(), Stop> {
    let choice = match word {
        Word::First => Choice::First,
        Word::Second => Choice::Second,
        Word::Tie => Choice::Tie,
    };
    let (pair, actor) = (token.clone(), actor(reviewer.as_deref()));
    let request = Request { reviewer, pair: Some(pair), choice: Some(choice), reason, ..Request::default() };
    let path = run.map(|run| format!("/api/evaluations/{}/review/judge", percent(run)));
    change(place, path.as_deref(), &request, |database| blind::judge(database, &actor, (run, now_us()), &request))?;
    out.answer(&json!({ "pair": token, "choice": choice.as_str() }), || format!("{token} {}\n", choice.as_str()));
    Ok(())
}

/// Whoever holds the store's files may judge what was shown to anybody; who names himself, only what was shown to him.
fn actor(reviewer: Option<&str>) -> Actor {
    match reviewer {
        Some(name) => Actor::trusted(name, Role::Viewer),
        None => Actor::trusted("command-line", Role::Admin),
    }
}

fn take(place: &Place, (run, file): (&str, &Path), reviewer: Option<String>, out: &Out) -> Result<(), Stop> {
    let name = file.display().to_string();
    let written =
        std::fs::read_to_string(file).with_context(|| format!("could not read {name}")).map_err(Stop::from)?;
    let (verdicts, n_blank) =
        eval::verdicts::read(&name, &written).map_err(|problems| Stop::failed(problems).exit(Exit::Usage))?;
    let actor = actor(reviewer.as_deref());
    let request = FileRequest { file: name, verdicts, reviewer };
    let path = format!("/api/evaluations/{}/review/file", percent(run));
    let taken =
        change(place, Some(&path), &request, |database| blind::file(database, &actor, (run, now_us()), &request))?;
    let taken: Taken = serde_json::from_value(taken).map_err(Stop::failed)?;
    if n_blank > 0 {
        out.say(format_args!("{n_blank} pairs have no choice and stay open"));
    }
    out.answer(&taken, || format!("{} verdicts\n", taken.verdicts));
    Ok(())
}

fn page(shown: &Shown) -> String {
    let Shown { pair, question, first, second } = shown;
    format!("pair {pair}\n\nasked:\n{question}\n\nfirst:\n{first}\n\nsecond:\n{second}\n")
}

/// A line that comes back with its choice.
fn line(shown: &Shown) -> String {
    let Shown { pair, question, first, second } = shown;
    json!({ "pair": pair, "question": question, "first": first, "second": second, "choice": null }).to_string() + "\n"
}

fn csv(pairs: &[Shown]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let row = |shown: &Shown| {
        let cells = [&shown.pair, &shown.question, &shown.first, &shown.second].map(|text| quoted(text));
        cells.join(",") + ",,\n"
    };
    let rows: String = pairs.iter().map(row).collect();
    "pair,question,first,second,choice,reason\n".to_owned() + &rows
}

fn queue(progress: &Progress) -> String {
    let row = |(name, of): (&String, &blind::CandidateProgress)| {
        let numbers = [of.cases, of.unseen, of.open, of.verdicts, of.overlapping].map(|n| n.to_string());
        std::iter::once(name.clone()).chain(numbers).collect()
    };
    let rows: Vec<Vec<String>> = progress.candidates.iter().map(row).collect();
    let candidates = table(&["candidate", "cases", "unseen", "open", "verdicts", "judged by several"], &rows);
    let row =
        |(name, (shown, judged)): (&String, &(u64, u64))| vec![name.clone(), shown.to_string(), judged.to_string()];
    let rows: Vec<Vec<String>> = progress.reviewers.iter().map(row).collect();
    format!("{candidates}\n{}", table(&["reviewer", "shown", "judged"], &rows))
}

fn text(standings: &[Standing]) -> String {
    let two = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    let row = |standing: &Standing| {
        let interval =
            standing.interval.map_or_else(|| "-".to_owned(), |ends| format!("[{:.2}, {:.2}]", ends.low, ends.high));
        vec![
            standing.candidate.clone(),
            standing.n_cases.to_string(),
            standing.n_verdicts.to_string(),
            standing.won.to_string(),
            standing.tied.to_string(),
            standing.lost.to_string(),
            two(standing.win_rate),
            interval,
            two(standing.agreement),
            two(standing.first_chosen),
            two(standing.median_seconds),
        ]
    };
    let headings = [
        "candidate",
        "cases",
        "verdicts",
        "won",
        "tied",
        "lost",
        "win rate",
        "90 % interval",
        "agreement",
        "first chosen",
        "median s",
    ];
    table(&headings, &standings.iter().map(row).collect::<Vec<_>>()) + &standings.iter().map(people).collect::<String>()
}

/// Agreement and time of the people, and how many answers named themselves.
fn people(standing: &Standing) -> String {
    let mut text = format!("\n{}\n", standing.candidate);
    for kappa in &standing.cohen {
        text += &format!("Cohen's kappa  {} of {}\n", agreement(kappa), kappa.reviewers.join(" and "));
    }
    text += &format!("Fleiss' kappa  {}\n", agreement(&standing.fleiss));
    for time in &standing.times {
        let median = time.median_seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1} s"));
        text += &format!(
            "time           {}: {median} median, {:.1} s together, {} of {} verdicts timed\n",
            time.reviewer, time.seconds, time.n_timed, time.n_verdicts
        );
    }
    if standing.n_masked > 0 {
        let rate = standing.win_rate_unmasked.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.2}"));
        text += &format!(
            "named itself   an answer in {} verdicts, its name made unreadable; win rate without them {rate}\n",
            standing.n_masked
        );
    }
    text
}

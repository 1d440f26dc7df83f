//! `crossfade eval review assign|next|say|hand-out|file|queue|withdraw|results`: people judge pairs of answers without knowing whose they are.
//!
//! Until a pair is judged nothing that is printed says which answer is whose. What is shown is decided in `operations::blind`; a running gateway
//! is asked, else the store.

mod standing;

pub(super) use standing::sentence;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use cost::Decimal;
use eval::review::Choice;
use operations::blind::{
    self, AssignRequest, Assigned, FileRequest, Handed, Progress, Request, Reviewed, Shown, Taken, WithdrawRequest,
    Withdrawn,
};
use operations::{Actor, OperationError, Role};
use serde_json::{Value, json};
use store::Database;

use crate::out::{Exit, Out, Stop, table};
use crate::verbs::Place;
use crate::verbs::source::{Source, operation, percent};
use crate::verbs::time::{now_us, us_to_text};

/// As many open pairs are printed; `--format json` has all.
const MOST_OPEN: usize = 20;

/// What can be typed.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Say who judges which pairs, before the first is shown: what comes of these pairs can be filed for a gate.
    Assign(Assign),
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
    /// Take back pairs without a verdict: nobody is shown them again, nothing waits for them, and reports count them as withdrawn.
    Withdraw(Withdraw),
    /// What all verdicts come to, and what they prove.
    Results {
        /// The run.
        #[arg(value_name = "RUN")]
        run: String,
        /// What an hour of a reviewer costs: says what the review did.
        #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
        per_hour: Option<Decimal>,
    },
}

/// Who is to judge which pairs.
#[derive(Debug, clap::Args)]
pub(crate) struct Assign {
    /// The run.
    #[arg(value_name = "RUN")]
    run: String,
    /// Who judges; given once for each. With keys, the names of the keys.
    #[arg(long = "reviewer", value_name = "NAME", required = true)]
    reviewers: Vec<String>,
    /// Which candidate's pairs; needed where the run has several.
    #[arg(long, value_name = "TARGET")]
    candidate: Option<String>,
    /// How many pairs; without it every case that both answered.
    #[arg(long, value_name = "N")]
    pairs: Option<usize>,
    /// The part of the pairs that every reviewer judges, from 0 to 1: what agreement is read from.
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    overlap: f64,
    /// The part of the pairs that metrics see differently, from 0 to 1; they are no part of the proof.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    telling: f64,
    /// How much below one half the win rate may be; it is said now, and not when the verdicts are there.
    #[arg(long, value_name = "SHARE", default_value_t = eval::review::MARGIN)]
    margin: f64,
    /// Who plans.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    actor: String,
}

/// Which pairs are withdrawn, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Withdraw {
    /// The run.
    #[arg(value_name = "RUN")]
    run: String,
    /// What `queue` and `next` call the pairs.
    #[arg(value_name = "PAIR", required_unless_present = "reviewer", conflicts_with = "reviewer")]
    pairs: Vec<String>,
    /// Everything of this reviewer without a verdict: what was shown, and what is assigned and was not shown yet.
    #[arg(long, value_name = "NAME")]
    reviewer: Option<String>,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who withdraws.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    actor: String,
}

pub(crate) fn dollars(text: &str) -> Result<Decimal, String> {
    Decimal::parse(text).ok_or_else(|| "expected dollars, such as 45 or 37.50".to_owned())
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
        Verb::Assign(args) => assign(place, &args, out)?,
        Verb::Next(who) => {
            let handed = hand_out(place, &who, 1)?;
            let first = handed.pairs.first();
            let facts = first.map_or_else(|| json!({ "pair": null }), |shown| json!(shown));
            out.answer(&facts, || first.map_or_else(|| nothing(&handed), page));
            match first {
                Some(Shown { pair, .. }) => out.say(format_args!(
                    "hint: `crossfade eval review say {pair} first|second|tie --run {} --reviewer {}`",
                    who.run, who.reviewer
                )),
                None if handed.elsewhere > 0 => {}
                None => out.say(format_args!(
                    "hint: cases that somebody else was shown come with `--overlap {}`, where nobody is assigned pairs",
                    who.overlap.saturating_add(1)
                )),
            }
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
            if handed.elsewhere > 0 {
                out.say(format_args!("{}", nothing(&handed).trim_end()));
            }
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
        Verb::Withdraw(args) => withdraw(place, args, out)?,
        Verb::Results { run, per_hour } => {
            let all = results(place, &run)?;
            let facts: Vec<Value> = all.iter().map(|one| standing::facts(one, per_hour)).collect();
            out.answer(&facts, || standing::text(&all, per_hour));
        }
    }
    Ok(Exit::Ok)
}

/// What the verdicts of a run come to, by candidate.
pub(super) fn results(place: &Place, run: &str) -> Result<Vec<Reviewed>, Stop> {
    let actor = Actor::trusted("command-line", Role::Admin);
    let path = format!("/api/evaluations/{}/review/results", percent(run));
    let found = Source::open(place)?.read(&path, |database| blind::results(database, &actor, run))?;
    serde_json::from_value(found).map_err(Stop::failed)
}

fn assign(place: &Place, args: &Assign, out: &Out) -> Result<(), Stop> {
    let Assign { run, reviewers, candidate, pairs, overlap, telling, margin, actor } = args;
    let request = AssignRequest {
        actor: Some(actor.clone()),
        candidate: candidate.clone(),
        reviewers: reviewers.clone(),
        pairs: *pairs,
        overlap: *overlap,
        telling: *telling,
        margin: Some(*margin),
    };
    let path = format!("/api/evaluations/{}/review/assign", percent(run));
    let actor = Actor::trusted(actor.clone(), Role::Admin);
    let done =
        change(place, Some(&path), &request, |database| blind::assign(database, &actor, (run, now_us()), &request))?;
    let done: Assigned = serde_json::from_value(done).map_err(Stop::failed)?;
    out.answer(&done, || {
        let Assigned { candidate, by_chance, telling, verdicts, .. } = &done;
        format!(
            "{candidate}: {by_chance} pairs by chance, {telling} that metrics see differently, {verdicts} verdicts\n"
        )
    });
    if done.left_out > 0 {
        out.say(format_args!(
            "{} cases were left out: each of these reviewers sees them with another candidate, and would know the answer in both pairs again",
            done.left_out
        ));
    }
    match done.provable_margin {
        Some(provable) if provable > done.margin => out.say(format_args!(
            "hint: where nobody says `tie`, {} pairs prove a margin of {provable:.3} of equals four times in five, and {} is asked for; ties make it smaller",
            done.by_chance, done.margin
        )),
        Some(_) => {}
        None => out.say(format_args!("hint: {} pairs prove nothing", done.by_chance)),
    }
    out.say(format_args!("`crossfade eval review next {run} --reviewer {}` shows the first", reviewers[0]));
    Ok(())
}

fn withdraw(place: &Place, args: Withdraw, out: &Out) -> Result<(), Stop> {
    let Withdraw { run, pairs, reviewer, reason, actor } = args;
    let request = WithdrawRequest { actor: Some(actor.clone()), pairs, reviewer, reason };
    let path = format!("/api/evaluations/{}/review/withdraw", percent(&run));
    let actor = Actor::trusted(actor, Role::Admin);
    let done =
        change(place, Some(&path), &request, |database| blind::withdraw(database, &actor, (&run, now_us()), &request))?;
    let done: Withdrawn = serde_json::from_value(done).map_err(Stop::failed)?;
    out.answer(&done, || {
        let Withdrawn { open, unshown } = done;
        let shown = if unshown > 0 { format!(", {unshown} that were not shown yet") } else { String::new() };
        format!("withdrawn: {open} open pair{}{shown}\n", if open == 1 { "" } else { "s" })
    });
    out.say(format_args!("`crossfade eval review results {run}` says what is proven now"));
    Ok(())
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

/// What is said to a reviewer for whom nothing more is left.
fn nothing(handed: &Handed) -> String {
    let more = if handed.pairs.is_empty() { "nothing is" } else { "nothing more is" };
    match handed.elsewhere {
        0 => format!("{more} left to judge\n"),
        n => format!(
            "{more} left for you in this run: an answer of each of the {n} pairs that want a verdict stands in another of yours, and you would know it again; \
             other reviewers can judge them\n"
        ),
    }
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
        let numbers = [of.cases, of.unseen, of.open, of.verdicts, of.overlapping, of.withdrawn].map(|n| n.to_string());
        std::iter::once(name.clone()).chain(numbers).collect()
    };
    let rows: Vec<Vec<String>> = progress.candidates.iter().map(row).collect();
    let candidates =
        table(&["candidate", "cases", "unseen", "open", "verdicts", "judged by several", "withdrawn"], &rows);
    let names: BTreeSet<&String> =
        progress.reviewers.keys().chain(progress.assigned.keys()).chain(progress.withdrawn.keys()).collect();
    let row = |name: &String| {
        let (shown, judged) = progress.reviewers.get(name).copied().unwrap_or_default();
        let assigned = progress.assigned.get(name).map_or_else(|| "-".to_owned(), u64::to_string);
        let withdrawn = progress.withdrawn.get(name).copied().unwrap_or_default();
        vec![name.clone(), assigned, shown.to_string(), judged.to_string(), withdrawn.to_string()]
    };
    let rows: Vec<Vec<String>> = names.into_iter().map(row).collect();
    let reviewers = table(&["reviewer", "assigned", "shown", "judged", "withdrawn"], &rows);
    if progress.open.is_empty() {
        return format!("{candidates}\n{reviewers}");
    }
    let row = |open: &blind::Open| {
        vec![open.pair.clone(), open.candidate.clone(), open.reviewer.clone(), us_to_text(open.shown_at_us)]
    };
    let n_more = progress.open.len().saturating_sub(MOST_OPEN);
    let more = if n_more > 0 { format!("and {n_more} more\n") } else { String::new() };
    let rows: Vec<Vec<String>> = progress.open.iter().take(MOST_OPEN).map(row).collect();
    let open = table(&["open", "candidate", "reviewer", "shown at"], &rows);
    format!("{candidates}\n{reviewers}\n{open}{more}")
}

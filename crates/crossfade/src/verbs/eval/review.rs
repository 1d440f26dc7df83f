//! `crossfade eval review next|say|results`: people judge pairs of answers without knowing whose they are.
//!
//! Until a pair is judged nothing that is printed says which answer is whose: no name, no model, no time, no cost. Which stands first is drawn when
//! the pair is shown and kept in the store.

use std::hash::{BuildHasher, Hasher};

use clap::{Subcommand, ValueEnum};
use eval::results::Results;
use eval::review::{Choice, Standing, next, standing};
use serde_json::json;
use store::{BlindPairRow, Database};

use super::SEED;
use crate::out::{Exit, Out, Stop, table};
use crate::verbs::Place;
use crate::verbs::dataset::{readable, writable};
use crate::verbs::time::now_us;

/// What can be typed.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show the next pair to somebody.
    Next {
        /// The run.
        #[arg(value_name = "RUN")]
        run: String,
        /// Who judges.
        #[arg(long, value_name = "NAME")]
        reviewer: String,
        /// Which candidate, where there are several.
        #[arg(long, value_name = "TARGET")]
        candidate: Option<String>,
        /// How many people judge the same pair.
        #[arg(long, value_name = "N", default_value_t = 1)]
        overlap: u64,
    },
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
    },
    /// What all verdicts come to.
    Results {
        /// The run.
        #[arg(value_name = "RUN")]
        run: String,
    },
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

/// Shows pairs, takes verdicts, and says what they come to.
pub(crate) fn run(place: &Place, verb: Verb, out: &Out) -> Result<Exit, Stop> {
    match verb {
        Verb::Next { run, reviewer, candidate, overlap } => {
            show(&writable(place)?, (&run, candidate.as_deref()), (&reviewer, overlap), out)
        }
        Verb::Say { token, choice, reason } => say(&writable(place)?, &token, (choice, reason.as_deref()), out),
        Verb::Results { run } => {
            let database = readable(place)?;
            let results = load(&database, &run)?;
            let shown = database.blind_pairs(&run).map_err(Stop::failed)?;
            let n_targets = results.plan.targets.len();
            let standings: Vec<Standing> =
                (1..n_targets).map(|target_idx| standing(&results, (target_idx, &shown), SEED)).collect();
            out.answer(&standings, || text(&standings));
            Ok(Exit::Ok)
        }
    }
}

fn load(database: &Database, run: &str) -> Result<Results, Stop> {
    Results::load(database, run).map_err(|error| Stop::failed(error).exit(Exit::Usage))
}

fn show(
    database: &Database,
    (run, candidate): (&str, Option<&str>),
    (reviewer, overlap): (&str, u64),
    out: &Out,
) -> Result<Exit, Stop> {
    let results = load(database, run)?;
    let targets = &results.plan.targets;
    let target_idx = match candidate {
        Some(name) => (1..targets.len()).find(|target_idx| targets[*target_idx].name == name),
        None => (targets.len() == 2).then_some(1),
    };
    // The names are known to whoever set the run up; the reviewer need not be that.
    let target_idx = target_idx.ok_or_else(|| Stop::usage("`--candidate` names the one that is judged"))?;
    loop {
        let shown = database.blind_pairs(run).map_err(Stop::failed)?;
        let is_open = |pair: &&BlindPairRow| {
            pair.reviewer == reviewer && pair.choice.is_none() && pair.candidate == targets[target_idx].name
        };
        if let Some(open) = shown.iter().find(is_open) {
            return Ok(print(&results, target_idx, open, out));
        }
        let Some(case_idx) = next(&results, (target_idx, &shown), (reviewer, overlap, SEED)) else {
            out.answer(&json!({ "pair": null }), || "nothing is left to judge\n".to_owned());
            return Ok(Exit::Ok);
        };
        let bits = random();
        let pair = BlindPairRow {
            token: format!("{bits:016x}"),
            run: run.to_owned(),
            candidate: targets[target_idx].name.clone(),
            case_idx: case_idx as u64,
            reviewer: reviewer.to_owned(),
            shown_at_us: now_us(),
            candidate_first: random() & 1 == 1,
            judged_at_us: None,
            choice: None,
        };
        // Where another process was faster, what it showed is shown.
        database.show_pair(&pair).map_err(Stop::failed)?;
    }
}

/// Bits that nobody can guess: the standard library seeds its hashes from the system.
fn random() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

fn print(results: &Results, target_idx: usize, pair: &BlindPairRow, out: &Out) -> Exit {
    let case_idx = usize::try_from(pair.case_idx).unwrap_or(usize::MAX);
    let answer = |target_idx: usize| {
        let answered = results.of(case_idx, target_idx).next().and_then(|record| record.answered.answer.as_ref());
        answered.map_or_else(String::new, |answer| {
            let calls = answer.tool_calls.iter().map(|call| format!("{}({})", call.name, call.arguments));
            let said = answer.refusal.clone().unwrap_or_else(|| answer.text.clone());
            std::iter::once(said).chain(calls).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
        })
    };
    let (first, second) = if pair.candidate_first { (target_idx, 0) } else { (0, target_idx) };
    let question = results.cases.get(case_idx).map(eval::case::Case::question).unwrap_or_default();
    let (first, second) = (answer(first), answer(second));
    let facts = json!({ "pair": pair.token, "question": question, "first": first, "second": second });
    out.answer(&facts, || {
        format!("pair {}\n\nasked:\n{question}\n\nfirst:\n{first}\n\nsecond:\n{second}\n", pair.token)
    });
    Exit::Ok
}

fn say(database: &Database, token: &str, (word, reason): (Word, Option<&str>), out: &Out) -> Result<Exit, Stop> {
    let choice = match word {
        Word::First => Choice::First,
        Word::Second => Choice::Second,
        Word::Tie => Choice::Tie,
    };
    if database.blind_pair(token).map_err(Stop::failed)?.is_none() {
        return Err(
            Stop::usage(format!("no pair `{token}` was shown")).hint("`crossfade eval review next RUN` shows one")
        );
    }
    if !database.judge_pair(token, now_us(), (choice.as_str(), reason)).map_err(Stop::failed)? {
        return Err(Stop::failed(anyhow::anyhow!("the pair `{token}` is judged already, and stays so")));
    }
    out.answer(&json!({ "pair": token, "choice": choice.as_str() }), || format!("{token} {}\n", choice.as_str()));
    Ok(Exit::Ok)
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
    table(&headings, &standings.iter().map(row).collect::<Vec<_>>())
}

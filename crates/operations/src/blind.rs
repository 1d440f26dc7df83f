//! Blind review of an evaluation's answers: pairs are handed out, verdicts taken, and what they come to said to those who do not judge.
//!
//! Until a pair is judged nothing that leaves here says which answer is whose: no name, no model, no time, no cost. Which stands first is drawn
//! when the pair is handed out and kept in the store, like what the pair is called.

mod plan;
mod withdraw;

pub use plan::{AssignRequest, Assigned, assign};
pub use withdraw::{WithdrawRequest, Withdrawn, withdraw};

use std::collections::{BTreeMap, BTreeSet};

use eval::case::{Case, text_of};
use eval::dataset::Problems;
use eval::panel::shown;
use eval::results::{Results, ResultsError};
use eval::review::{Alike, Assignment, Choice, Proof, Queue, Standing, names, proof, standing};
use eval::verdicts::Verdict;
use govern::Role;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{BlindAssignedRow, BlindPairRow, BlindVerdict, Database, DatabaseError, Took};

use crate::desk::{Actor, OperationError};

/// Decides the order of pairs, and what intervals draw: the same verdicts give the same.
const SEED: u64 = 1;
/// The most pairs that are handed out at once.
const MOST_AT_ONCE: usize = 200;

/// What a reviewer asks for, or says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Who, where the door does not know better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewer: Option<String>,
    /// Which candidate's pairs; without it those of the one that was shown the least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<String>,
    /// How many people judge the same pair; 1 when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<u64>,
    /// How many pairs at once; 1 when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<usize>,
    /// The pair that is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<String>,
    /// Which answer is better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Verdicts in bulk.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRequest {
    /// The file, as problems name it.
    #[serde(default)]
    pub file: String,
    /// What it says.
    pub verdicts: Vec<Verdict>,
    /// Who says so, where the door does not know better and a verdict does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewer: Option<String>,
}

/// A pair as a reviewer sees it: everything, and nothing else goes to a reviewer before the verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// What a verdict names.
    pub pair: String,
    /// What was asked.
    pub question: String,
    /// One answer.
    pub first: String,
    /// The other.
    pub second: String,
}

/// What is handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// The pairs: none when nothing is left.
    pub pairs: Vec<Shown>,
    /// How many this reviewer has judged.
    pub judged: u64,
    /// Where there are fewer than were asked for: how many more wait for a verdict that this reviewer is not to give, because he sees one of
    /// their answers in another pair.
    #[serde(default)]
    pub elsewhere: u64,
}

/// What was taken down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Verdicts that are new.
    pub verdicts: u64,
}

/// How far a run's review is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// By candidate.
    pub candidates: BTreeMap<String, CandidateProgress>,
    /// By reviewer: pairs that were shown, and those of them that are judged.
    pub reviewers: BTreeMap<String, (u64, u64)>,
    /// By reviewer: verdicts that are asked for, where it is said who judges what.
    #[serde(default)]
    pub assigned: BTreeMap<String, u64>,
    /// By reviewer: pairs that were withdrawn, which are neither shown nor asked for any more.
    #[serde(default)]
    pub withdrawn: BTreeMap<String, u64>,
    /// Pairs that were shown and wait for their verdict, oldest first.
    #[serde(default)]
    pub open: Vec<Open>,
}

/// A pair that waits for its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// What it is called.
    pub pair: String,
    /// Whose answer is one of the two.
    pub candidate: String,
    /// With whom.
    pub reviewer: String,
    /// Since when, Unix microseconds.
    pub shown_at_us: u64,
}

/// What all verdicts on a candidate come to, and what they prove.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reviewed {
    /// What they come to.
    #[serde(flatten)]
    pub standing: Standing,
    /// What they prove.
    pub proof: Proof,
}

/// How far one candidate's is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateProgress {
    /// Cases with both answers.
    pub cases: u64,
    /// Of these, shown to nobody.
    pub unseen: u64,
    /// Pairs that were shown and wait for their verdict.
    pub open: u64,
    /// Verdicts.
    pub verdicts: u64,
    /// Cases with two verdicts or more: what agreement is read from.
    pub overlapping: u64,
    /// Pairs that were withdrawn before anybody judged them.
    #[serde(default)]
    pub withdrawn: u64,
}

fn failed(doing: &'static str) -> impl Fn(DatabaseError) -> OperationError {
    move |source| OperationError::Store { doing, source }
}

fn load(database: &Database, run: &str) -> Result<Results, OperationError> {
    Results::load(database, run).map_err(|error| match error {
        ResultsError::Store(source) => OperationError::Store { doing: "read the run", source },
        ResultsError::NoRun(_) => OperationError::NotFound(error.to_string()),
        other => OperationError::Unavailable(other.to_string()),
    })
}

/// Who judges: the holder of a key by the key's name.
fn reviewer(actor: &Actor) -> &str {
    actor.name.split(" (").next().unwrap_or(&actor.name)
}

/// Whether the actor judges for nobody but himself.
fn is_reviewer_only(actor: &Actor) -> bool {
    actor.scope.role < Some(Role::Operator)
}

/// Hands out the next pairs of a reviewer: those that are open, the same way round as before, then new ones. `reading` and `writing` may be
/// the same.
///
/// # Errors
/// When there is no such run or candidate, or the store fails.
pub fn next(
    (reading, writing): (&Database, &Database),
    actor: &Actor,
    (run, at_us): (&str, u64),
    request: &Request,
) -> Result<Handed, OperationError> {
    actor.needs(Role::Viewer)?;
    let reviewer = reviewer(actor);
    let results = load(reading, run)?;
    let targets = &results.plan.targets;
    // A reviewer is not told what there is: whoever set the run up knows the names.
    let candidates: Vec<usize> = (1..targets.len())
        .filter(|target_idx| request.candidate.as_ref().is_none_or(|name| targets[*target_idx].name == *name))
        .collect();
    if candidates.is_empty() {
        return Err(OperationError::Invalid("the run has no such pairs".to_owned()));
    }
    let queues: Vec<(usize, Queue)> =
        candidates.into_iter().map(|target_idx| (target_idx, Queue::of(&results, target_idx, SEED))).collect();
    let plans = reading.review_plans(run).map_err(failed("read the plans"))?;
    let planned: BTreeSet<String> = plans.into_iter().map(|plan| plan.candidate).collect();
    let assigned = reading.review_assigned(run).map_err(failed("read who judges which pairs"))?;
    let n_wanted = request.pairs.unwrap_or(1).clamp(1, MOST_AT_ONCE);
    let overlap = request.overlap.unwrap_or(1).max(1);
    let alike = Alike::of(&results);
    let of_candidate = |pair: &BlindPairRow| {
        queues.iter().map(|(target_idx, _)| *target_idx).find(|target_idx| targets[*target_idx].name == pair.candidate)
    };
    loop {
        let rows = writing.blind_pairs(run).map_err(failed("read the pairs"))?;
        let own = || rows.iter().filter(|pair| pair.reviewer == reviewer);
        let open = own().filter(|pair| pair.is_open());
        let open = open.filter_map(|pair| Some((pair, of_candidate(pair)?)));
        let open: Vec<Shown> =
            open.take(n_wanted).map(|(pair, target_idx)| as_shown(&results, target_idx, pair)).collect();
        let next = if open.len() < n_wanted {
            draw(&results, (&queues, &alike), (&rows, &planned, &assigned), (reviewer, overlap))
        } else {
            Err(0)
        };
        let (candidate, case_idx) = match next {
            Ok(next) => next,
            Err(elsewhere) => {
                let judged = own().filter(|pair| pair.is_judged()).count() as u64;
                return Ok(Handed { pairs: open, judged, elsewhere });
            }
        };
        let pair = BlindPairRow {
            token: format!("{:016x}", random()?),
            run: run.to_owned(),
            candidate,
            case_idx: case_idx as u64,
            reviewer: reviewer.to_owned(),
            shown_at_us: at_us,
            candidate_first: random()? & 1 == 1,
            judged_at_us: None,
            choice: None,
            took_us: None,
        };
        // Where another process was faster, what it showed is shown.
        writing.show_pair(&pair).map_err(failed("show a pair"))?;
    }
}

/// The next case, of the candidate that was shown the least. Of a candidate with a plan nobody gets what is not assigned to him, and of none what
/// he sees with another. Where nothing is left: how many cases there are that he is not shown for that reason.
fn draw(
    results: &Results,
    (queues, alike): (&[(usize, Queue)], &Alike),
    (rows, planned, assigned): (&[BlindPairRow], &BTreeSet<String>, &[BlindAssignedRow]),
    who: (&str, u64),
) -> Result<(String, usize), u64> {
    let name = |target_idx: usize| results.plan.targets[target_idx].name.clone();
    let n_shown = |target_idx: usize| rows.iter().filter(|pair| pair.candidate == name(target_idx)).count();
    let mut least: Vec<&(usize, Queue)> = queues.iter().collect();
    least.sort_by_key(|(target_idx, _)| n_shown(*target_idx));
    let own = |candidate: &str| -> Vec<u64> {
        let is_shown = |case_idx: u64| {
            rows.iter().any(|row| row.candidate == candidate && row.case_idx == case_idx && row.reviewer == who.0)
        };
        let own = assigned.iter().filter(|one| one.candidate == candidate && one.reviewer == who.0);
        own.map(|one| one.case_idx).filter(|case_idx| !is_shown(*case_idx)).collect()
    };
    let mut n_elsewhere = 0;
    for (target_idx, queue) in least {
        let candidate = name(*target_idx);
        let next = if planned.contains(&candidate) {
            // What is assigned with both of two candidates, as older versions did, is shown with the first.
            let elsewhere = alike.elsewhere((&candidate, who.0), (rows, &[]));
            let (taken, open): (Vec<u64>, Vec<u64>) =
                own(&candidate).into_iter().partition(|case_idx| elsewhere.has(*case_idx));
            n_elsewhere += taken.len() as u64;
            open.first().and_then(|case_idx| usize::try_from(*case_idx).ok())
        } else {
            let elsewhere = alike.elsewhere((&candidate, who.0), (rows, assigned));
            n_elsewhere += queue.n_elsewhere(rows, who, &elsewhere);
            queue.next(rows, who, &elsewhere)
        };
        if let Some(case_idx) = next {
            return Ok((candidate, case_idx));
        }
    }
    Err(n_elsewhere)
}

fn random() -> Result<u64, OperationError> {
    getrandom::u64().map_err(|error| OperationError::Unavailable(format!("the system gives no random bytes: {error}")))
}

fn as_shown(results: &Results, target_idx: usize, pair: &BlindPairRow) -> Shown {
    let case_idx = usize::try_from(pair.case_idx).unwrap_or(usize::MAX);
    let names = names(results);
    let answer = |target_idx: usize| {
        let answered = results.of(case_idx, target_idx).next().and_then(|record| record.answered.answer.as_ref());
        answered.map_or_else(String::new, |answer| shown(answer, &names))
    };
    let (first, second) = if pair.candidate_first { (target_idx, 0) } else { (0, target_idx) };
    Shown {
        pair: pair.token.clone(),
        question: results.cases.get(case_idx).map(question).unwrap_or_default(),
        first: answer(first),
        second: answer(second),
    }
}

/// The question; where there is more of a conversation, its turns without the system's words.
fn question(case: &Case) -> String {
    let messages = case.request.get("messages").and_then(Value::as_array);
    let turns: Vec<String> = messages
        .into_iter()
        .flatten()
        .filter(|message| matches!(message["role"].as_str(), Some("user" | "assistant")))
        .map(|message| format!("[{}] {}", message["role"].as_str().unwrap_or_default(), text_of(&message["content"])))
        .collect();
    if turns.len() > 1 { turns.join("\n\n") } else { case.question() }
}

/// Takes a verdict: once, after the pair was shown, and from a viewer only of the pairs that were shown to him. What comes back says
/// nothing of the answers.
///
/// # Errors
/// When the request says no verdict, no such pair was shown, or it is judged.
pub fn judge(
    database: &Database,
    actor: &Actor,
    (run, at_us): (Option<&str>, u64),
    request: &Request,
) -> Result<Taken, OperationError> {
    actor.needs(Role::Viewer)?;
    let (Some(token), Some(choice)) = (&request.pair, request.choice) else {
        return Err(OperationError::Invalid(
            "a verdict names a `pair` and a `choice`: first, second or tie".to_owned(),
        ));
    };
    let pair = database.blind_pair(token).map_err(failed("read the pair"))?;
    let is_for = |pair: &BlindPairRow| {
        run.is_none_or(|run| pair.run == run) && (!is_reviewer_only(actor) || pair.reviewer == reviewer(actor))
    };
    let Some(pair) = pair.filter(is_for) else {
        return Err(OperationError::NotFound(format!("no pair `{token}` was shown")));
    };
    if pair.is_withdrawn() {
        return Err(OperationError::Refused(format!("the pair `{token}` was withdrawn: no verdict is asked for")));
    }
    let reason = request.reason.as_deref();
    let verdict = BlindVerdict { token, choice: choice.as_str(), reason, took: Took::SinceShown };
    match database.judge_pairs(&[verdict], at_us).map_err(failed("write the verdict down"))? {
        None => Ok(Taken { verdicts: 1 }),
        Some(_) => Err(OperationError::Refused(format!("the pair `{token}` is judged already, and stays so"))),
    }
}

/// Takes verdicts in bulk: all of them, or none. How long they took is what they say; nobody else knows.
///
/// # Errors
/// With everything that is wrong, or when the store fails.
pub fn file(
    database: &Database,
    actor: &Actor,
    (run, at_us): (&str, u64),
    request: &FileRequest,
) -> Result<Taken, OperationError> {
    actor.needs(Role::Viewer)?;
    let rows = database.blind_pairs(run).map_err(failed("read the pairs"))?;
    let rows: BTreeMap<&str, &BlindPairRow> = rows.iter().map(|pair| (pair.token.as_str(), pair)).collect();
    let mut problems = Problems::of(if request.file.is_empty() { "verdicts" } else { &request.file });
    let mut seen = BTreeSet::new();
    for (idx, verdict) in request.verdicts.iter().enumerate() {
        let line = if verdict.line == 0 { idx + 1 } else { verdict.line };
        let pair = rows.get(verdict.pair.as_str());
        let mut note = |field: &str, what: String| problems.note(line, field, what);
        match pair {
            _ if !seen.insert(&verdict.pair) => note("pair", format!("`{}` is judged twice", verdict.pair)),
            Some(pair) if is_reviewer_only(actor) && pair.reviewer != reviewer(actor) => {
                note("pair", format!("no pair `{}` was shown to {}", verdict.pair, reviewer(actor)));
            }
            None => note("pair", format!("no pair `{}` of the run `{run}` was shown", verdict.pair)),
            Some(pair) if pair.is_withdrawn() => {
                note("pair", format!("`{}` was withdrawn: leave its choice empty", verdict.pair));
            }
            Some(pair) if !pair.is_open() => note("pair", format!("`{}` is judged already", verdict.pair)),
            Some(pair) => {
                if let Some(name) = verdict.reviewer.as_ref().filter(|name| **name != pair.reviewer) {
                    note("reviewer", format!("`{}` was not shown to `{name}`", verdict.pair));
                }
            }
        }
        if verdict.seconds.is_some_and(|seconds| !(0.0..=86_400.0).contains(&seconds)) {
            problems.note(line, "seconds", "expected a number from 0 to 86400");
        }
    }
    if problems.n > 0 {
        return Err(OperationError::Invalid(problems.to_string()));
    }
    let verdicts: Vec<BlindVerdict<'_>> = request.verdicts.iter().map(as_row).collect();
    match database.judge_pairs(&verdicts, at_us).map_err(failed("write the verdicts down"))? {
        None => Ok(Taken { verdicts: verdicts.len() as u64 }),
        Some(token) => Err(OperationError::Refused(format!("`{token}` was judged just now; nothing was kept"))),
    }
}

fn as_row(verdict: &Verdict) -> BlindVerdict<'_> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a day at most, and not below 0")]
    let took = verdict.seconds.map_or(Took::Unknown, |seconds| Took::Micros((seconds * 1e6) as u64));
    BlindVerdict { token: &verdict.pair, choice: verdict.choice.as_str(), reason: verdict.reason.as_deref(), took }
}

/// How far a run's review is.
///
/// # Errors
/// When the actor may not, or there is no such run.
pub fn progress(database: &Database, actor: &Actor, run: &str) -> Result<Progress, OperationError> {
    actor.needs(Role::Operator)?;
    let results = load(database, run)?;
    let rows = database.blind_pairs(run).map_err(failed("read the pairs"))?;
    let mut progress = Progress::default();
    for one in database.review_assigned(run).map_err(failed("read who judges which pairs"))? {
        *progress.assigned.entry(one.reviewer).or_default() += 1;
    }
    for pair in &rows {
        if pair.is_withdrawn() {
            *progress.withdrawn.entry(pair.reviewer.clone()).or_default() += 1;
            continue;
        }
        let (shown, judged) = progress.reviewers.entry(pair.reviewer.clone()).or_default();
        (*shown, *judged) = (*shown + 1, *judged + u64::from(pair.is_judged()));
        if pair.is_open() {
            progress.open.push(Open {
                pair: pair.token.clone(),
                candidate: pair.candidate.clone(),
                reviewer: pair.reviewer.clone(),
                shown_at_us: pair.shown_at_us,
            });
        }
    }
    for (target_idx, target) in results.plan.targets.iter().enumerate().skip(1) {
        let own: Vec<&BlindPairRow> = rows.iter().filter(|pair| pair.candidate == target.name).collect();
        let mut verdicts: BTreeMap<u64, u64> = BTreeMap::new();
        for pair in own.iter().filter(|pair| !pair.is_withdrawn()) {
            *verdicts.entry(pair.case_idx).or_default() += u64::from(pair.is_judged());
        }
        let cases = Queue::of(&results, target_idx, SEED).len() as u64;
        let of_candidate = CandidateProgress {
            cases,
            unseen: cases.saturating_sub(verdicts.len() as u64),
            open: own.iter().filter(|pair| pair.is_open()).count() as u64,
            verdicts: verdicts.values().sum(),
            overlapping: verdicts.values().filter(|n| **n > 1).count() as u64,
            withdrawn: own.iter().filter(|pair| pair.is_withdrawn()).count() as u64,
        };
        progress.candidates.insert(target.name.clone(), of_candidate);
    }
    Ok(progress)
}

/// What all verdicts come to, and what they prove, by candidate.
///
/// # Errors
/// When the actor may not, or there is no such run.
pub fn results(database: &Database, actor: &Actor, run: &str) -> Result<Vec<Reviewed>, OperationError> {
    actor.needs(Role::Operator)?;
    let results = load(database, run)?;
    let shown = database.blind_pairs(run).map_err(failed("read the pairs"))?;
    let assigned = database.review_assigned(run).map_err(failed("read who judges which pairs"))?;
    let mut plans: BTreeMap<String, Assignment> = BTreeMap::new();
    for row in database.review_plans(run).map_err(failed("read the plans"))? {
        let plan = serde_json::from_str(&row.plan_json)
            .map_err(|error| OperationError::Unavailable(format!("the plan of `{run}` cannot be read: {error}")))?;
        plans.insert(row.candidate, plan);
    }
    let of = |target_idx: usize| {
        let plan = plans.get(&results.plan.targets[target_idx].name);
        Reviewed {
            standing: standing(&results, (target_idx, &shown), SEED),
            proof: proof(&results, (target_idx, &shown), (plan, &assigned), SEED),
        }
    };
    Ok((1..results.plan.targets.len()).map(of).collect())
}

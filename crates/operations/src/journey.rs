//! How far a migration is: the phases of the journey, each by what the store holds of it and no more.

use std::collections::BTreeSet;

use govern::Role;
use rollout::Status;
use rollout::policy::Stage;
use serde::Serialize;
use store::{Database, DatabaseError, ExchangeFilter};

use crate::desk::{Desk, OperationError};
use crate::vectors::{self, IndexView, RunStanding, RunView};
use crate::{inventory, keys, leaving, rollouts};

/// What the store holds of a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// What it asks for is there.
    Done,
    /// Something is there, and it is not enough.
    Undecided,
    /// Nothing is there.
    Missing,
}

impl Standing {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Standing::Done => "done",
            Standing::Undecided => "undecided",
            Standing::Missing => "missing",
        }
    }
}

/// One phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Phase {
    /// From 0.
    pub number: u8,
    /// What it is called.
    pub name: &'static str,
    /// What it must answer.
    pub question: &'static str,
    /// How far it is.
    pub standing: Standing,
    /// What there is of it, one line each.
    pub facts: Vec<String>,
    /// What to type next; empty when there is nothing to do.
    pub next: String,
}

/// What a phase comes to before it has its place.
struct Found {
    standing: Standing,
    facts: Vec<String>,
    next: String,
}

/// How many of the newest copies of vectors say how far the knowledge base is.
const RUNS_LOOKED_AT: u32 = 5;

/// Which of them is of knowledge bases.
const KNOWLEDGE: usize = 6;

const PHASES: [(&str, &str); 9] = [
    ("Inventory", "Where is the vendor used, how, by whom, and what would replace it?"),
    ("Connect", "Change one base URL; nothing else in the application changes."),
    ("Prompts and data", "Which prompts carry over, and is quality at parity on our tasks?"),
    ("Capacity and money", "What latency and throughput under load, and what does a successful task cost?"),
    ("Shadow", "The same live requests to both: are the pairs equivalent?"),
    ("Canary to full", "Traffic by share, gated, reversible in milliseconds."),
    ("Knowledge base", "Is retrieval at parity, with the way back kept?"),
    ("Safety and governance", "No critical failures, redacted logs, and who approved what."),
    ("Be able to leave", "Stay, switch or hybridize, with evidence and a rehearsed way back."),
];

/// Every phase, in order.
///
/// # Errors
/// When the store cannot be read.
pub fn phases(database: &Database) -> Result<Vec<Phase>, OperationError> {
    let reading = |source| OperationError::Store { doing: "read how far the migration is", source };
    let all = steps(database)?;
    let found = [
        inventory(database)?,
        connect(database).map_err(reading)?,
        prompts_and_data(database).map_err(reading)?,
        capacity(database).map_err(reading)?,
        shadow(&all),
        serving(&all),
        knowledge(),
        safety(database, &all)?,
        leave(database, &all).map_err(reading)?,
    ];
    let phase = |(number, ((name, question), Found { standing, facts, next }))| Phase {
        number,
        name,
        question,
        standing,
        facts,
        next,
    };
    Ok((0u8..).zip(PHASES.into_iter().zip(found)).map(phase).collect())
}

/// The same of a running gateway, which knows besides how far the indexes move that it serves, and what the journals of copies of vectors say.
///
/// # Errors
/// When the store cannot be read.
pub fn phases_here(desk: &Desk) -> Result<Vec<Phase>, OperationError> {
    let mut phases = phases(&desk.reader())?;
    let moving = match vectors::indexes(desk) {
        Ok(indexes) => moves(&indexes),
        Err(error) => Some(found(
            Standing::Undecided,
            vec![format!("what is written of moves of indexes cannot be read: {error}")],
            "crossfade vectors mode INDEX",
        )),
    };
    let copied = copies(&vectors::runs(desk, (None, RUNS_LOOKED_AT))?);
    let found = match (moving, copied) {
        (Some(moving), Some(copied)) => Some(Found { facts: [moving.facts, copied.facts].concat(), ..moving }),
        (moving, copied) => moving.or(copied),
    };
    if let (Some(phase), Some(Found { standing, facts, next })) = (phases.get_mut(KNOWLEDGE), found) {
        *phase = Phase { standing, facts, next, ..phase.clone() };
    }
    Ok(phases)
}

/// What of a rollout says how far the journey is.
struct Step {
    name: String,
    route: String,
    label: String,
    status: Status,
    stage: Stage,
}

fn steps(database: &Database) -> Result<Vec<Step>, OperationError> {
    let rows = database.load_rollouts().map_err(|source| OperationError::Store { doing: "list rollouts", source })?;
    let step = |row: &store::RolloutRow| {
        let (stored, policy) = rollouts::parse(row)?;
        let (label, stage) = (stored.state.label(&policy), stored.state.stage(&policy));
        Ok(Step { name: row.name.clone(), route: stored.route, label, status: stored.state.status, stage })
    };
    rows.iter().map(step).collect()
}

fn found(standing: Standing, facts: Vec<String>, next: &str) -> Found {
    Found { standing, facts, next: next.to_owned() }
}

/// What was filed of it; findings in files are whoever's asked for them.
fn inventory(database: &Database) -> Result<Found, OperationError> {
    let [found_in_code, matrix] = [inventory::INVENTORY, inventory::MATRIX].map(|kind| inventory::of(database, kind));
    let (found_in_code, matrix) = (found_in_code?, matrix?);
    let fact = |what: &str, row: &Option<store::InventoryRow>| match row {
        Some(row) => format!("{what} of {} is filed, by {}", row.names, row.actor),
        None => format!("no {what} is filed"),
    };
    let facts = vec![fact("inventory", &found_in_code), fact("replacement matrix", &matrix)];
    Ok(match (found_in_code, matrix) {
        (Some(_), Some(_)) => found(Standing::Done, facts, ""),
        (Some(_), None) => found(Standing::Undecided, facts, "crossfade inventory matrix PATH --file"),
        (None, Some(_)) => found(Standing::Undecided, facts, "crossfade inventory PATH --file"),
        (None, None) => found(Standing::Missing, facts, "crossfade inventory PATH --file"),
    })
}

fn connect(database: &Database) -> Result<Found, DatabaseError> {
    let last = database.list(&ExchangeFilter { limit: Some(1), ..ExchangeFilter::default() })?;
    let Some(last) = last.first() else {
        return Ok(found(
            Standing::Missing,
            vec!["no exchange is on record".to_owned()],
            "crossfade serve, and the application's base URL set to its address",
        ));
    };
    let route = last.route.as_deref().unwrap_or("no route");
    Ok(found(Standing::Done, vec![format!("traffic is on record, the last of it on `{route}`")], ""))
}

fn prompts_and_data(database: &Database) -> Result<Found, DatabaseError> {
    let (n_datasets, (n_runs, whole)) = (database.n_datasets()?, database.eval_counts()?);
    let facts = vec![
        format!("{} of datasets", plural_of(n_datasets, "version")),
        format!("{}, {whole} of them answered whole", plural_of(n_runs, "evaluation run")),
    ];
    Ok(match (n_datasets == 0, whole) {
        (_, 1..) => found(Standing::Done, facts, "crossfade eval compare RUN"),
        (false, 0) => found(Standing::Undecided, facts, "crossfade eval run"),
        (true, 0) if n_runs == 0 => found(Standing::Missing, facts, "crossfade dataset import FILE"),
        (true, 0) => found(Standing::Undecided, facts, "crossfade eval run"),
    })
}

fn capacity(database: &Database) -> Result<Found, DatabaseError> {
    let (n_benches, valid) = database.bench_counts()?;
    let facts = vec![
        format!("{}, {valid} of them valid", plural_of(n_benches, "benchmark")),
        "what a task costs is a worksheet in a file; the store holds none".to_owned(),
    ];
    Ok(match (n_benches, valid) {
        (_, 1..) => found(Standing::Undecided, facts, "crossfade tco run FILE"),
        (0, _) => found(Standing::Missing, facts, "crossfade bench run --target NAME"),
        _ => found(Standing::Undecided, facts, "crossfade bench list"),
    })
}

fn shadow(all: &[Step]) -> Found {
    if all.is_empty() {
        return found(
            Standing::Missing,
            vec!["no rollout was ever started".to_owned()],
            "crossfade rollout start NAME",
        );
    }
    let is_past = |step: &&Step| step.status.is_serving() && step.stage != Stage::Shadow;
    let past = all.iter().filter(is_past).count();
    let is_now = |step: &&Step| step.status.is_serving() && step.stage == Stage::Shadow;
    let mut facts: Vec<String> =
        all.iter().filter(is_now).map(|step| format!("`{}` is in shadow", step.name)).collect();
    if past > 0 {
        facts.push(format!("{} left it on evidence or by a person's word", plural(past, "rollout")));
        return found(Standing::Done, facts, "");
    }
    match all.iter().find(is_now) {
        Some(step) => found(Standing::Undecided, facts, &format!("crossfade rollout status {}", step.name)),
        None => found(Standing::Undecided, all.iter().map(line).collect(), "crossfade rollout start NAME"),
    }
}

fn line(step: &Step) -> String {
    format!("`{}`: {}", step.name, step.label)
}

fn serving(all: &[Step]) -> Found {
    let served: Vec<&Step> =
        all.iter().filter(|step| step.stage != Stage::Shadow || !step.status.is_serving()).collect();
    let facts: Vec<String> = served.iter().map(|step| line(step)).collect();
    let status = |step: &Step| format!("crossfade rollout status {}", step.name);
    match served.iter().find(|step| step.status != Status::Completed) {
        None if served.is_empty() => found(Standing::Missing, vec!["the candidate serves nobody yet".to_owned()], ""),
        None => found(Standing::Done, facts, ""),
        Some(open) => found(Standing::Undecided, facts, &status(open)),
    }
}

/// Indexes on their way to another store; nothing where none moves.
fn moves(indexes: &[IndexView]) -> Option<Found> {
    let moving: Vec<_> = indexes.iter().filter_map(|index| Some((index, index.moves.as_ref()?))).collect();
    let facts = moving.iter().map(|(index, moves)| {
        let proof = moves.shadow.as_ref().map_or("no query was asked of both stores", |shadow| shadow.verdict.as_str());
        format!("index `{}`: mode `{}`, {}; retrieval: {proof}", index.name, moves.mode, waiting(moves.n_waiting))
    });
    let facts = facts.collect();
    let (open, _) = moving.iter().find(|(_, moves)| moves.mode != "target").or(moving.first())?;
    let is_done = moving.iter().all(|(_, moves)| moves.mode == "target" && moves.n_refused == 0);
    Some(if is_done {
        found(Standing::Done, facts, "")
    } else {
        found(Standing::Undecided, facts, &format!("crossfade vectors mode {}", open.name))
    })
}

fn waiting(n: u64) -> String {
    if n == 0 { "no change waits".to_owned() } else { format!("{} that wait", plural_of(n, "change")) }
}

/// Before anything is seen of it.
fn knowledge() -> Found {
    found(
        Standing::Missing,
        vec!["no copy of vectors was begun from the directory of this config, and no index moves".to_owned()],
        "crossfade vectors doctor STORE",
    )
}

/// Copies of vectors; nothing where none was begun. Of copies between the same two stores the newest counts.
fn copies(runs: &[RunView]) -> Option<Found> {
    let mut seen = BTreeSet::new();
    let mut facts = Vec::new();
    let mut open = None;
    for run in runs {
        let Ok(standing) = &run.standing else {
            facts.push(format!("the journal in {} cannot be read", run.directory));
            open.get_or_insert_with(|| format!("crossfade vectors {} SOURCE TARGET --run DIR", run.kind));
            continue;
        };
        if !seen.insert((&standing.source, &standing.target)) {
            continue;
        }
        facts.push(copied(&run.kind, standing));
        if !standing.is_proven() {
            open.get_or_insert_with(|| standing.next(&run.kind).unwrap_or_default());
        }
    }
    match open {
        _ if facts.is_empty() => None,
        Some(next) => Some(found(Standing::Undecided, facts, &next)),
        None => {
            facts.push("a copy leaves its source as it was: that is the way back".to_owned());
            Some(found(Standing::Done, facts, ""))
        }
    }
}

fn copied(kind: &str, standing: &RunStanding) -> String {
    let RunStanding { source, target, state, n_rows, n_done, n_aside, .. } = standing;
    let verdict = |kind: &str| standing.proof(kind).map_or("not looked at", |proof| proof.verdict.as_str());
    let aside = if *n_aside > 0 { format!(", {n_aside} put aside") } else { String::new() };
    let proofs = format!("rows: {}; retrieval: {}", verdict("verify"), verdict("eval"));
    format!("{kind} of {source} to {target}: {state}, {n_done} of {n_rows} rows{aside}; {proofs}")
}

fn safety(database: &Database, all: &[Step]) -> Result<Found, OperationError> {
    let reading = |source| OperationError::Store { doing: "read what was filed", source };
    let live = keys::list(database)?.into_iter().filter(|key| key.state == "live").collect::<Vec<_>>();
    let approvers = live.iter().filter(|key| key.role >= Some(Role::Approver)).count();
    let (mut passed, mut failed) = (0, 0);
    for step in all {
        let filed = database.filed(&step.name).map_err(reading)?;
        let suites = filed.iter().filter(|row| row.kind == "suite");
        for row in suites {
            if row.passed { passed += 1 } else { failed += 1 }
        }
    }
    let facts = vec![
        format!("{}, {approvers} of them may approve", plural(live.len(), "live key")),
        format!("{passed} suites were filed as passed, {failed} as failed"),
    ];
    Ok(match (live.is_empty(), passed, failed) {
        (false, 1.., 0) => found(Standing::Done, facts, ""),
        (true, _, _) => found(
            if passed + failed > 0 { Standing::Undecided } else { Standing::Missing },
            facts,
            "crossfade keys create NAME",
        ),
        (false, _, _) => found(Standing::Undecided, facts, "crossfade rollout file NAME"),
    })
}

fn leave(database: &Database, all: &[Step]) -> Result<Found, DatabaseError> {
    let mut facts = Vec::new();
    for step in all {
        if leaving::last(database, &step.route)?.is_some() {
            facts.push(format!("the way back of `{}` was rehearsed", step.route));
        }
    }
    facts.dedup();
    let drilled = !facts.is_empty();
    facts.push("the decision report is a file of whoever asks for it; the store holds none".to_owned());
    let standing = if drilled { Standing::Undecided } else { Standing::Missing };
    Ok(found(standing, facts, "crossfade report --output report"))
}

fn plural(n: usize, one: &str) -> String {
    plural_of(n as u64, one)
}

fn plural_of(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(status: Status, stage: Stage) -> Step {
        Step { name: "r".to_owned(), route: "a".to_owned(), label: status.as_str().to_owned(), status, stage }
    }

    #[test]
    fn nothing_is_done_that_the_store_does_not_say() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(directory.path().join("crossfade.db")).unwrap();
        let phases = phases(&database).unwrap();
        assert_eq!(phases.len(), 9);
        for (number, phase) in (0u8..).zip(&phases) {
            assert_eq!((phase.number, phase.standing), (number, Standing::Missing), "{}", phase.name);
            assert!(!phase.facts.is_empty() && phase.facts.iter().all(|fact| !fact.is_empty()));
        }
    }

    #[test]
    fn an_index_that_moves_is_no_missing_knowledge_base_and_done_once_it_answers_from_its_new_store() {
        let index = |mode: &str, n_refused| IndexView {
            name: "docs".to_owned(),
            source: "old".to_owned(),
            moves: Some(vectors::MoveView {
                target: "new".to_owned(),
                mode: mode.to_owned(),
                answers: "old".to_owned(),
                n_waiting: 2,
                n_refused,
                trouble: None,
                refused: Vec::new(),
                shadow: None,
                events: Vec::new(),
            }),
        };
        let check = |indexes: &[IndexView]| moves(indexes).map(|found| found.standing);
        assert_eq!(check(&[]), None);
        assert_eq!(check(&[IndexView { moves: None, ..index("source", 0) }]), None);
        assert_eq!(check(&[index("target", 0), index("dual-write", 0)]), Some(Standing::Undecided));
        assert_eq!(check(&[index("target", 1)]), Some(Standing::Undecided));
        assert_eq!(check(&[index("target", 0)]), Some(Standing::Done));
        let words = moves(&[index("collect", 0)]).unwrap();
        assert_eq!(
            words.facts,
            ["index `docs`: mode `collect`, 2 changes that wait; retrieval: no query was asked of both stores"]
        );
        assert_eq!((PHASES[KNOWLEDGE].0, words.next.as_str()), ("Knowledge base", "crossfade vectors mode docs"));
    }

    #[test]
    fn a_copy_is_no_missing_knowledge_base_and_done_once_its_rows_and_what_is_found_are_proven() {
        let run = |state: &str, proofs: &[(&str, &str)]| RunView {
            number: 1,
            directory: "/d".to_owned(),
            kind: "copy".to_owned(),
            at_us: 1,
            standing: Ok(RunStanding {
                source: "a".to_owned(),
                target: "b".to_owned(),
                target_at: "b".to_owned(),
                state: state.to_owned(),
                n_rows: 9,
                n_done: 4,
                n_aside: 1,
                partitions: (0, 1),
                digest: String::new(),
                asides: Vec::new(),
                proofs: proofs
                    .iter()
                    .map(|(kind, verdict)| vectors::ProofView {
                        kind: (*kind).to_owned(),
                        at_us: 1,
                        verdict: (*verdict).to_owned(),
                        words: String::new(),
                    })
                    .collect(),
            }),
        };
        assert!(copies(&[]).is_none());
        let check = |runs: &[RunView]| copies(runs).map(|found| (found.standing, found.next));
        assert_eq!(check(&[run("stopped", &[])]), Some((Standing::Undecided, "crossfade vectors copy a b".to_owned())));
        let proven = run("through", &[("verify", "pass"), ("eval", "pass")]);
        assert_eq!(check(&[proven.clone(), run("stopped", &[])]), Some((Standing::Done, String::new())));
        let unread = RunView { standing: Err("gone".to_owned()), ..proven.clone() };
        assert_eq!(check(&[unread, proven]).map(|found| found.0), Some(Standing::Undecided));
        assert_eq!(
            copies(&[run("stopped", &[])]).unwrap().facts,
            ["copy of a to b: stopped, 4 of 9 rows, 1 put aside; rows: not looked at; retrieval: not looked at"]
        );
    }

    #[test]
    fn a_candidate_that_serves_has_left_the_shadow_and_one_that_was_thrown_back_has_not() {
        let check = |status, stage| {
            let all = [step(status, stage)];
            [shadow(&all).standing, serving(&all).standing]
        };
        use Standing::{Done, Missing, Undecided};
        assert_eq!(check(Status::Active, Stage::Shadow), [Undecided, Missing]);
        assert_eq!(check(Status::Paused, Stage::Canary), [Done, Undecided]);
        assert_eq!(check(Status::Completed, Stage::Full), [Done, Done]);
        assert_eq!(check(Status::RolledBack, Stage::Canary), [Undecided, Undecided]);
    }
}

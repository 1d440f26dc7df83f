//! Deciding again: every decision of a rollout recomputed from what the store has of it, and held against what the store says was
//! decided. What is compared is text that is written so that the same text means the same bits.

use std::collections::{BTreeMap, HashMap};

use gateway::control::{StoredState, audit, judged};
use rollout::replay::{Difference, first_difference, form};
use rollout::{Decided, Input, InputPart, Looked, Metric, MetricSet, Outcome, Policy, Replay};
use serde::{Deserialize, Serialize};
use store::{Database, InputsRow, TransitionRow};

use crate::desk::OperationError;
use crate::rollouts::{corrupt, load};

/// What the record of exchanges tells about an answer as well.
const RECORDED: MetricSet = MetricSet::of(&[Metric::Error, Metric::Timeout, Metric::Format, Metric::ToolCall]);
/// So many differences are listed; all of them are counted.
const LISTED: usize = 100;

/// What came of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayVerdict {
    /// Everything came out as it is recorded.
    Equal,
    /// Something did not.
    Different,
    /// Nothing differs, and some of it could not be decided again.
    Incomplete,
}

/// One transition, made again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayedTransition {
    /// The generation it led to.
    pub generation: u64,
    /// When, Unix microseconds.
    pub at_us: u64,
    /// The epoch it happened in.
    pub epoch: u32,
    /// What.
    pub event: String,
    /// Where it stood.
    pub from: String,
    /// Where it stands.
    pub to: String,
    /// Who; `crossfade` for a decision by evidence.
    pub actor: String,
    /// Entries the evidence had counted by then.
    pub inputs: u64,
    /// Whether it came out the same; `None` when it could not be made again.
    pub equal: Option<bool>,
}

/// One row that is not what comes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayDifference {
    /// The row, by table and key.
    pub row: String,
    /// What of it.
    pub what: String,
    /// What the record says.
    pub recorded: String,
    /// What came out now.
    pub recomputed: String,
}

/// A whole rollout, decided again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplayReport {
    /// The rollout.
    pub rollout: String,
    /// What came of it.
    pub verdict: ReplayVerdict,
    /// Every transition.
    pub transitions: Vec<ReplayedTransition>,
    /// Savings of evidence, at each of which it was decided whether to stay: those that came out the same.
    pub looks_equal: u64,
    /// Those that did not.
    pub looks_different: u64,
    /// Entries counted again.
    pub inputs: u64,
    /// Outcomes that were held against the exchange they are of.
    pub outcomes_checked: u64,
    /// How many rows differ.
    pub n_differences: u64,
    /// The first hundred of them.
    pub differences: Vec<ReplayDifference>,
    /// What could not be decided again, and why.
    pub missing: Vec<String>,
    /// What is not decided again because its time was over and it was deleted, as the audit says.
    #[serde(default)]
    pub pruned: Vec<String>,
}

/// Decides everything again. `progress` is told how many entries have been counted.
///
/// # Errors
/// When there is no such rollout, or the store cannot be read.
pub fn replay(database: &Database, name: &str, progress: &mut dyn FnMut(u64)) -> Result<ReplayReport, OperationError> {
    let reading = |source| OperationError::Store { doing: "read the record", source };
    database.at_one_moment(|database| Work::new(database, name, progress)?.run()).map_err(reading)?
}

struct Work<'a> {
    database: &'a Database,
    name: &'a str,
    progress: &'a mut dyn FnMut(u64),
    replay: Replay,
    report: ReplayReport,
    /// Outcomes of the epoch under way by when they were admitted and by unit: what they were observed and bad on.
    outcomes: HashMap<(u64, u64), (MetricSet, MetricSet)>,
    /// Whether the epoch under way has been counted from its first entry.
    whole: bool,
    /// By epoch, the entries that were deleted because their time was over: those before this one.
    pruned: BTreeMap<u32, u64>,
}

impl<'a> Work<'a> {
    fn new(database: &'a Database, name: &'a str, progress: &'a mut dyn FnMut(u64)) -> Result<Self, OperationError> {
        load(database, name)?;
        let report = ReplayReport {
            rollout: name.to_owned(),
            verdict: ReplayVerdict::Equal,
            transitions: Vec::new(),
            looks_equal: 0,
            looks_different: 0,
            inputs: 0,
            outcomes_checked: 0,
            n_differences: 0,
            differences: Vec::new(),
            missing: Vec::new(),
            pruned: Vec::new(),
        };
        let (replay, outcomes) = (Replay::default(), HashMap::new());
        let reading = |source| OperationError::Store { doing: "read what was pruned", source };
        let pruned = database.pruned_inputs(name).map_err(reading)?;
        Ok(Self { database, name, progress, replay, report, outcomes, whole: true, pruned })
    }

    fn run(mut self) -> Result<ReplayReport, OperationError> {
        let transitions = self.read("read the history", |database, name| database.transitions(Some(name)))?;
        let decisions = self.read("read the decisions", Database::decisions)?;
        let mut decisions: BTreeMap<u64, String> = decisions.into_iter().collect();
        for row in &transitions {
            let json = decisions.remove(&row.generation);
            let equal = self.transition(row, json.as_deref())?;
            self.report.transitions.push(ReplayedTransition {
                generation: row.generation,
                at_us: row.at_us,
                epoch: row.epoch,
                event: row.event.clone(),
                from: row.from.clone(),
                to: row.to.clone(),
                actor: row.actor.clone(),
                inputs: self.report.inputs,
                equal,
            });
        }
        for generation in decisions.into_keys() {
            self.differs(
                "transitions",
                &generation.to_string(),
                "row",
                "none",
                "one for the decision of that generation",
            );
        }
        self.end()?;
        let report = &mut self.report;
        report.verdict = match (report.n_differences, report.missing.is_empty()) {
            (0, true) => ReplayVerdict::Equal,
            (0, false) => ReplayVerdict::Incomplete,
            _ => ReplayVerdict::Different,
        };
        Ok(self.report)
    }

    /// Makes one transition again; `None` when its record does not allow that.
    fn transition(&mut self, row: &TransitionRow, json: Option<&str>) -> Result<Option<bool>, OperationError> {
        let key = row.generation.to_string();
        let Some(json) = json else {
            self.lacks(format!("transition {key} ({}): what it was made of is not recorded", row.event));
            self.forget();
            return Ok(None);
        };
        let decided: Decided = match serde_json::from_str(json) {
            Ok(decided) => decided,
            Err(error) => {
                self.differs("decisions", &key, "json", json, &format!("something that can be read: {error}"));
                self.forget();
                return Ok(Some(false));
            }
        };
        if decided.form != form() {
            self.lacks(format!("transition {key} ({}): recorded by another version of the program", row.event));
            self.forget();
            return Ok(None);
        }
        let before = self.report.n_differences;
        let epoch = decided.state.epoch;
        self.count_up_to(epoch, decided.position)?;
        let leaves = row.epoch != epoch;
        if !self.whole {
            // What the epoch came to is in the store, what it had come to in between is not.
            if !leaves {
                return Ok(None);
            }
            let saved = self.read("read the evidence", |database, name| database.load_evidence(name, epoch))?;
            let evidence = saved.and_then(|row| serde_json::from_str(&row.json).ok());
            self.replay.take_up(decided.policy.clone(), decided.state.clone(), evidence, decided.position);
        } else if leaves && decided.state.generation > 0 {
            self.end_of_epoch(epoch)?;
        }
        match self.replay.transition(&decided) {
            Ok(redone) => {
                self.report_all("decisions", &key, redone.differences);
                self.compare_audit(&key, row, &audit(&redone.transition));
            }
            Err(refused) => {
                self.differs("decisions", &key, "event", &row.event, &format!("refused: {refused}"));
                self.forget();
            }
        }
        if leaves && self.replay.state().is_some() {
            self.whole = true;
        }
        Ok(Some(self.report.n_differences == before))
    }

    /// Counts the entries of an epoch up to `position`, or all there are.
    fn count_up_to(&mut self, epoch: u32, position: Option<u64>) -> Result<(), OperationError> {
        let until = self.pruned.get(&epoch).copied().filter(|until| *until > self.replay.n_inputs());
        if let Some(until) = until.filter(|_| self.whole && self.replay.evidence().is_some()) {
            let said = format!("the first {until} entries of epoch {epoch} were deleted when their time was over");
            if !self.report.pruned.contains(&said) {
                self.report.pruned.push(said);
            }
            self.forget();
            return Ok(());
        }
        while self.whole
            && self.replay.evidence().is_some()
            && position.is_none_or(|position| self.replay.n_inputs() < position)
        {
            let from = self.replay.n_inputs();
            let next = self.read("read what was counted", |database, name| database.next_inputs(name, epoch, from))?;
            let Some(part) = next.filter(|part| position.is_none_or(|position| part.first < position)) else { break };
            self.count(epoch, from, &part);
        }
        let reached = self.replay.n_inputs();
        if let Some(position) = position.filter(|position| self.whole && *position > reached) {
            self.gap(epoch, reached, position);
        }
        Ok(())
    }

    fn count(&mut self, epoch: u32, from: u64, row: &InputsRow) {
        let key = format!("epoch {epoch} from entry {}", row.first);
        if row.first > from {
            self.gap(epoch, from, row.first);
            return;
        }
        let parsed = InputPart::from_lines(row.first, &row.lines);
        let looked = serde_json::from_str::<Looked>(&row.looked_json);
        let (part, looked) = match (parsed, looked) {
            (Ok(part), Ok(looked)) => (part, looked),
            (Err(error), _) | (_, Err(error)) => {
                self.differs("inputs", &key, "data", "something else", &format!("what can be read: {error}"));
                self.forget();
                return;
            }
        };
        if part.inputs.len() as u64 != row.n {
            self.differs("inputs", &key, "n", &row.n.to_string(), &part.inputs.len().to_string());
        }
        self.note_outcomes(&part);
        let differences = self.replay.count(&part, &looked);
        self.report.inputs += row.n;
        (self.progress)(self.report.inputs);
        if looked.form != form() {
            let version = format!("entries of epoch {epoch}: recorded by another version of the program");
            if self.report.missing.last() != Some(&version) {
                self.lacks(version);
            }
            return;
        }
        if differences.is_empty() {
            self.report.looks_equal += 1;
        } else {
            self.report.looks_different += 1;
        }
        self.report_all("inputs", &key, differences);
    }

    /// Entries are missing: what the evidence came to before the epoch's end cannot be known.
    fn gap(&mut self, epoch: u32, from: u64, to: u64) {
        self.lacks(format!("entries {from} to {} of epoch {epoch} are not in the record", to.saturating_sub(1)));
        self.forget();
    }

    /// An epoch's evidence is complete: is it the one that was saved, and are its outcomes those of the exchanges?
    fn end_of_epoch(&mut self, epoch: u32) -> Result<(), OperationError> {
        self.compare_evidence(epoch)?;
        self.check_outcomes(epoch)
    }

    fn compare_evidence(&mut self, epoch: u32) -> Result<(), OperationError> {
        let Some(evidence) = self.replay.evidence() else { return Ok(()) };
        let recomputed = text(evidence);
        let saved = self.read("read the evidence", |database, name| database.load_evidence(name, epoch))?;
        let key = format!("epoch {epoch}");
        match saved {
            Some(row) => {
                if let Some(Difference { what, recorded, recomputed }) = first_difference(&row.json, &recomputed) {
                    self.differs("evidence", &key, &what, &recorded, &recomputed);
                }
            }
            None => self.differs("evidence", &key, "row", "none", "the epoch's evidence"),
        }
        Ok(())
    }

    fn note_outcomes(&mut self, part: &InputPart) {
        let outcomes = part.inputs.iter().filter_map(|input| match input {
            Input::Outcome(outcome) => Some(outcome),
            _ => None,
        });
        for Outcome { unit, admitted_at, observed, bad, .. } in outcomes {
            let (all, worst) = self.outcomes.entry((admitted_at.0, *unit)).or_default();
            (*all, *worst) = (all.or(*observed), worst.or(*bad));
        }
    }

    /// Each outcome that the evidence counted against the exchange it is of, where the exchange is in the store.
    fn check_outcomes(&mut self, epoch: u32) -> Result<(), OperationError> {
        let counted = std::mem::take(&mut self.outcomes);
        let rows = self.read("read the exchanges", |database, name| database.epoch_outcomes(name, epoch, 0))?;
        let mut at_once: HashMap<(u64, u64), u32> = HashMap::new();
        for row in &rows {
            *at_once.entry((row.received_at_us, row.unit)).or_default() += 1;
        }
        for row in &rows {
            let key = (row.received_at_us, row.unit);
            let (Some((observed, bad)), Some((seen, recorded))) = (counted.get(&key), judged(row)) else { continue };
            if at_once.get(&key) != Some(&1) {
                continue;
            }
            self.report.outcomes_checked += 1;
            // An older record does not say who declined: what it does not know it does not deny.
            let told = if seen.contains(Metric::Refusal) { RECORDED.with(Metric::Refusal) } else { RECORDED };
            let (recorded, bad) = (recorded.and(told).and(*observed), bad.and(told));
            if recorded != bad {
                let words = |set: MetricSet| {
                    let names: Vec<&str> = set.iter().map(Metric::as_str).collect();
                    if names.is_empty() { "good".to_owned() } else { format!("bad on {}", names.join(", ")) }
                };
                self.differs("exchanges", &row.exchange.to_string(), "outcome", &words(recorded), &words(bad));
            }
        }
        Ok(())
    }

    /// After the last transition: the rest of the evidence, and where the rollout stands.
    fn end(&mut self) -> Result<(), OperationError> {
        let Some(epoch) = self.replay.state().map(|state| state.epoch) else { return Ok(()) };
        self.count_up_to(epoch, None)?;
        self.end_of_epoch(epoch)?;
        let row = load(self.database, self.name)?;
        let stored: StoredState = serde_json::from_str(&row.state_json).map_err(|error| corrupt(self.name, &error))?;
        let policy: Policy = serde_json::from_str(&row.policy_json).map_err(|error| corrupt(self.name, &error))?;
        let (Some(state), Some(under)) = (self.replay.state(), self.replay.policy()) else { return Ok(()) };
        let pairs = [("state_json", text(&stored.state), text(state)), ("policy_json", text(&policy), text(under))];
        let generation = state.generation;
        for (what, recorded, recomputed) in pairs {
            if let Some(difference) = first_difference(&recorded, &recomputed) {
                let what = format!("{what} {}", difference.what);
                self.differs("rollouts", self.name, &what, &difference.recorded, &difference.recomputed);
            }
        }
        if row.generation != generation {
            self.differs("rollouts", self.name, "generation", &row.generation.to_string(), &generation.to_string());
        }
        Ok(())
    }

    fn compare_audit(&mut self, key: &str, row: &TransitionRow, again: &TransitionRow) {
        if let Some(difference) = first_difference(&text(row), &text(again)) {
            let inner = if difference.what == "/evidence_json" {
                first_difference(&row.evidence_json, &again.evidence_json)
            } else {
                None
            };
            let (what, difference) = match inner {
                Some(inner) => (format!("evidence_json {}", inner.what), inner),
                None => (difference.what.trim_start_matches('/').to_owned(), difference),
            };
            self.differs("transitions", key, &what, &difference.recorded, &difference.recomputed);
        }
    }

    /// From here on nothing can be decided again until the record says where the rollout stands.
    fn forget(&mut self) {
        self.replay = Replay::default();
        self.outcomes.clear();
        self.whole = false;
    }

    fn report_all(&mut self, table: &str, key: &str, differences: Vec<Difference>) {
        for Difference { what, recorded, recomputed } in differences {
            self.differs(table, key, &what, &recorded, &recomputed);
        }
    }

    fn differs(&mut self, table: &str, key: &str, what: &str, recorded: &str, recomputed: &str) {
        self.report.n_differences += 1;
        if self.report.differences.len() < LISTED {
            self.report.differences.push(ReplayDifference {
                row: format!("{table} {key}"),
                what: what.to_owned(),
                recorded: recorded.to_owned(),
                recomputed: recomputed.to_owned(),
            });
        }
    }

    fn lacks(&mut self, what: String) {
        self.report.missing.push(what);
    }

    fn read<T>(
        &self,
        doing: &'static str,
        ask: impl FnOnce(&Database, &str) -> Result<T, store::DatabaseError>,
    ) -> Result<T, OperationError> {
        ask(self.database, self.name).map_err(|source| OperationError::Store { doing, source })
    }
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

//! Rollouts: read from the store, whether a gateway runs or not; changed through the controller of the one that runs.

use std::time::Duration;

use alerts::probe::Finding;
use gateway::control::{ControlError, StoredState, Verb};
use gateway::detour::DetourReport;
use gateway::drill::DrillReport;
use govern::Role;
use rollout::transition::DECIDED;
use rollout::{Evidence, Explanation, FiledKind, Health, Policy, Timestamp, Transition, Why};
use serde::{Deserialize, Serialize};
use store::{ArmCost, AuditRow, Beside, Database, DatabaseError, FiledRow, ProbeRow, RolloutRow, WebhookState};

use crate::desk::{Actor, Desk, OperationError};
use crate::judge::JudgeView;
use crate::leaving;

/// How many of the last transitions a status shows.
const LAST_TRANSITIONS: usize = 5;
/// So soon after it went on by itself, a promotion is a misunderstanding.
const JUST_NOW: Duration = Duration::from_secs(60);
/// The longest name or digest of a filed result, bytes.
const LONGEST_NAME: usize = 256;

pub use rollout::bands::TimeBand;
pub use rollout::explain::{ArmView, GuardKind, Verdict};
pub use rollout::{Arm, Status};
pub use stats::sketch::Quantiles;
pub use store::TransitionRow;

/// A rollout in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutLine {
    /// Its name.
    pub name: String,
    /// The route it splits.
    pub route: String,
    /// Where it stands, such as `canary 5 %`.
    pub label: String,
    /// Its status.
    pub status: rollout::Status,
    /// The candidate's share, 0..1.
    pub share: f64,
    /// The target in production today.
    pub baseline: String,
    /// The target on trial.
    pub candidate: String,
    /// Whether the route itself asks the candidate now, whatever its share. Only the running gateway knows.
    #[serde(default)]
    pub candidate_is_target: bool,
    /// When it came to where it stands, Unix microseconds.
    #[serde(default)]
    pub since_us: Option<u64>,
    /// Why it came there.
    #[serde(default)]
    pub because: String,
}

impl RolloutLine {
    /// Whether its share does not say who is on the candidate: nothing is split, and the config's route asks it itself.
    #[must_use]
    pub fn is_asked_anyway(&self) -> bool {
        self.candidate_is_target && self.share <= 0.0
    }
}

/// A rollout on one page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutView {
    /// Its name.
    pub name: String,
    /// The route it splits.
    pub route: String,
    /// Whether either target is simulated: then none of the numbers is about a real model.
    pub simulated: bool,
    /// Where it stands, such as `canary 5 %`.
    pub label: String,
    /// One higher with every transition.
    pub generation: u64,
    /// Who started it.
    pub author: String,
    /// Hash of the policy it runs under.
    pub policy_hash: String,
    /// When the evidence was saved last, Unix microseconds; `None` before any.
    pub evidence_saved_at_us: Option<u64>,
    /// Whether it is done: completed and out of the config, so that it splits nothing. Only the running gateway knows.
    #[serde(default)]
    pub taken_over: bool,
    /// Whether the route itself asks the candidate now, whatever became of the rollout. Only the running gateway knows.
    #[serde(default)]
    pub candidate_is_target: bool,
    /// Numbers and words about the epoch it is in.
    pub explanation: Explanation,
    /// What each arm cost in it.
    #[serde(default)]
    pub costs: ArmCosts,
    /// The last transitions, newest first.
    pub transitions: Vec<TransitionRow>,
    /// Whether the baseline could take all traffic back, as the last probe found.
    #[serde(default)]
    pub probe: Option<ProbeView>,
    /// How the webhooks stand that people are told by.
    #[serde(default)]
    pub webhooks: Vec<WebhookState>,
    /// What would change where it stands.
    #[serde(default)]
    pub why: Why,
    /// The candidate takes no calls now; `None` without a running gateway too, which alone knows.
    #[serde(default)]
    pub down: Option<CandidateDown>,
    /// What was found when its gates were read anew after it was completed: when, in Unix microseconds, and in words.
    #[serde(default)]
    pub revalidated: Option<(u64, String)>,
    /// The drill that is on, which the running gateway alone knows of.
    #[serde(default)]
    pub drill: Option<DrillReport>,
    /// The exit drill of its route that is under way, which the running gateway alone knows of; else the last one that is over.
    #[serde(default)]
    pub exit_drill: Option<DetourReport>,
    /// The model that judges its pairs, and how far it agrees with people; the config says which.
    #[serde(default)]
    pub judge: Option<JudgeView>,
}

/// Why the candidate takes no calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateDown {
    /// When its breaker opened, Unix microseconds.
    pub since_us: u64,
    /// The kind of the last failure before that.
    pub kind: String,
    /// What that failure said, in short.
    pub words: String,
    /// Whether no request gets there at all.
    pub unreachable: bool,
}

/// What the last probe of a baseline found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeView {
    /// When, Unix microseconds.
    pub at_us: u64,
    /// What.
    #[serde(flatten)]
    pub finding: Finding,
}

/// What the arms of a rollout cost in its epoch, as far as it is in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmCosts {
    /// Of the baseline.
    pub baseline: ArmCost,
    /// Of the candidate, copies included.
    pub candidate: ArmCost,
}

/// Every rollout in the store, by name.
///
/// # Errors
/// When the store cannot be read.
pub fn list(database: &Database) -> Result<Vec<RolloutLine>, OperationError> {
    let rows = database.load_rollouts().map_err(|source| OperationError::Store { doing: "list rollouts", source })?;
    rows.iter()
        .map(|row| {
            let (stored, policy) = parse(row)?;
            let reading = |source| OperationError::Store { doing: "read the rollout's last change", source };
            let last = database.last_transitions(&row.name, 1).map_err(reading)?.pop();
            Ok(RolloutLine {
                since_us: last.as_ref().map(|last| last.at_us),
                because: last.map(|last| last.reason).unwrap_or_default(),
                name: row.name.clone(),
                route: stored.route,
                label: if stored.released {
                    "completed, out of the config".to_owned()
                } else {
                    stored.state.label(&policy)
                },
                status: stored.state.status,
                share: if stored.released { 0.0 } else { stored.state.share(&policy) },
                baseline: stored.state.baseline,
                candidate: stored.state.candidate,
                candidate_is_target: false,
            })
        })
        .collect()
}

/// The same with what only the running gateway knows: whom its routes ask.
///
/// # Errors
/// As [`list`].
pub fn list_now(desk: &Desk) -> Result<Vec<RolloutLine>, OperationError> {
    let mut lines = list(&desk.reader())?;
    let config = (desk.resolved)();
    lines.iter_mut().for_each(|line| line.candidate_is_target = is_target(&config, &line.route, &line.candidate));
    Ok(lines)
}

fn is_target(config: &serde_json::Value, route: &str, candidate: &str) -> bool {
    config["routes"][route]["target"] == *candidate
}

/// One rollout as the store has it: at most half a second behind a running gateway.
///
/// # Errors
/// When there is no such rollout, or the store cannot be read.
pub fn status(database: &Database, name: &str) -> Result<RolloutView, OperationError> {
    view(database, name, None, |_, _| None)
}

/// The same with what only the running gateway knows: whether the candidate takes calls.
///
/// # Errors
/// As [`status`].
pub fn status_now(desk: &Desk, name: &str) -> Result<RolloutView, OperationError> {
    now_of(desk, name, None)
}

/// The same with the evidence as it stands in memory this moment, where the rollout is live.
///
/// # Errors
/// As [`status`].
pub fn status_live(desk: &Desk, name: &str) -> Result<RolloutView, OperationError> {
    let live = desk.live.all().into_iter().find(|live| live.identity.name == name);
    now_of(desk, name, live.map(|live| live.evidence()))
}

fn now_of(desk: &Desk, name: &str, evidence: Option<Evidence>) -> Result<RolloutView, OperationError> {
    let trouble = |candidate: &str, shadowing: bool| (desk.trouble)(candidate, shadowing);
    let view = view(&desk.reader(), name, evidence, trouble)?;
    let judge = (desk.judge)(name);
    let exit_drill = leaving::under_way(desk, &view.route).or_else(|| view.exit_drill.clone());
    let drill = crate::drills::under_way(desk, name);
    // What is completed splits its route until the config has let it go.
    let splits = desk.live.all().iter().any(|live| live.identity.name == name);
    let taken_over = view.explanation.status == Status::Completed && !splits;
    let candidate_is_target = is_target(&(desk.resolved)(), &view.route, &view.explanation.candidate);
    Ok(RolloutView { drill, exit_drill, judge, taken_over, candidate_is_target, ..view })
}

fn view(
    database: &Database,
    name: &str,
    live: Option<Evidence>,
    trouble: impl FnOnce(&str, bool) -> Option<providers::Trouble>,
) -> Result<RolloutView, OperationError> {
    let row = load(database, name)?;
    let (stored, policy) = parse(&row)?;
    let reading = |source| OperationError::Store { doing: "read the rollout's evidence", source };
    let saved = database.load_evidence(name, stored.state.epoch).map_err(reading)?;
    // An epoch that is over, or not committed yet, is not the one that the state is in.
    let live = live.filter(|evidence| evidence.epoch() == stored.state.epoch && stored.state.status.is_serving());
    let evidence: Evidence = match (live, &saved) {
        (Some(live), _) => live,
        (None, Some(saved)) => serde_json::from_str(&saved.json).map_err(|error| corrupt(name, &error))?,
        (None, None) => Evidence::begin(&policy, &stored.state, None),
    };
    let transitions = database.last_transitions(name, LAST_TRANSITIONS).map_err(reading)?;
    let cost = |arm| database.arm_cost(name, stored.state.epoch, arm).map_err(reading);
    let costs = ArmCosts { baseline: cost("baseline")?, candidate: cost("candidate")? };
    let filed = database.filed(name).map_err(reading)?.iter().filter_map(gateway::control::filed).collect();
    let down = trouble(&stored.state.candidate, stored.state.share(&policy) <= 0.0)
        .filter(|_| stored.state.status.is_serving())
        .map(down);
    let health = Health { filed, candidate_breaker_open: down.is_some(), ..Health::default() };
    let now = if stored.state.status.is_serving() { now() } else { stored.state.epoch_started };
    let kinds = [alerts::Kind::Revalidated.as_str(), alerts::Kind::NotRevalidated.as_str()];
    let revalidated = database.last_alert(&kinds, name).map_err(reading)?;
    let explanation = rollout::explain(&policy, &stored.state, &evidence, &health, now);
    Ok(RolloutView {
        name: row.name.clone(),
        exit_drill: leaving::last(database, &stored.route).map_err(reading)?,
        route: stored.route,
        simulated: stored.simulated,
        label: stored.state.label(&policy),
        generation: row.generation,
        author: stored.state.author.clone(),
        policy_hash: stored.state.policy_hash.clone(),
        evidence_saved_at_us: saved.map(|saved| saved.updated_at_us),
        costs,
        taken_over: false,
        candidate_is_target: false,
        probe: probe(database, name).map_err(reading)?,
        webhooks: database.webhook_states().map_err(reading)?,
        why: Why::of(&explanation, &evidence),
        revalidated: revalidated.map(|alert| (alert.at_us, alert.words)),
        explanation,
        transitions,
        down,
        drill: None,
        judge: None,
    })
}

fn down(trouble: providers::Trouble) -> CandidateDown {
    let since = trouble.since.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    CandidateDown {
        since_us: u64::try_from(since.as_micros()).unwrap_or(u64::MAX),
        kind: trouble.kind.as_str().to_owned(),
        words: trouble.words(),
        unreachable: trouble.is_unreachable(),
    }
}

/// A target of the config, and why it takes no calls where it takes none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetView {
    /// Its name.
    pub name: String,
    /// Why callers are not served by it now.
    pub down: Option<CandidateDown>,
    /// Why it gets no copies now.
    pub down_for_copies: Option<CandidateDown>,
}

/// Every target of the config in force, by name.
#[must_use]
pub fn targets(desk: &Desk) -> Vec<TargetView> {
    let config = (desk.resolved)();
    let names = config["targets"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let view = |name: String| TargetView {
        down: (desk.trouble)(&name, false).map(down),
        down_for_copies: (desk.trouble)(&name, true).map(down),
        name,
    };
    names.map(view).collect()
}

/// The last reading; one that an older version wrote otherwise is none.
fn probe(database: &Database, name: &str) -> Result<Option<ProbeView>, DatabaseError> {
    let row = database.probes(name, 1)?.pop();
    let view = |row: ProbeRow| Some(ProbeView { at_us: row.at_us, finding: serde_json::from_str(&row.json).ok()? });
    Ok(row.and_then(view))
}

/// Every transition of a rollout and every drill that was filed for it, oldest first.
///
/// # Errors
/// When there is no such rollout, or the store cannot be read.
pub fn history(database: &Database, name: &str) -> Result<Vec<TransitionRow>, OperationError> {
    load(database, name)?;
    let reading = |source| OperationError::Store { doing: "read the history", source };
    let mut rows = database.transitions(Some(name)).map_err(reading)?;
    rows.extend(crate::drills::rows(database, name, &rows)?);
    rows.sort_by_key(|row| row.at_us);
    Ok(rows)
}

/// Carries out `verb` (`start`, `promote`, `approve`, `pause`, `abort`, `resume`, `extend`, `accept`) through the controller.
///
/// # Errors
/// When the verb or the rollout does not exist, the actor may not, the state does not allow it, or the store refuses.
pub fn change(desk: &Desk, actor: &Actor, name: &str, verb: &str, reason: &str) -> Result<Transition, OperationError> {
    let verb = Verb::parse(verb).ok_or_else(|| OperationError::NotFound(format!("there is no verb `{verb}`")))?;
    actor.needs(match verb {
        Verb::Approve | Verb::Promote | Verb::Accept => Role::Approver,
        Verb::Start | Verb::Pause | Verb::Abort | Verb::Resume | Verb::Extend => Role::Operator,
    })?;
    if let Some(why) = (verb == Verb::Promote).then(|| went_on_just_now(desk, name)).flatten() {
        return Err(OperationError::Refused(why));
    }
    desk.control.command(verb, name, &actor.name, reason).map_err(|error| match error {
        ControlError::Unknown(_) if verb != Verb::Start => not_started(name),
        ControlError::Refused(why) if verb == Verb::Approve => OperationError::Refused(not_yet(desk, name, why)),
        error => error.into(),
    })
}

/// The rollouts of the config in force, started or not.
#[must_use]
pub fn planned(desk: &Desk) -> Vec<String> {
    let config = (desk.resolved)();
    config["rollouts"].as_object().map(|all| all.keys().cloned().collect()).unwrap_or_default()
}

/// Whether the config in force has this rollout.
#[must_use]
pub fn is_planned(desk: &Desk, name: &str) -> bool {
    (desk.resolved)()["rollouts"].get(name).is_some()
}

/// What names the evidence that a transition rests on.
#[must_use]
pub fn evidence_hash(row: &TransitionRow) -> String {
    rollout::transition::hash_of(&row.evidence_json)
}

/// What an approval is to be given on: the evidence with which every gate passed, and its hash. `None` unless the rollout waits for approval.
///
/// # Errors
/// When there is no such rollout, or the store cannot be read.
pub fn to_approve(database: &Database, name: &str) -> Result<Option<(TransitionRow, String)>, OperationError> {
    let (stored, _) = parse(&load(database, name)?)?;
    if stored.state.status != Status::AwaitingApproval {
        return Ok(None);
    }
    let reading = |source| OperationError::Store { doing: "read the history", source };
    let rows = database.transitions(Some(name)).map_err(reading)?;
    let asked = rows.into_iter().rfind(|row| row.event == "await_approval" && row.epoch == stored.state.epoch);
    Ok(asked.map(|row| {
        let hash = rollout::transition::hash_of(&row.evidence_json);
        (row, hash)
    }))
}

/// Approves what was shown, and nothing that came after it: `hash` names the evidence that whoever approves has looked at.
///
/// # Errors
/// As [`change`], and when other evidence, or none, waits for approval now.
pub fn approve_shown(
    desk: &Desk,
    actor: &Actor,
    name: &str,
    (hash, reason): (&str, &str),
) -> Result<Transition, OperationError> {
    actor.needs(Role::Approver)?;
    let asked = to_approve(&desk.reader(), name)?;
    match asked {
        Some((_, waits)) if waits == hash => change(desk, actor, name, "approve", reason),
        Some(_) => Err(OperationError::Refused(
            "other evidence waits for approval now than you were shown; look at it first".to_owned(),
        )),
        None => change(desk, actor, name, "approve", reason),
    }
}

/// A result to file for a rollout.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRequest {
    /// Who files it; recorded where no key says so.
    #[serde(default)]
    pub actor: Option<String>,
    /// `suite`, `drill`, `review` or `other`.
    pub kind: String,
    /// Which suite, drill or review.
    pub name: String,
    /// Whether it was a pass.
    pub passed: bool,
    /// What tells which report it comes from: its SHA-256, as a rule.
    pub digest: String,
    /// How many cases it covered.
    #[serde(default)]
    pub n: u64,
    /// When it was found, Unix microseconds; now if `None`.
    #[serde(default)]
    pub at_us: Option<u64>,
    /// What there is to say of it.
    #[serde(default)]
    pub reason: String,
}

/// Files a result for a rollout, for its gates to ask for. It is never changed: the latest of a kind and name counts.
///
/// # Errors
/// When the actor may not, there is no such rollout or kind, something is missing, or the store refuses.
pub fn file(database: &Database, actor: &Actor, name: &str, request: &FileRequest) -> Result<FiledRow, OperationError> {
    actor.needs(Role::Operator)?;
    load(database, name)?;
    let FileRequest { kind, name: which, digest, .. } = request;
    let Some(kind) = FiledKind::named(kind) else {
        let kinds = FiledKind::ALL.map(FiledKind::as_str).join(", ");
        return Err(OperationError::Invalid(format!("`{kind}` is no kind of result: {kinds}")));
    };
    for (what, text) in [("name", which), ("digest", digest)] {
        if text.trim().is_empty() || text.len() > LONGEST_NAME {
            return Err(OperationError::Invalid(format!("a result needs a {what} of at most {LONGEST_NAME} bytes")));
        }
    }
    let filed_at_us = now().0;
    let at_us = request.at_us.unwrap_or(filed_at_us);
    if at_us > filed_at_us {
        return Err(OperationError::Invalid("a result cannot be of the future".to_owned()));
    }
    let row = FiledRow {
        rollout: name.to_owned(),
        kind: kind.as_str().to_owned(),
        name: which.trim().to_owned(),
        passed: request.passed,
        at_us,
        digest: digest.trim().to_owned(),
        n: request.n,
        filed_at_us,
        actor: actor.name.clone(),
        note: request.reason.trim().to_owned(),
        fingerprint: None,
    };
    let audit = AuditRow {
        at_us: filed_at_us,
        actor: actor.name.clone(),
        action: "rollout.file".to_owned(),
        subject: format!("rollout:{name}"),
        reason: row.note.clone(),
        detail_json: serde_json::to_string(&row).map_err(|error| corrupt(name, &error))?,
    };
    database.file_result(&row, &audit).map_err(|source| OperationError::Store { doing: "file the result", source })?;
    Ok(row)
}

/// What was filed for a rollout, newest first.
///
/// # Errors
/// When there is no such rollout, or the store cannot be read.
pub fn filed(database: &Database, name: &str) -> Result<Vec<FiledRow>, OperationError> {
    load(database, name)?;
    database.filed(name).map_err(|source| OperationError::Store { doing: "read what was filed", source })
}

/// Why nothing can be approved yet: what the step still waits for, and what to do next.
fn not_yet(desk: &Desk, name: &str, why: String) -> String {
    let Ok(view) = status(&desk.reader(), name) else { return why };
    if view.explanation.status != Status::Active {
        return why;
    }
    let missing = view.explanation.missing.join("; ");
    let missing = if missing.is_empty() { "nothing, and is about to ask".to_owned() } else { missing };
    let need = match view.explanation.approvals_needed {
        0 => "it goes on by itself then, without approval".to_owned(),
        need => format!("it asks for approval then ({need} needed)"),
    };
    format!(
        "{why}: it waits for {missing}; {need}. Nothing is lost: it goes on counting as before, and nothing was approved or undone"
    )
}

/// With the last approval a rollout goes on by itself. Who promotes right after it means the step that it has left already, and would skip
/// the gates of the next one.
fn went_on_just_now(desk: &Desk, name: &str) -> Option<String> {
    let rows = desk.reader().transitions(Some(name)).ok()?;
    let [.., approved, went_on] = rows.as_slice() else { return None };
    let ago = now().since(Timestamp(went_on.at_us));
    let is_it = approved.event == "approve" && went_on.event == "promote" && went_on.actor == DECIDED;
    (is_it && ago < JUST_NOW).then(|| {
        format!(
            "with the last approval it went on by itself to {}, {} s ago: `promote` would skip that step; where that is meant, wait until it \
             has been there for {} s",
            went_on.to,
            ago.as_secs(),
            JUST_NOW.as_secs()
        )
    })
}

/// Aborts a rollout in the store alone. Only for when no gateway runs: the caller holds the lease.
///
/// # Errors
/// When there is no such rollout, its state does not allow it, or the store refuses.
pub fn abort_stored(
    database: &Database,
    actor: &Actor,
    name: &str,
    reason: &str,
) -> Result<Transition, OperationError> {
    actor.needs(Role::Operator)?;
    let row = load(database, name)?;
    let (stored, policy) = parse(&row)?;
    let event = rollout::Event::Abort { actor: actor.name.clone(), reason: reason.to_owned() };
    let at = now();
    let (state, transition) = rollout::apply(&policy, &stored.state, &event, None, at)
        .map_err(|refused| OperationError::Refused(refused.to_string()))?;
    let unreadable = |error: serde_json::Error| corrupt(name, &error);
    let decided = rollout::Decided::without_evidence(at, stored.state.clone(), policy, event);
    let decided_json = serde_json::to_string(&decided).map_err(unreadable)?;
    let state_json = serde_json::to_string(&StoredState { state, ..stored }).map_err(unreadable)?;
    let expected = row.generation;
    let audit = gateway::control::audit(&transition);
    let next = RolloutRow { state_json, ..row };
    let beside = Beside { decided_json: Some(&decided_json), ..Beside::default() };
    match database.commit_transition(expected, &next, &audit, &beside) {
        Ok(_) => Ok(transition),
        Err(store::CommitError::Database(source)) => Err(OperationError::Store { doing: "commit the abort", source }),
        Err(conflict) => Err(OperationError::Refused(conflict.to_string())),
    }
}

pub(crate) fn load(database: &Database, name: &str) -> Result<RolloutRow, OperationError> {
    let found = database.load_rollout(name);
    let row = found.map_err(|source| OperationError::Store { doing: "read the rollout", source })?;
    row.ok_or_else(|| not_started(name))
}

pub(crate) fn not_started(name: &str) -> OperationError {
    OperationError::NotFound(format!("rollout `{name}` has not been started"))
}

pub(crate) fn parse(row: &RolloutRow) -> Result<(StoredState, Policy), OperationError> {
    let stored = serde_json::from_str(&row.state_json).map_err(|error| corrupt(&row.name, &error))?;
    let policy = serde_json::from_str(&row.policy_json).map_err(|error| corrupt(&row.name, &error))?;
    Ok((stored, policy))
}

pub(crate) fn corrupt(name: &str, error: &serde_json::Error) -> OperationError {
    OperationError::Unavailable(format!("what the store holds of rollout `{name}` cannot be read: {error}"))
}

pub(crate) fn now() -> Timestamp {
    gateway::live::now()
}

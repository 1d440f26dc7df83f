//! The controller: one thread, the only writer of stages.
//!
//! It loads what the store holds, publishes it to the request path ([`crate::live`]), and then turns: a command, a breach or
//! a tick leads to an event; `rollout::apply` says what the event makes of the state; the new state, its evidence and the
//! audit row are committed in one transaction; only then is a higher share published. A lower share is published first
//! and committed after. What could not be committed is tried again at every tick, and a store that stays unwritable for
//! a minute counts as control plane lost (DESIGN law 6).

mod commands;
mod detours;
mod drills;
mod managed;
mod moves;
mod pruning;
mod run;
mod storing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
pub use managed::{StoredState, audit, filed, judged};
use rollout::{Policy, Transition};
use serde::{Deserialize, Serialize};
use store::{Database, DatabaseError, Journal};

use crate::detour::{self, DetourReport, Probes, WayBack};
use crate::drill::{Asked, DrillReport, Plan};
use crate::live::{LiveTable, Waker};
use crate::shadow::ShadowSettings;
use crate::snapshot::Snapshot;
use crate::targets::Lanes;

/// Commands waiting for the controller; a further one is refused rather than queued.
const MAX_COMMANDS: usize = 64;
/// A command that takes longer than this has failed for whoever asked.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// A rollout as the config describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutSettings {
    /// Its name.
    pub name: String,
    /// The route it splits.
    pub route: String,
    /// Target in production today.
    pub baseline: String,
    /// Target on trial.
    pub candidate: String,
    /// Hash of both targets: a change of it starts afresh.
    pub fingerprint: String,
    /// Stages, gates and guards.
    pub policy: Policy,
    /// How often it is tried whether the baseline could take all traffic back, while the candidate serves anyone; `None` is never.
    pub probe_every: Option<Duration>,
    /// What other systems count of units, by name.
    pub outcomes: BTreeSet<String>,
    /// How its requests are copied.
    pub shadow: ShadowSettings,
    /// What is said of the candidate.
    pub facts: CandidateFacts,
    /// How often the gates are read anew once it is completed, and of what fraction of units; `None` is never.
    pub revalidate: Option<(Duration, f64)>,
    /// A call of the candidate that is under way when it is thrown back, and of whose answer nothing was shown, is given up, and the baseline
    /// is asked; otherwise it goes on to its end.
    pub retry_on_rollback: bool,
}

/// What the config says of a candidate, and what its route requires of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateFacts {
    /// Context length, GPU, licence.
    pub labels: BTreeMap<String, String>,
    /// What the route requires and the candidate has not, in words: then it never goes beyond shadow.
    pub unmet: Vec<String>,
}

/// What an operator may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Begin in shadow.
    Start,
    /// Go to the next step although the gate has not passed; recorded as such.
    Promote,
    /// Agree to the step that waits for approval.
    Approve,
    /// Keep the share; no promotion until resumed. Guards stay armed.
    Pause,
    /// Share to 0 for good.
    Abort,
    /// Go on after a pause; after a rollback or an abort, begin again in shadow.
    Resume,
    /// Give a held rollout more time: as much again as its step may last.
    Extend,
    /// Take a held rollout to the next step as it is; recorded as such.
    Accept,
}

impl Verb {
    /// The verb as it is written on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Promote => "promote",
            Self::Approve => "approve",
            Self::Pause => "pause",
            Self::Abort => "abort",
            Self::Resume => "resume",
            Self::Extend => "extend",
            Self::Accept => "accept",
        }
    }

    /// The verb of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let verbs = [
            Self::Start,
            Self::Promote,
            Self::Approve,
            Self::Pause,
            Self::Abort,
            Self::Resume,
            Self::Extend,
            Self::Accept,
        ];
        verbs.into_iter().find(|verb| verb.as_str() == name)
    }
}

/// Why a command came to nothing. Nothing was changed, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No such rollout in the config or the store.
    #[error("there is no rollout `{0}`")]
    Unknown(String),
    /// The state does not allow it.
    #[error("{0}")]
    Refused(String),
    /// The store did not take it. An abort has taken the share to 0 all the same.
    #[error("the store did not take the change")]
    Store(#[source] DatabaseError),
    /// The controller is busy or gone.
    #[error("the controller does not answer; the share has not been raised")]
    Unavailable,
}

struct Command {
    /// The rollout; of a detour, the route.
    rollout: String,
    actor: String,
    reason: String,
    what: What,
}

/// What is asked for, and who waits for what came of it.
enum What {
    Move(Verb, SyncSender<Result<Transition, ControlError>>),
    Drill(Plan, SyncSender<Result<DrillReport, ControlError>>),
    EndDrill(SyncSender<Result<DrillReport, ControlError>>),
    Detour(detour::Plan, SyncSender<Result<DetourReport, ControlError>>),
    EndDetour((Option<Probes>, WayBack), SyncSender<Result<DetourReport, ControlError>>),
}

/// A handle on the controller; cheap to clone.
#[derive(Debug, Clone)]
pub struct Control {
    commands: SyncSender<Command>,
    wake: Waker,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match &self.what {
            What::Move(verb, _) => verb.as_str(),
            What::Drill(..) => "drill",
            What::EndDrill(_) => "end the drill of",
            What::Detour(..) => "begin the exit drill of route",
            What::EndDetour(..) => "end the exit drill of route",
        };
        write!(f, "{what} {} by {}", self.rollout, self.actor)
    }
}

impl Control {
    /// Carries out `verb` on `rollout` and waits for its audit row.
    ///
    /// # Errors
    /// When the rollout is unknown, its state does not allow the verb, or the store or the controller does not answer.
    pub fn command(&self, verb: Verb, rollout: &str, actor: &str, reason: &str) -> Result<Transition, ControlError> {
        self.ask(rollout, (actor, reason), |reply| What::Move(verb, reply))
    }

    /// Begins a drill on `rollout`, and says how it stands. It ends by itself; see [`crate::drill`].
    ///
    /// # Errors
    /// When the rollout is unknown, its state or policy does not allow the drill, or the store or the controller does not answer.
    pub fn drill(&self, plan: Plan, rollout: &str, actor: &str, reason: &str) -> Result<DrillReport, ControlError> {
        self.ask(rollout, (actor, reason), |reply| What::Drill(plan, reply))
    }

    /// Ends the drill on `rollout` that is on.
    ///
    /// # Errors
    /// When none is on, or the controller does not answer.
    pub fn end_drill(&self, rollout: &str, actor: &str) -> Result<DrillReport, ControlError> {
        self.ask(rollout, (actor, ""), What::EndDrill)
    }

    /// Begins a detour of `route`, and says how it stands. It goes back by itself; see [`crate::detour`].
    ///
    /// # Errors
    /// When route or target is unknown, either takes no calls, or the store or the controller does not answer.
    pub fn detour(
        &self,
        plan: detour::Plan,
        route: &str,
        actor: &str,
        reason: &str,
    ) -> Result<DetourReport, ControlError> {
        self.ask(route, (actor, reason), |reply| What::Detour(plan, reply))
    }

    /// Sends `route` back from the detour that is on, with what was found of the alternative, and why.
    ///
    /// # Errors
    /// When none is on, or the controller does not answer.
    pub fn end_detour(
        &self,
        route: &str,
        found: (Option<Probes>, WayBack),
        actor: &str,
    ) -> Result<DetourReport, ControlError> {
        self.ask(route, (actor, ""), |reply| What::EndDetour(found, reply))
    }

    fn ask<T>(
        &self,
        rollout: &str,
        (actor, reason): (&str, &str),
        what: impl FnOnce(SyncSender<Result<T, ControlError>>) -> What,
    ) -> Result<T, ControlError> {
        let (reply, answer) = sync_channel(1);
        let command =
            Command { rollout: rollout.into(), actor: actor.into(), reason: reason.into(), what: what(reply) };
        self.commands.try_send(command).map_err(|_| ControlError::Unavailable)?;
        if let Err(TrySendError::Disconnected(())) = self.wake.try_send(()) {
            return Err(ControlError::Unavailable);
        }
        match answer.recv_timeout(COMMAND_TIMEOUT) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(ControlError::Unavailable),
        }
    }
}

/// What the controller works with.
pub struct ControllerParts {
    /// Its own connection to the store.
    pub database: Database,
    /// The config in force; settings of rollouts are read from it.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Where live rollouts are published.
    pub live: Arc<LiveTable>,
    /// The journal, for its drop rate.
    pub journal: Journal,
    /// The breakers of targets.
    pub lanes: Arc<Lanes>,
    /// Whether everything that earlier processes recorded is in the store. Until it is, every rollout is withheld: a
    /// breach may be among what is still to come.
    pub record_ready: Box<dyn Fn() -> bool + Send>,
    /// How often it looks; 100 ms but for compressed time.
    pub tick: Duration,
    /// How long the store may refuse before the control plane counts as lost.
    pub store_patience: Duration,
}

/// The running controller.
#[derive(Debug)]
pub struct Controller {
    control: Control,
    stop: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Why the controller did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The stored rollouts could not be read.
    #[error("could not read the stored rollouts")]
    Load(#[source] DatabaseError),
    /// A stored rollout cannot be understood.
    #[error("the stored state of rollout `{name}` cannot be read")]
    Corrupt {
        /// The rollout.
        name: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The thread could not be started.
    #[error("could not start the controller's thread")]
    Thread(#[source] std::io::Error),
}

impl Controller {
    /// Loads the stored rollouts, publishes them, and starts the thread. When this returns, the request path sees every
    /// rollout at the share the store holds, or none of them while the record is not ready.
    ///
    /// # Errors
    /// When the store cannot be read, a stored state cannot be understood, or no thread can be had.
    pub fn start(parts: ControllerParts) -> Result<Self, StartError> {
        let (commands, inbox) = sync_channel(MAX_COMMANDS);
        let (wake, woken) = sync_channel(1);
        let control = Control { commands, wake: wake.clone() };
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let mut work = run::Work::load(parts, wake)?;
        let stopping = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("controller".into())
            .spawn(move || turn(&mut work, &inbox, &woken, &stopping))
            .map_err(StartError::Thread)?;
        Ok(Self { control, stop, thread: Some(thread) })
    }

    /// A handle for whoever gives commands.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Saves the evidence and stops. Shares stay as they are.
    pub fn stop(mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Release);
        // A full channel wakes it as well.
        self.control.wake.try_send(()).ok();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("controller thread panicked");
        }
    }
}

fn turn(work: &mut run::Work, inbox: &Receiver<Command>, woken: &Receiver<()>, stop: &std::sync::atomic::AtomicBool) {
    while let Ok(()) | Err(RecvTimeoutError::Timeout) = woken.recv_timeout(work.tick()) {
        work.persist_trips();
        while let Ok(command) = inbox.try_recv() {
            carry_out(work, command);
        }
        work.tick_all();
        work.turn_drills();
        work.turn_detour();
        if stop.load(std::sync::atomic::Ordering::Acquire) {
            work.stop_drills();
            work.stop_detour();
            work.save_all_evidence();
            break;
        }
    }
}

/// Whoever asked may have given up waiting; the audit row has it all the same.
fn carry_out(work: &mut run::Work, Command { rollout, actor, reason, what }: Command) {
    match what {
        What::Move(verb, reply) => drop(reply.try_send(work.command(verb, &rollout, &actor, &reason))),
        What::Drill(plan, reply) => drop(reply.try_send(work.begin_drill(&rollout, plan, Asked { actor, reason }))),
        What::EndDrill(reply) => drop(reply.try_send(work.end_drill(&rollout, &actor))),
        What::Detour(plan, reply) => drop(reply.try_send(work.begin_detour(&rollout, plan, Asked { actor, reason }))),
        What::EndDetour(found, reply) => drop(reply.try_send(work.end_detour(&rollout, found))),
    }
}

/// Settings by name, as a snapshot carries them.
pub type SettingsByName = BTreeMap<String, Arc<RolloutSettings>>;

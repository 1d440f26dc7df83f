//! Where the rollout of a move stands, made again from its stored state, policy and evidence.

use serde::Serialize;

use crate::figure::{Figure, Unit};
use crate::report::{Engine, Stale};
use crate::rows::{ROLLOUTS, RolloutRow, Rows};
use crate::settings::Move;

/// What a rollout's rows come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Standings {
    /// Where it stands, in words: `canary 5 %`.
    pub label: String,
    /// What it is doing: `running`, `rolled_back` …
    pub status: String,
    /// Why, in words.
    pub reason: String,
    /// The candidate's share of units.
    pub share: f64,
    /// Whether a guard or a person took the candidate back.
    pub taken_back: bool,
    /// Why it was taken back before, where it was begun again with nothing of its targets changed.
    pub taken_back_before: Option<String>,
    /// Its gates.
    pub gates: Vec<Gate>,
    /// What is missing, one line each.
    pub missing: Vec<String>,
    /// The step after this one: `canary 25 %`; `None` on the last.
    pub next: Option<String>,
    /// Whose word it waits for, where it does.
    pub approvals: Option<Approvals>,
}

/// The approvals that a rollout waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Approvals {
    /// Given.
    pub have: u32,
    /// Asked for.
    pub need: u32,
    /// Whether whoever started it may give one.
    pub author_may: bool,
}

/// A gate of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// What it asks, in words.
    pub name: String,
    /// Pairs or units counted.
    pub n: u64,
    /// The candidate's bad rate less the baseline's.
    pub difference: Option<f64>,
    /// The difference is below this.
    pub below: Option<f64>,
    /// The difference that would matter.
    pub margin: f64,
    /// Whether it is passed.
    pub passed: bool,
}

/// A rollout in the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Live {
    /// Its name.
    pub rollout: String,
    /// Where it stands.
    pub label: String,
    /// What it is doing: `active`, `completed`, `rolled_back` …
    pub status: String,
    /// Why.
    pub reason: String,
    /// Whether the candidate was taken back.
    pub taken_back: bool,
    /// Why it was taken back before, where it was begun again with nothing of its targets changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_back_before: Option<String>,
    /// The candidate's share.
    pub share: Figure,
    /// Its gates: the figure's upper end is what the difference is below.
    pub gates: Vec<LiveGate>,
    /// What is missing.
    pub missing: Vec<String>,
    /// The step after this one: `canary 25 %`; `None` on the last.
    pub next: Option<String>,
    /// Whose word it waits for, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals: Option<Approvals>,
    /// Whether a target is made up.
    pub simulated: bool,
}

impl Live {
    /// Whether users have answers of the candidate.
    pub(crate) fn has_traffic(&self) -> bool {
        !self.taken_back && self.share.value.is_some_and(|share| share > 0.0)
    }

    /// Its stage and share, without what it is doing: `canary 25 %`.
    pub(crate) fn place(&self) -> &str {
        self.label.split(" (").next().unwrap_or(&self.label)
    }

    /// Whether it has soaked at full: nothing raises it any more, and its guards stay armed.
    pub(crate) fn is_completed(&self) -> bool {
        self.status == "completed"
    }

    /// Whether it goes on by itself as its gates allow: it was begun, and nobody ended or holds it.
    pub(crate) fn is_under_way(&self) -> bool {
        !self.is_over() && !self.is_completed() && !matches!(self.status.as_str(), "draft" | "paused")
    }

    /// Whether it completed and the config gave the route back to the baseline since.
    pub(crate) fn is_set_back(&self) -> bool {
        self.status == "set back"
    }

    /// Whether guards took it back and nothing of it changed since, also where it was begun again and ended.
    pub(crate) fn was_taken_back(&self) -> bool {
        self.taken_back || self.is_over() && self.taken_back_before.is_some()
    }

    /// Whether its gates have passed and people have not approved yet.
    pub(crate) fn awaits_approval(&self) -> bool {
        self.status == "awaiting_approval"
    }

    /// Whether it was thrown back, by evidence or by a person.
    pub(crate) fn is_over(&self) -> bool {
        self.taken_back || self.is_set_back() || self.status == "aborted"
    }
}

/// A gate in the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveGate {
    /// What it asks.
    pub name: String,
    /// Pairs or units.
    pub n: u64,
    /// The difference and its bound.
    pub difference: Figure,
    /// The margin.
    pub margin: Figure,
    /// Whether it is passed.
    pub passed: bool,
}

/// The rollout of a move; `None` where none was started, or what it saw was of other targets.
pub(crate) fn live(rows: &Rows, mv: &Move, engine: &dyn Engine, (key, stale): (&str, &mut Vec<Stale>)) -> Option<Live> {
    let name = mv.rollout.as_ref()?;
    let row = rows.rollouts.iter().find(|row| row.name == *name)?;
    if row.fingerprint_now.as_ref().is_some_and(|now| *now != row.fingerprint) {
        let why = "a target's model, prompt or parameters have changed since its evidence began".to_owned();
        stale.push(Stale { what: format!("rollout `{name}`"), why });
        return None;
    }
    match engine.standings(row, rows.settings.at_us) {
        Ok(standings) => Some(shown((row, mv), &standings, key)),
        Err(why) => {
            stale.push(Stale { what: format!("rollout `{name}`"), why });
            None
        }
    }
}

fn shown((row, mv): (&RolloutRow, &Move), standings: &Standings, key: &str) -> Live {
    let gate = |(idx, gate): (usize, &Gate)| {
        let id = format!("{key}.live.gate{}", idx + 1);
        let difference = Figure::new(format!("{id}.difference"), gate.name.clone(), gate.difference, Unit::Points);
        LiveGate {
            name: gate.name.clone(),
            n: gate.n,
            difference: difference.between(None, gate.below, "one-sided, at any n").of(ROLLOUTS),
            margin: Figure::new(format!("{id}.margin"), "Margin", Some(gate.margin), Unit::Points).of(ROLLOUTS),
            passed: gate.passed,
        }
    };
    // Whom the route itself asks has all.
    let share = match (mv.switched, mv.set_back) {
        (true, _) => 1.0,
        (_, true) => 0.0,
        _ => standings.share,
    };
    let set_back = mv.set_back.then(|| "set back".to_owned());
    let share = Figure::new(format!("{key}.live.share"), "Candidate's share of live units", Some(share), Unit::Share);
    Live {
        rollout: row.name.clone(),
        label: set_back.clone().unwrap_or_else(|| standings.label.clone()),
        status: set_back.unwrap_or_else(|| standings.status.clone()),
        reason: standings.reason.clone(),
        taken_back: standings.taken_back,
        taken_back_before: standings.taken_back_before.clone(),
        share: share.of(ROLLOUTS),
        gates: standings.gates.iter().enumerate().map(gate).collect(),
        missing: standings.missing.clone(),
        next: standings.next.clone(),
        approvals: standings.approvals.clone(),
        simulated: row.simulated,
    }
}

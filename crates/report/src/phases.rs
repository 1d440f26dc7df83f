//! Which workloads go first, by stated rules: what is decided before what is open, low risk before high, much saved before little.

use serde::Serialize;

use crate::decision::Decision;
use crate::report::{MoveReport, title};

/// How phases are made; printed beside them.
pub const RULES: [&str; 3] = [
    "P1: what may switch comes first, then what is hybridized, then what is open, fewest open questions first; what stays is not moved.",
    "P2: among equals, low risk before medium before high; a workload of no stated risk counts as medium.",
    "P3: among equals, the larger saving first.",
];

/// A phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Phase {
    /// What it is.
    pub name: &'static str,
    /// What was decided of all its workloads.
    pub decision: Decision,
    /// Its workloads, in order.
    pub workloads: Vec<String>,
    /// Keys of their moves, in the same order.
    pub keys: Vec<String>,
}

/// Puts moves in order.
pub(crate) fn phases(moves: &[MoveReport]) -> Vec<Phase> {
    let groups = [
        (Decision::Stay, true, "Now: go back to what answered before"),
        (Decision::Switch, false, "Phase 1 — move now, by the rollout's stages"),
        (Decision::Hybridize, false, "Phase 2 — move the stated part"),
        (Decision::NotEnoughEvidence, false, "Later — when what is open is settled"),
        (Decision::Stay, false, "Not moved"),
    ];
    let phase = |(decision, is_back, name): (Decision, bool, &'static str)| {
        let mut of: Vec<&MoveReport> = moves
            .iter()
            .filter(|mv| mv.decision == decision && (decision == Decision::Stay && mv.switched) == is_back)
            .collect();
        of.sort_by(|one, other| {
            let n_open = |mv: &MoveReport| mv.areas.iter().filter(|found| found.is_open()).count();
            let saved = |mv: &MoveReport| mv.cost_delta.value.unwrap_or(f64::NEG_INFINITY);
            (n_open(one), risk(one))
                .cmp(&(n_open(other), risk(other)))
                .then_with(|| saved(other).total_cmp(&saved(one)))
                .then_with(|| one.key.cmp(&other.key))
        });
        let keys = of.iter().map(|mv| mv.key.clone()).collect();
        let is_all = |is: &dyn Fn(&crate::live::Live) -> bool| of.iter().all(|mv| mv.live.as_ref().is_some_and(is));
        let name = match decision {
            Decision::Switch if of.iter().all(|mv| mv.switched) => "Done",
            Decision::Switch if is_all(&crate::live::Live::is_completed) => {
                "Phase 1 — live: make it the route's target"
            }
            Decision::Stay
                if !is_back && of.iter().any(|mv| mv.live.as_ref().is_some_and(crate::live::Live::has_traffic)) =>
            {
                "Not to move: take back what is live"
            }
            _ => name,
        };
        Phase { name, decision, workloads: of.into_iter().map(title).collect(), keys }
    };
    let mut phases: Vec<Phase> = groups.into_iter().map(phase).filter(|phase| !phase.workloads.is_empty()).collect();
    // What is to be stopped or taken back is read first.
    phases.sort_by_key(|phase| !moves.iter().any(|mv| phase.keys.contains(&mv.key) && is_urgent(mv)));
    phases
}

/// Whether the candidate of a move that stays answers users, or its rollout goes on to them.
fn is_urgent(mv: &MoveReport) -> bool {
    let is_running = mv.live.as_ref().is_some_and(|live| live.has_traffic() || live.is_under_way());
    mv.decision == Decision::Stay && (mv.switched || is_running)
}

fn risk(mv: &MoveReport) -> u8 {
    match mv.risk.as_deref() {
        Some("low") => 0,
        Some("high") => 2,
        _ => 1,
    }
}

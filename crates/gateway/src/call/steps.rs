//! Which targets a request may go to, in which order, and why.

use std::cell::Cell;
use std::rc::Rc;

use wire::record::Arm;

use super::cascade;
use crate::record::Exchange;
use crate::residency;
use crate::targets::Destination;

/// A target that may be tried, and why.
pub(super) struct Step {
    pub(super) destination: Rc<Destination>,
    pub(super) arm: Option<Arm>,
    pub(super) emergency: bool,
    /// All breakers are open and the route says to go on regardless.
    pub(super) panic: bool,
    /// A step of the route's cascade: its answer is judged.
    pub(super) cascade: bool,
    /// The alternative of a detour: asked while the route is away, and its failures are its own.
    pub(super) detour: bool,
}

impl Step {
    /// Whether this is the candidate of a rollout, for a unit that was assigned to it.
    pub(super) fn is_trial(&self) -> bool {
        self.arm == Some(Arm::Candidate) && !self.emergency
    }
}

/// The same without regard to breakers. A candidate's open breaker is the end of its trial, not a reason to panic; and who was only to be
/// asked first is not asked at all.
pub(super) fn in_panic(steps: Vec<Step>) -> Vec<Step> {
    steps
        .into_iter()
        .filter(|step| !step.is_trial() && !step.cascade && !step.detour)
        .map(|step| Step { panic: true, ..step })
        .collect()
}

/// The order of targets that the request may go to: the alternative while the route is on a detour, then the arm's own, the baseline, the route's fallbacks. The candidate of a rollout, under way or thrown
/// back, is nobody's fallback unless the route says so; then it comes last.
pub(super) fn steps(exchange: &Exchange) -> Vec<Step> {
    let (prepared, route) = (&exchange.prepared, &exchange.route);
    let mut steps: Vec<Step> = Vec::with_capacity(2);
    let arm_of = |name: &str| exchange.assignment.as_ref().and_then(|assignment| assignment.arm_of(name));
    let (is_first, is_away) = (Cell::new(false), Cell::new(false));
    let mut push = |name: &str, arm: Option<Arm>, emergency: bool| {
        if let Some(destination) = prepared.destination(name)
            && residency::admits(exchange.residency, &destination.target)
            && !steps.iter().any(|step| Rc::ptr_eq(&step.destination, destination))
        {
            steps.push(Step {
                destination: Rc::clone(destination),
                arm,
                emergency,
                panic: false,
                cascade: is_first.get(),
                detour: is_away.get(),
            });
        }
    };
    if let Some(seat) = exchange.detour.as_ref().filter(|seat| seat.is_away()) {
        is_away.set(true);
        push(seat.to(), None, false);
        is_away.set(false);
    }
    if let Some(first) = exchange.route.cascade.as_ref().filter(|_| cascade::applies(exchange)) {
        is_first.set(true);
        first.steps.iter().for_each(|name| push(name, None, false));
        is_first.set(false);
    }
    match &exchange.assignment {
        Some(assignment) => {
            if assignment.arm == Arm::Candidate {
                push(&assignment.live.identity.candidate, Some(Arm::Candidate), false);
            }
            let baseline = &assignment.live.identity.baseline;
            push(baseline, Some(Arm::Baseline), false);
            // A reload took it out of the config: the route's own target serves, and is no evidence.
            if prepared.destination(baseline).is_none() {
                push(&route.target, None, false);
            }
        }
        None => push(&route.target, None, false),
    }
    let is_barred = |name: &&String| exchange.worker.deps.live.is_barred(name);
    for name in route.fallback.iter().filter(|name| !is_barred(name)) {
        push(name, arm_of(name), false);
    }
    if route.emergency_fallback {
        let under_way = exchange.assignment.as_ref().map(|assignment| &assignment.live.identity.candidate);
        for name in route.fallback.iter().filter(is_barred).chain(under_way) {
            push(name, arm_of(name), true);
        }
    }
    steps
}

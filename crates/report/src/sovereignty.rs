//! How much of a route depends on others, from the classes of its providers in the config.

use inventory::sovereignty::{Machine, Sovereignty};

use crate::decision::Decision;
use crate::settings::{Move, TargetFacts};

fn machine(target: &TargetFacts) -> Machine<'_> {
    Machine { name: &target.name, class: &target.class, external: target.external, simulated: target.simulated }
}

/// Today, and after what was decided. A baseline that was left stands by: it is the way back.
pub(crate) fn sovereignty(mv: &Move, decision: Decision) -> [Sovereignty; 2] {
    let baseline = machine(&mv.baseline);
    let mut standing_by: Vec<Machine<'_>> = mv.fallback.iter().map(machine).collect();
    let today = Sovereignty::of(&[baseline], &standing_by);
    let after = match (decision, &mv.candidate) {
        (Decision::Switch, Some(candidate)) => {
            standing_by.push(baseline);
            Sovereignty::of(&[machine(candidate)], &standing_by)
        }
        (Decision::Hybridize, Some(candidate)) => Sovereignty::of(&[baseline, machine(candidate)], &standing_by),
        _ => today.clone(),
    };
    [today, after]
}

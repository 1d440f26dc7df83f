//! How much of a route depends on others, in five classes, from the classes of its providers in the config.

use serde::Serialize;

use crate::decision::Decision;
use crate::settings::{Move, TargetFacts};

/// A class from 1, pure API, to 5, fully self-hosted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sovereignty {
    /// The class; `None` where nobody knows, as a made-up answer is no machine's.
    pub class: Option<u8>,
    /// What it is.
    pub means: String,
}

const MEANINGS: [&str; 5] = [
    "pure API: one kind of vendor answers, and nothing else stands by",
    "API with a way out: open weights, hosted elsewhere or standing by, could take over",
    "hybrid: vendors and own machines both answer",
    "self-hosted: own machines answer, a vendor stands in",
    "fully self-hosted: nothing leaves the house",
];

/// Of targets that answer, and of those that stand by.
fn class(answering: &[&TargetFacts], standing_by: &[&TargetFacts]) -> Sovereignty {
    if let Some(made_up) = answering.iter().find(|target| target.simulated) {
        let means = format!("not known, as `{}` is a simulated provider and no machine of anybody's", made_up.name);
        return Sovereignty { class: None, means };
    }
    let standing_by: Vec<&TargetFacts> = standing_by.iter().copied().filter(|target| !target.simulated).collect();
    let inside = |target: &&&TargetFacts| !target.external;
    let n_inside = answering.iter().filter(inside).count();
    let is_open = |target: &&&TargetFacts| target.class == "hosted";
    let class = match n_inside {
        0 => {
            let has_way_out = standing_by.iter().any(|target| !target.external)
                || answering.iter().chain(&standing_by).any(|target| is_open(&target));
            if has_way_out { 2 } else { 1 }
        }
        n if n < answering.len() => 3,
        _ if standing_by.iter().any(|target| target.external) => 4,
        _ => 5,
    };
    Sovereignty { class: Some(class), means: MEANINGS[usize::from(class) - 1].to_owned() }
}

/// Today, and after what was decided. A baseline that was left stands by: it is the way back.
pub(crate) fn sovereignty(mv: &Move, decision: Decision) -> [Sovereignty; 2] {
    let fallback: Vec<&TargetFacts> = mv.fallback.iter().collect();
    let today = class(&[&mv.baseline], &fallback);
    let after = match (decision, &mv.candidate) {
        (Decision::Switch, Some(candidate)) => {
            let mut by = fallback;
            by.push(&mv.baseline);
            class(&[candidate], &by)
        }
        (Decision::Hybridize, Some(candidate)) => class(&[&mv.baseline, candidate], &fallback),
        _ => today.clone(),
    };
    [today, after]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(class: &str) -> TargetFacts {
        TargetFacts {
            name: class.to_owned(),
            provider: class.to_owned(),
            class: class.to_owned(),
            external: class != "self_hosted",
            region: None,
            model: "m".to_owned(),
            fingerprint: "f".to_owned(),
            simulated: false,
        }
    }

    #[test]
    fn classes_go_from_pure_api_to_nothing_leaves_the_house() {
        let (vendor, hosted, own) = (target("vendor"), target("hosted"), target("self_hosted"));
        let of = |answering: &[&TargetFacts], by: &[&TargetFacts]| class(answering, by).class;
        assert_eq!(of(&[&vendor], &[&vendor]), Some(1));
        assert_eq!(of(&[&vendor], &[&own]), Some(2));
        assert_eq!(of(&[&hosted], &[]), Some(2));
        assert_eq!(of(&[&vendor, &own], &[]), Some(3));
        assert_eq!(of(&[&own], &[&vendor]), Some(4));
        assert_eq!(of(&[&own], &[&own]), Some(5));
    }

    #[test]
    fn what_is_simulated_is_nobodys_own_machine_and_no_way_out() {
        let made_up = TargetFacts { external: false, simulated: true, ..target("simulated") };
        let vendor = target("vendor");
        let found = class(&[&made_up], &[&vendor]);
        assert_eq!(found.class, None);
        assert!(found.means.contains("simulated"), "{}", found.means);
        assert_eq!(class(&[&vendor], &[&made_up]).class, Some(1));
    }
}

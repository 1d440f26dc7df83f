//! How much answers depend on others, in five classes: of who answers, and of who stands by.

use serde::{Deserialize, Serialize};

/// Who answers, or stands by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine<'a> {
    /// What it is called.
    pub name: &'a str,
    /// What kind of service it is, in the config's words.
    pub class: &'a str,
    /// Whether what is sent there leaves the house.
    pub external: bool,
    /// Whether its answers are made up.
    pub simulated: bool,
}

/// A class from 1, pure API, to 5, fully self-hosted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    "self-hosted: own machines answer, a vendor stands by",
    "fully self-hosted: nothing leaves the house",
];

impl Sovereignty {
    /// Of those that answer, and those that stand by.
    #[must_use]
    pub fn of(answering: &[Machine<'_>], standing_by: &[Machine<'_>]) -> Sovereignty {
        if let Some(made_up) = answering.iter().find(|machine| machine.simulated) {
            let means = format!("not known, as `{}` is a simulated provider and no machine of anybody's", made_up.name);
            return Sovereignty { class: None, means };
        }
        let standing_by: Vec<&Machine<'_>> = standing_by.iter().filter(|machine| !machine.simulated).collect();
        let n_inside = answering.iter().filter(|machine| !machine.external).count();
        let class = match n_inside {
            0 => {
                let has_way_out = standing_by.iter().any(|machine| !machine.external)
                    || answering.iter().chain(standing_by).any(|machine| machine.class == "hosted");
                if has_way_out { 2 } else { 1 }
            }
            n if n < answering.len() => 3,
            _ if standing_by.iter().any(|machine| machine.external) => 4,
            _ => 5,
        };
        Sovereignty { class: Some(class), means: MEANINGS[usize::from(class) - 1].to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(class: &str) -> Machine<'_> {
        Machine { name: class, class, external: class != "self_hosted", simulated: false }
    }

    #[test]
    fn classes_go_from_pure_api_to_nothing_leaves_the_house() {
        let (vendor, hosted, own) = (machine("vendor"), machine("hosted"), machine("self_hosted"));
        let of = |answering: &[Machine<'_>], by: &[Machine<'_>]| Sovereignty::of(answering, by).class;
        assert_eq!(of(&[vendor], &[vendor]), Some(1));
        assert_eq!(of(&[vendor], &[own]), Some(2));
        assert_eq!(of(&[hosted], &[]), Some(2));
        assert_eq!(of(&[vendor, own], &[]), Some(3));
        assert_eq!(of(&[own], &[vendor]), Some(4));
        assert_eq!(of(&[own], &[own]), Some(5));
    }

    #[test]
    fn what_is_simulated_is_nobodys_own_machine_and_no_way_out() {
        let made_up = Machine { external: false, simulated: true, ..machine("simulated") };
        let vendor = machine("vendor");
        let found = Sovereignty::of(&[made_up], &[vendor]);
        assert_eq!(found.class, None);
        assert!(found.means.contains("simulated"), "{}", found.means);
        assert_eq!(Sovereignty::of(&[vendor], &[made_up]).class, Some(1));
    }
}

//! `cohorts` of a rollout: slices of its route's traffic, in order; the first that holds is a request's.

use std::fmt::Write as _;

use gateway::control::RolloutSettings;
use gateway::shadow::ShadowSettings;
use gateway::snapshot::Cohort;
use gateway::snapshot::cohorts::{AT, slot};
use rollout::Policy;

use super::{Workloads, policy};
use crate::config::reader::{Item, Section};
use crate::config::rules::condition;
use crate::config::targets::Targets;

/// The cohorts of one rollout.
pub(super) struct Cohorts(Vec<Read>);

struct Read {
    cohort: Cohort,
    /// Its policy, and how it copies if it says so; `None` keeps it on the baseline.
    part: Option<(Policy, Option<ShadowSettings>)>,
}

/// Reads `cohorts`. What a cohort does not say is as the rollout has it.
pub(super) fn read(section: &Section<'_>, whole: &Policy, (workloads, targets): (&Workloads, &Targets)) -> Cohorts {
    let mut read: Vec<Read> = Vec::new();
    let items = section.get("cohorts").and_then(|item| item.list("cohorts")).unwrap_or_default();
    for item in &items {
        let Some(section) = item.section() else { continue };
        let name = section.need("name").and_then(|item| name(&item, &read));
        let when = section.need("when").and_then(|item| condition(&item, workloads));
        // There is one arm to be kept on.
        let denied = section.get("arm").and_then(|item| item.word(&[("baseline", ())])).is_some();
        let copies =
            section.get("stages").is_some_and(|stages| stages.named().iter().any(|(name, _)| name.value == "shadow"));
        let read_part = || {
            let (policy, shadow) = policy::read_over(&section, whole.clone(), targets);
            (policy, copies.then_some(shadow))
        };
        let part = (!denied).then(read_part);
        section.finish();
        let (Some(name), Some(when)) = (name, when) else { continue };
        if let Some(before) = read.iter().find(|before| before.cohort.when.covers(&when)) {
            let message = format!("no request is in this cohort: `{}` takes all that are", before.cohort.name);
            item.note(message, Some("move it up, or remove it".into()));
        }
        read.push(Read { cohort: Cohort { name, when, slot: None }, part });
    }
    Cohorts(read)
}

fn name(item: &Item<'_>, before: &[Read]) -> Option<String> {
    let name = item.string()?.value;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(is_plain) {
        item.note("a cohort's name has letters, digits, `-`, `_` and `.`", None);
        return None;
    }
    if before.iter().any(|read| read.cohort.name == name) {
        item.note(format!("the rollout has a cohort `{name}` already"), None);
        return None;
    }
    Some(name)
}

/// What was judged by another definition is other evidence.
fn with_judge(about: &str, shadow: &ShadowSettings) -> String {
    let judged = shadow.judged.as_ref().map(|judging| format!("judged by {}\n", judging.definition()));
    format!("{about}{}", judged.unwrap_or_default())
}

impl Cohorts {
    /// The rollouts to be run, by name, with policy and fingerprint: one for each cohort that is not kept on the baseline, and one for what
    /// is in none. The harm budget is divided among them: a rollback without cause in any of them has the chance that the policy says.
    pub(super) fn parts(&self, whole: &RolloutSettings, fingerprint: impl Fn(&str) -> String) -> Vec<RolloutSettings> {
        let n_parts = 1 + self.0.iter().filter(|read| read.part.is_some()).count();
        let part = |policy: &Policy| Policy { alpha_harm: policy.alpha_harm / n_parts as f64, ..policy.clone() };
        let (mut parts, mut about) = (Vec::new(), String::new());
        for read in &self.0 {
            // Writing to a String cannot fail.
            writeln!(about, "{:?}", read.cohort.when).unwrap_or_default();
            if let Some((policy, shadow)) = &read.part {
                let shadow = shadow.clone().unwrap_or_else(|| whole.shadow.clone());
                parts.push(RolloutSettings {
                    name: format!("{}{AT}{}", whole.name, read.cohort.name),
                    policy: part(policy),
                    fingerprint: fingerprint(&with_judge(&about, &shadow)),
                    shadow,
                    ..whole.clone()
                });
            }
        }
        let (policy, fingerprint) = (part(&whole.policy), fingerprint(&with_judge(&about, &whole.shadow)));
        parts.push(RolloutSettings { policy, fingerprint, ..whole.clone() });
        parts
    }

    /// The cohorts as requests to the route are held against them.
    pub(super) fn of_route(self, route: &str) -> Vec<Cohort> {
        let with_slot = |Read { cohort, part }: Read| {
            let slot = part.map(|_| slot(route, Some(&cohort.name)));
            Cohort { slot, ..cohort }
        };
        self.0.into_iter().map(with_slot).collect()
    }
}

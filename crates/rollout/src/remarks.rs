//! What a person should be told beyond the decision: what a promotion overrules, and units that are not what they are taken for.

use std::collections::BTreeMap;

use crate::Timestamp;
use crate::breach::percent;
use crate::decide::{Health, Reason, unmet};
use crate::evidence::Evidence;
use crate::policy::{Policy, Unit};
use crate::state::State;

/// Requests before anything is said of where units come from.
const ENOUGH_REQUESTS: u64 = 20;
/// The part of requests without a key of their own that is worth a word.
const LOUD: f64 = 0.1;

/// What a person who promotes now sets aside, one after the other; empty when nothing is missing.
#[must_use]
pub fn overruled(policy: &Policy, state: &State, evidence: &Evidence, health: &Health, now: Timestamp) -> String {
    let short = |reason: &Reason| match reason {
        Reason::GateUndecided { metric, n, .. } => {
            let gate = evidence.gates().iter().find(|gate| gate.metric == *metric);
            let estimate = gate.and_then(|gate| gate.reading(evidence.stage(), policy.alpha_promote).estimate);
            let seen = estimate.map_or_else(String::new, |estimate| format!("{:+.2} pp ", estimate * 100.0));
            format!("{metric} gate undecided ({seen}over {n})")
        }
        Reason::Coverage { fraction, need, .. } => {
            format!("coverage {} of {}", fraction.map_or_else(|| "unknown".to_owned(), percent), percent(*need))
        }
        other => other.words(),
    };
    unmet(policy, state, evidence, health, now).iter().map(short).collect::<Vec<_>>().join(", ")
}

/// Requests that do not say which unit they belong to, where many do not: they are units of another size than the policy means.
pub(crate) fn keyless(unit: Unit, sources: &BTreeMap<String, u64>) -> Option<String> {
    let of = |names: &[&str]| names.iter().filter_map(|name| sources.get(*name)).sum::<u64>();
    let total: u64 = sources.values().sum();
    let (without, become_what, send) = match unit {
        Unit::Request => return None,
        Unit::User => (of(&["principal", "request"]), "one unit per key", "`user` or the header x-crossfade-user-id"),
        Unit::Tenant => {
            let told = "a key of the tenant or the header x-crossfade-tenant-id";
            (of(&["request"]), "a unit each", told)
        }
        Unit::Session => {
            let told = "the header x-crossfade-session-id";
            (of(&["principal", "prefix", "request"]), "units by their first message or key", told)
        }
        Unit::Conversation => {
            let told = "`metadata.conversation_id` or the header x-crossfade-conversation-id";
            (of(&["principal", "request"]), "one unit per key", told)
        }
    };
    let fraction = without as f64 / total.max(1) as f64;
    let what = match unit {
        Unit::User => "user",
        Unit::Tenant => "tenant",
        Unit::Session => "session",
        Unit::Request | Unit::Conversation => "conversation",
    };
    (total >= ENOUGH_REQUESTS && fraction >= LOUD)
        .then(|| format!("{} of requests have no {what}: they are {become_what}; send {send}", percent(fraction)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unit: Unit, sources: &[(&str, u64)], expected: Option<&str>) {
        let sources = sources.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        assert_eq!(keyless(unit, &sources).as_deref(), expected);
    }

    #[test]
    fn requests_without_a_user_are_said_to_be_one_unit_per_key() {
        let said =
            "100 % of requests have no user: they are one unit per key; send `user` or the header x-crossfade-user-id";
        check(Unit::User, &[("principal", 60)], Some(said));
        check(Unit::User, &[("principal", 5), ("user", 95)], None);
        check(Unit::User, &[("principal", 3)], None);
        check(Unit::Request, &[("request", 60)], None);
        check(Unit::Conversation, &[("prefix", 60)], None);
        let said = "50 % of requests have no session: they are units by their first message or key; send the header \
                    x-crossfade-session-id";
        check(Unit::Session, &[("prefix", 30), ("header", 30)], Some(said));
    }
}

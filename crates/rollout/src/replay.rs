//! Deciding again: a rollout's record is put through the same functions that decided the first time, and must give the same bits.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::Value;

use crate::breach::BreachCause;
use crate::evidence::{Carry, Evidence};
use crate::input::InputPart;
use crate::policy::{Policy, Risk};
use crate::record::{Decided, Looked, digest};
use crate::state::{State, Status};
use crate::transition::{Event, Refused, Transition, apply};
use crate::{Timestamp, decide};

/// Something that was decided or counted otherwise than the record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub what: String,
    /// What the record says.
    pub recorded: String,
    /// What came out now.
    pub recomputed: String,
}

/// A transition, made again.
#[derive(Clone, Debug)]
pub struct Redone {
    /// What came out, to be held against the audit row; the reason carries what was measured then.
    pub transition: Transition,
    /// Where it led.
    pub next: State,
    /// What differs besides.
    pub differences: Vec<Difference>,
}

/// A rollout on its way through its record.
#[derive(Debug, Default)]
pub struct Replay {
    stands: Option<(Policy, State)>,
    evidence: Option<Evidence>,
    n_inputs: u64,
}

impl Replay {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> Option<&State> {
        self.stands.as_ref().map(|(_, state)| state)
    }

    /// What it runs under.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        self.stands.as_ref().map(|(policy, _)| policy)
    }

    /// What the epoch has counted so far.
    #[must_use]
    pub fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_ref()
    }

    /// How many entries the epoch has counted so far.
    #[must_use]
    pub fn n_inputs(&self) -> u64 {
        self.n_inputs
    }

    /// Stands where a record says it stood, with the evidence it says there was.
    pub fn take_up(&mut self, policy: Policy, state: State, evidence: Option<Evidence>, n_inputs: Option<u64>) {
        self.stands = Some((policy, state));
        self.evidence = evidence;
        self.n_inputs = n_inputs.unwrap_or(0);
    }

    /// Counts the next part and looks at what it makes of the evidence.
    pub fn count(&mut self, part: &InputPart, looked: &Looked) -> Vec<Difference> {
        let (Some((policy, state)), Some(evidence)) = (&self.stands, &mut self.evidence) else { return Vec::new() };
        for input in &part.inputs {
            evidence.take(input);
        }
        self.n_inputs = part.first + part.inputs.len() as u64;
        let again = Looked::at(policy, state, evidence, looked.health.clone(), looked.at);
        let mut differences = Vec::new();
        differ(&mut differences, "digest of the evidence", &looked.evidence, &again.evidence);
        differ(&mut differences, "digest of the decision", &looked.decision, &again.decision);
        differ(&mut differences, "generation", &looked.generation.to_string(), &again.generation.to_string());
        differences
    }

    /// Makes a transition again, and stands where it leads.
    ///
    /// # Errors
    /// When the event is not possible in the state that the record describes.
    pub fn transition(&mut self, decided: &Decided) -> Result<Redone, Refused> {
        let mut differences = Vec::new();
        let Decided { at, state, policy, event, .. } = decided;
        self.stands_where_recorded(decided, &mut differences);
        let hash = policy.hash();
        differ(&mut differences, "hash of the policy", &state.policy_hash, &hash);
        if let (Some(health), Some(evidence)) = (&decided.health, &self.evidence) {
            let again = decide(policy, state, evidence, health, *at).into_event();
            differ(&mut differences, "decision", &json(&Some(event)), &json(&again));
        }
        if let (Event::Rollback { breach }, Some(evidence)) = (event, &mut self.evidence) {
            let by_numbers = matches!(breach.cause, BreachCause::Relative | BreachCause::Absolute);
            if by_numbers {
                differ(&mut differences, "breach", &json(&Some(breach)), &json(&evidence.breach()));
            }
            if decided.noted {
                evidence.note_breach(breach.clone());
            }
        }
        let seen = self.evidence.as_ref().filter(|_| decided.position.is_some());
        let (mut next, mut transition) = apply(policy, state, event, seen, *at)?;
        if !decided.measured.is_empty() {
            transition.reason = format!("{}; {}", transition.reason, decided.measured);
            next.reason.clone_from(&transition.reason);
        }
        if next.epoch != state.epoch {
            self.evidence = Some(Evidence::begin(policy, &next, seen));
            self.n_inputs = 0;
        }
        self.stands = Some((policy.clone(), next.clone()));
        Ok(Redone { transition, next, differences })
    }

    /// What the transition before led to is what this one began with, but for what a resumption takes from the config.
    fn stands_where_recorded(&self, decided: &Decided, differences: &mut Vec<Difference>) {
        let recorded = &decided.state;
        let Some((policy, state)) = &self.stands else {
            differ(differences, "first state", recorded.status.as_str(), Status::Draft.as_str());
            return;
        };
        let begins_again = matches!(decided.event, Event::Resume { .. })
            && matches!(recorded.status, Status::RolledBack | Status::Aborted);
        let expected = if begins_again {
            let (baseline, candidate) = (recorded.baseline.clone(), recorded.candidate.clone());
            State { baseline, candidate, policy_hash: recorded.policy_hash.clone(), ..state.clone() }
        } else {
            differ(differences, "policy", &json(&decided.policy), &json(policy));
            state.clone()
        };
        differ(differences, "state before", &json(recorded), &json(&expected));
        if let (Some(position), true) = (decided.position, self.evidence.is_some()) {
            differ(differences, "entries counted", &position.to_string(), &self.n_inputs.to_string());
        }
    }
}

/// One higher with every change of a number or a formula that decisions are made by, such as those of the breaker: the names in the
/// evidence stay, and what comes out of the same entries does not. `tests/it/golden.rs` fails where they come out otherwise and this is as it was.
pub const RULES: u32 = 2;

/// Which form this build writes evidence and policies in, and by which rules it decides: its names, without any value. A record in
/// another form has other digests and is not compared.
#[must_use]
pub fn form() -> &'static str {
    static FORM: OnceLock<String> = OnceLock::new();
    FORM.get_or_init(|| {
        let policy = Policy::template(Risk::Medium);
        let evidence = Evidence::new(&policy, 1, 1, &Carry::none(), Timestamp(0));
        let mut names = BTreeSet::from([format!("rules {RULES}")]);
        for part in [serde_json::to_value(&policy), serde_json::to_value(&evidence)] {
            collect("", &part.unwrap_or_default(), &mut names);
        }
        digest(&names)
    })
}

fn collect(at: &str, value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                collect(&format!("{at}/{name}"), member, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(&format!("{at}/*"), item, names)),
        _ => {
            names.insert(at.to_owned());
        }
    }
}

/// Where two JSON texts differ first: the path, and both values. `None` when they are the same text.
#[must_use]
pub fn first_difference(recorded: &str, recomputed: &str) -> Option<Difference> {
    if recorded == recomputed {
        return None;
    }
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    let (was, is) = (parse(recorded), parse(recomputed));
    let (path, was, is) = differing("", &was, &is).unwrap_or_default();
    Some(Difference { what: path, recorded: was, recomputed: is })
}

fn differing(at: &str, was: &Value, is: &Value) -> Option<(String, String, String)> {
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => {
            let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
            let member = |of: &serde_json::Map<String, Value>, name: &String| of.get(name).cloned().unwrap_or_default();
            names.into_iter().find_map(|name| differing(&format!("{at}/{name}"), &member(was, name), &member(is, name)))
        }
        (Value::Array(was), Value::Array(is)) if was.len() == is.len() => {
            let pairs = was.iter().zip(is).enumerate();
            pairs.into_iter().find_map(|(idx, (was, is))| differing(&format!("{at}/{idx}"), was, is))
        }
        (was, is) if was == is => None,
        (was, is) => Some((at.to_owned(), was.to_string(), is.to_string())),
    }
}

fn differ(differences: &mut Vec<Difference>, what: &str, recorded: &str, recomputed: &str) {
    if recorded == recomputed {
        return;
    }
    let inner = first_difference(recorded, recomputed).filter(|inner| !inner.what.is_empty());
    differences.push(match inner {
        Some(inner) => Difference { what: format!("{what} {}", inner.what), ..inner },
        None => Difference { what: what.to_owned(), recorded: recorded.to_owned(), recomputed: recomputed.to_owned() },
    });
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

//! What is written down of a decision, so that it can be made again from the record.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::decide::Health;
use crate::evidence::Evidence;
use crate::policy::{Policy, hex};
use crate::replay::form;
use crate::state::State;
use crate::transition::Event;
use sha2::{Digest, Sha256};

/// Everything a transition was made of: [`apply`](crate::apply) gives the same one again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// When.
    pub at: Timestamp,
    /// Where the rollout stood before.
    pub state: State,
    /// What it ran under.
    pub policy: Policy,
    /// What happened.
    pub event: Event,
    /// How many entries the evidence had counted, if the event saw evidence.
    pub position: Option<u64>,
    /// What else the decision was told; `None` where the evidence decided nothing.
    pub health: Option<Health>,
    /// Whether the breach was noted in the evidence before the event: the request path found it.
    pub noted: bool,
    /// What was measured and stands at the end of the reason, such as how long the switch took.
    pub measured: String,
    /// Which form the program wrote evidence and policies in, see [`form`](crate::replay::form()).
    pub form: String,
}

impl Decided {
    /// An event that sees no evidence.
    #[must_use]
    pub fn without_evidence(at: Timestamp, state: State, policy: Policy, event: Event) -> Self {
        Self {
            at,
            state,
            policy,
            event,
            position: None,
            health: None,
            noted: false,
            measured: String::new(),
            form: form().to_owned(),
        }
    }
}

/// What [`decide`](crate::decide()) said when evidence was saved, and the evidence it said it of. Short, because there are two a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// When.
    pub at: Timestamp,
    /// The state it was said in, by its generation.
    pub generation: u64,
    /// What else it was told.
    pub health: Health,
    /// [`digest`] of the decision.
    pub decision: String,
    /// [`digest`] of the evidence.
    pub evidence: String,
    /// Which form the program wrote evidence and policies in, see [`form`](crate::replay::form()).
    pub form: String,
}

impl Looked {
    /// Looks at evidence.
    #[must_use]
    pub fn at(policy: &Policy, state: &State, evidence: &Evidence, health: Health, at: Timestamp) -> Self {
        let decision = crate::decide(policy, state, evidence, &health, at);
        Self {
            at,
            generation: state.generation,
            health,
            decision: digest(&decision),
            evidence: digest(evidence),
            form: form().to_owned(),
        }
    }
}

/// The first 16 hexadecimal digits of the SHA-256 of a value's JSON. Numbers are written so that the same text means the same bits.
#[must_use]
pub fn digest(value: &impl Serialize) -> String {
    let json = serde_json::to_vec(value).unwrap_or_default();
    hex(&Sha256::digest(json)[..8])
}

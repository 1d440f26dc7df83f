//! What the room `report` cannot see: worksheets are read like the config, and rollouts are explained by theirs.

use gateway::control::StoredState;
use report::{Approvals, Engine, Gate, RolloutRow, Standings};
use rollout::explain::Verdict;
use rollout::{Evidence, Health, Policy, Status, Timestamp};

use crate::config::{render, worksheet};

/// The rooms that know.
pub(super) struct Rooms;

impl Engine for Rooms {
    fn study(&self, file: &str, text: &str) -> Result<cost::tco::Study, String> {
        worksheet(file, text).map_err(|errors| format!("the worksheet has errors: {}", render(&errors).trim_end()))
    }

    fn standings(&self, row: &RolloutRow, at_us: u64) -> Result<Standings, String> {
        let unreadable =
            |what: &'static str| move |error: serde_json::Error| format!("its {what} cannot be read: {error}");
        let stored: StoredState = serde_json::from_str(&row.state_json).map_err(unreadable("state"))?;
        let policy: Policy = serde_json::from_str(&row.policy_json).map_err(unreadable("policy"))?;
        let state = &stored.state;
        let evidence: Evidence = match &row.evidence_json {
            Some(json) => serde_json::from_str(json).map_err(unreadable("evidence"))?,
            None => Evidence::begin(&policy, state, None),
        };
        let facts = rollout::explain(&policy, state, &evidence, &Health::default(), Timestamp(at_us));
        let next = facts.steps.get(state.step_idx + 1);
        let next = next.map(|step| format!("{} {} %", step.stage.as_str(), (step.share * 1000.0).round() / 10.0));
        let approvals = (facts.approvals_needed > 0).then(|| Approvals {
            have: state.n_approvals(Timestamp(at_us)),
            need: facts.approvals_needed,
            author_may: facts.author_may_approve,
        });
        let gates = facts.gates.into_iter().map(|gate| Gate {
            name: gate.name,
            n: gate.n,
            difference: gate.estimate,
            below: gate.upper_bound,
            margin: gate.margin,
            passed: gate.verdict == Verdict::Pass,
        });
        Ok(Standings {
            label: state.label(&policy),
            status: state.status.as_str().to_owned(),
            reason: state.reason.clone(),
            share: state.share(&policy),
            taken_back: state.status == Status::RolledBack,
            taken_back_before: stored.taken_back.clone(),
            gates: gates.collect(),
            missing: facts.missing,
            next,
            approvals,
        })
    }
}

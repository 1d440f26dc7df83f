//! How far the model that judges pairs of a rollout agrees with people: what stands beside the gate that reads its word.

use gateway::shadow::ByModel;
use serde::{Deserialize, Serialize};
use store::Database;

/// The judge of a rollout and how far it agrees with people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgeView {
    /// The target that is asked.
    pub target: String,
    /// The id of the definition.
    pub definition: String,
    /// Whether its word decides: it agrees with people well enough, or nobody asks whether it does.
    pub decides: bool,
    /// Whether nobody asks (`agreement: false`).
    pub untested: bool,
    /// Pairs that people and it judged.
    pub n_labelled: u64,
    /// Cohen's kappa over these; none where it is not defined.
    pub kappa: Option<f64>,
    /// Its 95 % interval; none of few pairs.
    pub interval: Option<(f64, f64)>,
    /// The kappa that is asked for, and on how many pairs; nothing where nobody asks.
    pub floor: Option<(f64, u64)>,
    /// Why its word may decide, or why not.
    pub why: String,
}

impl JudgeView {
    /// Looks up what people said. It reads whole runs: whoever asks often keeps what it finds for a while.
    #[must_use]
    pub fn of(model: &ByModel, database: &Database) -> JudgeView {
        let untested = model.judge.decides_untested();
        let trusted = model.judge.trust(database);
        let agreement = trusted.agreement;
        JudgeView {
            target: model.target.clone(),
            definition: model.judge.definition().to_owned(),
            decides: untested || trusted.trusted,
            untested,
            n_labelled: agreement.as_ref().map_or(0, |found| found.n_labelled),
            kappa: agreement.as_ref().and_then(|found| found.kappa),
            interval: agreement.as_ref().and_then(|found| found.interval),
            floor: agreement.filter(|_| !untested).map(|found| (found.floor, found.floor_labelled)),
            why: if untested {
                "`agreement: false`: nobody asks how far it agrees with people".to_owned()
            } else {
                trusted.why
            },
        }
    }
}

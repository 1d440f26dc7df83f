//! Vectors of the texts of a run, for what is measured by meaning.
//!
//! What an encoder is asked about a run is a run of its own, beside the run it is about, as what a judge is asked is: claims, keys, retries, costs, the cap
//! and going on after a kill are those of any run. There is one item a case: its question, right answers and every answer to it, each text once, all in one
//! call. So what an encoder refuses stays with its case and is counted there, and a case whose texts are the same as in an earlier run is not asked again.
//!
//! An encoder is an embeddings target, called as any target is, or a model that runs in this process ([`here`]) and knows vectors of tokens too.

mod answer;
pub mod here;
mod scores;
mod standing;
mod texts;

use serde::{Deserialize, Serialize};

pub use answer::Encoded;
pub(crate) use answer::read;
pub(crate) use scores::score;
pub use scores::{Recorded, recorded};
pub use standing::EncoderReport;
pub(crate) use standing::Encoding;
pub(crate) use texts::is_checked;
pub use texts::{Texts, cases, texts};

use crate::case::{Case, digest};
use crate::results::Results;
use crate::run::{Plan, PlannedTarget};

/// What makes the vectors of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoder {
    /// A target that answers requests for embeddings.
    Target(PlannedTarget),
    /// A model that runs in this process, by the id of its files, layer and weighting.
    Here(String),
}

impl Encoder {
    /// Names the encoder in the ids of what is measured by it: numbers of two encoders are two numbers.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Encoder::Target(target) => {
                let parts = [&target.fingerprint, &target.provider, &target.model].map(|part| part.as_bytes());
                format!("{}-{}", target.model, &digest(&parts)[..8])
            }
            Encoder::Here(id) => id.clone(),
        }
    }

    /// Whether it knows vectors of tokens.
    #[must_use]
    pub fn knows_tokens(&self) -> bool {
        matches!(self, Encoder::Here(_))
    }

    /// As the target of the run that holds its vectors.
    #[must_use]
    pub fn planned(&self) -> PlannedTarget {
        match self {
            Encoder::Target(target) => target.clone(),
            Encoder::Here(id) => PlannedTarget {
                name: "encoder".to_owned(),
                fingerprint: id.clone(),
                provider: "this process".to_owned(),
                model: id.clone(),
                simulated: false,
            },
        }
    }
}

/// The name of the run that holds the vectors of a run. No judge may be called what stands behind the `~`.
#[must_use]
pub fn run_name(run: &str) -> String {
    format!("{run}~{NAME}")
}

/// What no judge of a run with an encoder may be called.
pub const NAME: &str = "encoder";

/// The plan of the encoder's run.
#[must_use]
pub fn plan(results: &Results, encoder: &Encoder, cases: &[Case]) -> Plan {
    Plan { encoder_of: Some(results.row.run.clone()), ..results.plan.beside(encoder.planned(), cases) }
}

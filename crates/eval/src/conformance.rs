//! The conformance probe: asks a live server for everything an application may rely on, and holds each answer against what
//! the vendor does. One row per capability of [`wire::capability`], each with the requests and answers it was read from.
//!
//! What the probe sends is small (a few dozen short requests) and harmless: what is stored for a question is deleted after it, and no tool is run.
//! Where chance plays, several samples are taken. What could not be measured is said to be so and counts for nothing.

mod advice;
mod ask;
mod case;
mod compare;
mod evidence;
mod page;
mod probes;
mod run;
mod score;

pub use advice::{advised, snippet};
pub use compare::{Change, Comparison, compare};
pub use evidence::Evidence;
pub use page::page;
pub use run::{Options, ProbeError, Progress, Subject, probe};
pub use score::{DEFINITION, Score};

use serde::Serialize;
use wire::capability::{Capability, Treatment};

/// What was found about one capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// An application notices no difference to the vendor.
    Equivalent,
    /// It is there and differs.
    Degraded,
    /// It is not there: refused, ignored or broken.
    None,
    /// It could not be measured.
    NotMeasured,
}

impl Verdict {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Equivalent => "equivalent",
            Verdict::Degraded => "degraded",
            Verdict::None => "none",
            Verdict::NotMeasured => "not measured",
        }
    }

    /// A fault: what an application would notice.
    pub const fn is_quirk(self) -> bool {
        matches!(self, Verdict::Degraded | Verdict::None)
    }
}

/// One row of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The capability.
    pub capability: Capability,
    /// What was found.
    pub verdict: Verdict,
    /// What was seen, or why nothing could be; empty when there is nothing to say.
    pub how: String,
    /// The requests and answers it was read from.
    pub evidence: Vec<String>,
    /// What the config should do about it, when the kind's own treatment does not say so already.
    pub advice: Option<Treatment>,
}

impl Serialize for Row {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut row = serializer.serialize_struct("Row", 11)?;
        row.serialize_field("capability", self.capability.id())?;
        row.serialize_field("field", self.capability.field())?;
        row.serialize_field("group", self.capability.group().as_str())?;
        row.serialize_field("what", self.capability.what())?;
        row.serialize_field("judged", self.capability.judged())?;
        row.serialize_field("weight", &self.capability.weight().points())?;
        row.serialize_field("verdict", &self.verdict)?;
        row.serialize_field("how", &self.how)?;
        row.serialize_field("in_gateway", &self.capability.inherent())?;
        row.serialize_field("advice", &self.advice.map(Treatment::as_str))?;
        row.serialize_field("evidence", &self.evidence)?;
        row.end()
    }
}

/// What the probe found at one server.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What it was asked about: a target's name or a URL.
    pub subject: String,
    /// The server's base URL.
    pub base_url: String,
    /// The model asked for.
    pub model: String,
    /// The kind of server the config says it is.
    pub kind: &'static str,
    /// Some answers were made up: by a simulated provider, or by one behind the server, as their `x-simulated: true` says.
    pub simulated: bool,
    /// When the probe began, in Unix seconds.
    pub began_s: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The drop-in score.
    pub score: Score,
    /// One row per capability, in the order of the list.
    pub rows: Vec<Row>,
    /// Every request and its answer.
    pub evidence: Vec<Evidence>,
}

impl Report {
    /// The row of `capability`.
    pub fn row(&self, capability: Capability) -> Option<&Row> {
        self.rows.iter().find(|row| row.capability == capability)
    }

    /// The rows in which an application would notice a difference.
    pub fn quirks(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.verdict.is_quirk())
    }
}

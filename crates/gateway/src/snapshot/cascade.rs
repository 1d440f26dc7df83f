//! Small models first, larger ones where their answers are not good enough.

use std::time::Duration;

use routing::cascade::Escalate;

/// The cascade of a route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cascade {
    /// Targets asked before the route's own, in order.
    pub steps: Vec<String>,
    /// What makes an answer of theirs not good enough.
    pub escalate: Escalate,
    /// How long the answer of a step may take, its queue included; `None` is as long as its provider's limits let it.
    pub within: Option<Duration>,
    /// Whether log-probabilities are asked for where the caller did not ask; it does not see them then.
    pub ask_logprobs: bool,
    /// What is done about streams.
    pub streams: CascadeStreams,
}

/// What is done about requests for a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CascadeStreams {
    /// They go to the route's own target at once.
    #[default]
    Direct,
    /// The stream of a step is held back until it is whole and judged.
    Hold,
}

impl CascadeStreams {
    /// Every policy.
    pub const ALL: [CascadeStreams; 2] = [CascadeStreams::Direct, CascadeStreams::Hold];

    /// The word in the config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            CascadeStreams::Direct => "direct",
            CascadeStreams::Hold => "hold",
        }
    }
}

//! What an OpenAI-compatible server can do and what it does wrong in silence: one list of capabilities, what is known of each
//! kind of server, and what Crossfade does about it on the way.
//!
//! Servers accept a field and ignore it, leak a tool call as text, or end a stream without its usage, all with status 200.
//! So every capability is a row: how it is judged (the probe in `eval` follows that column), the state it is in at a kind of
//! server with the source of that knowledge, and a [`Treatment`]. A [`Profile`] is what is left of it for one provider: the
//! treatments, looked up once when the config is read.

mod kind;
mod list;
pub mod mend;
mod profile;
mod translate;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use kind::{BackendKind, Known, Source};
pub use list::{Capability, Group, Weight};
pub use profile::Profile;
pub use translate::{Unsupported, translate};

/// How well a server has a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// An application notices no difference to the vendor.
    Equivalent,
    /// It is there and differs.
    Degraded,
    /// It is not there: refused, ignored or broken.
    None,
    /// Nobody has measured it, or it could not be measured. Never counted as either.
    Unknown,
}

impl State {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Equivalent => "equivalent",
            State::Degraded => "degraded",
            State::None => "none",
            State::Unknown => "unknown",
        }
    }
}

/// What Crossfade does when a request uses a capability that its target does not have as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Treatment {
    /// Nothing: the bytes go through.
    Pass,
    /// The bytes go through. It is counted: when the answer shows that the server failed, or, where an answer cannot show it,
    /// whenever a request uses it.
    Count,
    /// The field goes by the name the server knows.
    Rename,
    /// The field is taken out.
    Drop,
    /// The request or the answer is put right.
    Fix,
    /// The request is refused with a 400 that names the field. Another target of the route may take it.
    Refuse,
}

impl Treatment {
    /// Every treatment.
    pub const ALL: [Treatment; 6] =
        [Treatment::Pass, Treatment::Count, Treatment::Rename, Treatment::Drop, Treatment::Fix, Treatment::Refuse];

    /// The word in config and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Treatment::Pass => "pass",
            Treatment::Count => "count",
            Treatment::Rename => "rename",
            Treatment::Drop => "drop",
            Treatment::Fix => "fix",
            Treatment::Refuse => "refuse",
        }
    }
}

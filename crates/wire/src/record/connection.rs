//! The ledger of what left the house: one entry for every TCP connection that was opened to a provider.

// From `core`: an address is data, and nothing of `std::net` that opens anything comes with it.
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// A TCP connection to a provider, written when it is opened and once more when it is closed. The two addresses and the two
/// times are what a network's own flow logs have of it too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// When it was open, in Unix microseconds.
    pub opened_at_us: u64,
    /// When it was closed from this side, in Unix microseconds; `None` in the first of the two entries.
    pub closed_at_us: Option<u64>,
    /// What was called over it.
    pub lane: Lane,
    /// The provider.
    pub provider: String,
    /// The region the config says the provider is in.
    pub region: Option<String>,
    /// The provider's class, in the config's word.
    pub class: String,
    /// The host name, or address, of the provider's URL.
    pub host: String,
    /// The name asked for in the TLS handshake (RFC 6066 §3); none in clear text, and none for a bare address.
    pub sni: Option<String>,
    /// This end of it.
    pub local: SocketAddr,
    /// The other end of it.
    pub remote: SocketAddr,
    /// Bytes written to it: what TCP carried, TLS included and IP headers not.
    pub bytes_out: u64,
    /// Bytes read from it.
    pub bytes_in: u64,
}

/// What connections are for. Each has its own: a copy never travels on a caller's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Calls for callers.
    #[default]
    Live,
    /// Copies to a candidate.
    Shadow,
    /// `crossfade conformance`.
    Conformance,
    /// Alerts, and the probes of baselines.
    Alerts,
    /// `crossfade eval`.
    Evaluation,
    /// `crossfade vectors`.
    Vectors,
}

impl Lane {
    const ALL: [Lane; 6] = [Lane::Live, Lane::Shadow, Lane::Conformance, Lane::Alerts, Lane::Evaluation, Lane::Vectors];

    /// The lane of this word.
    pub fn named(word: &str) -> Option<Lane> {
        Lane::ALL.into_iter().find(|lane| lane.as_str() == word)
    }

    /// The word in tables and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Lane::Live => "live",
            Lane::Shadow => "shadow",
            Lane::Conformance => "conformance",
            Lane::Alerts => "alerts",
            Lane::Evaluation => "evaluation",
            Lane::Vectors => "vectors",
        }
    }
}

//! What left the house, to whom and why.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::{CallSums, Database};

use wire::record::ConnectionRecord;

use crate::desk::OperationError;

/// The most connections that are read at once.
const MOST: u32 = 1_000_000;

/// What was sent in a time, by calls and by connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Egress {
    /// From this moment, Unix microseconds.
    pub from_us: u64,
    /// To before this one.
    pub to_us: u64,
    /// Calls for exchanges that arrived in this time, by whom and why, with bytes of bodies.
    pub calls: Vec<CallSums>,
    /// Who was connected to in this time, with bytes as TCP carried them.
    pub peers: Vec<Peer>,
}

/// Connections to one address of one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The provider.
    pub provider: String,
    /// Its class when they were opened.
    pub class: String,
    /// Its region when they were opened.
    pub region: Option<String>,
    /// The host of its URL.
    pub host: String,
    /// The address and port that were connected to.
    pub remote: String,
    /// `live`, `shadow` or `conformance`.
    pub lane: String,
    /// How many.
    pub connections: u64,
    /// How many of them are open, or were when their process died: their bytes are not known yet.
    pub open: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Bytes read.
    pub bytes_in: u64,
}

/// What was sent from `from_us` to before `to_us`, Unix microseconds.
///
/// # Errors
/// When the store cannot be read.
pub fn summary(database: &Database, from_us: u64, to_us: u64) -> Result<Egress, OperationError> {
    let calls = database.egress_calls(from_us, to_us).map_err(reading)?;
    let connections = database.connections(from_us, to_us, MOST).map_err(reading)?;
    Ok(Egress { from_us, to_us, calls, peers: peers(connections) })
}

/// Connections that were open at any moment from `from_us` to before `to_us`, oldest first, at most `limit` of them.
///
/// # Errors
/// When the store cannot be read.
pub fn connections(
    database: &Database,
    (from_us, to_us): (u64, u64),
    limit: u32,
) -> Result<Vec<ConnectionRecord>, OperationError> {
    database.connections(from_us, to_us, limit.min(MOST)).map_err(reading)
}

fn reading(source: store::DatabaseError) -> OperationError {
    OperationError::Store { doing: "read what left the house", source }
}

fn peers(connections: Vec<ConnectionRecord>) -> Vec<Peer> {
    let mut peers: BTreeMap<[String; 6], Peer> = BTreeMap::new();
    for row in connections {
        let ConnectionRecord { provider, class, region, host, lane, .. } = row;
        let remote = row.remote.to_string();
        let key = [
            provider.clone(),
            class.clone(),
            region.clone().unwrap_or_default(),
            host.clone(),
            remote.clone(),
            lane.as_str().to_owned(),
        ];
        let none = Peer {
            provider,
            class,
            region,
            host,
            remote,
            lane: lane.as_str().to_owned(),
            connections: 0,
            open: 0,
            bytes_out: 0,
            bytes_in: 0,
        };
        let peer = peers.entry(key).or_insert(none);
        peer.connections += 1;
        peer.open += u64::from(row.closed_at_us.is_none());
        peer.bytes_out += row.bytes_out;
        peer.bytes_in += row.bytes_in;
    }
    peers.into_values().collect()
}

#[cfg(test)]
mod tests {
    use wire::record::Lane;

    use super::*;

    fn row(remote: &str, class: &str, closed: bool) -> ConnectionRecord {
        ConnectionRecord {
            opened_at_us: 1,
            closed_at_us: closed.then_some(2),
            lane: Lane::Live,
            provider: "p".into(),
            region: None,
            class: class.into(),
            host: "h".into(),
            sni: None,
            local: "127.0.0.1:1".parse().unwrap(),
            remote: remote.parse().unwrap(),
            bytes_out: 5,
            bytes_in: 7,
        }
    }

    #[test]
    fn a_peer_is_an_address_of_a_provider_as_it_was_declared() {
        let rows = vec![
            row("192.0.2.1:443", "vendor", true),
            row("192.0.2.1:443", "vendor", false),
            row("192.0.2.1:443", "self_hosted", true),
            row("192.0.2.2:443", "vendor", true),
        ];
        let seen: Vec<_> = peers(rows)
            .into_iter()
            .map(|peer| (peer.class, peer.remote, peer.connections, peer.open, peer.bytes_out))
            .collect();
        assert_eq!(
            seen,
            [
                ("self_hosted".into(), "192.0.2.1:443".into(), 1, 0, 5),
                ("vendor".into(), "192.0.2.1:443".into(), 2, 1, 10),
                ("vendor".into(), "192.0.2.2:443".into(), 1, 0, 5),
            ]
        );
    }
}

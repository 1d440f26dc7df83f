//! `crossfade egress`: what left the house, how much, to whom and why.

use std::collections::BTreeMap;

use operations::egress::{Egress, Peer};
use store::CallSums;
use wire::record::ConnectionRecord;

use super::Place;
use super::source::Source;
use super::time::{ago, now_us, us_to_text};
use crate::out::{Exit, Format, Out, Stop, table};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Of the last while, such as `15m`.
    #[arg(long, value_name = "DURATION", value_parser = ago, default_value = "24h")]
    last: u64,
    /// Only what went to providers outside the house.
    #[arg(long)]
    external: bool,
    /// Every connection in a line of its own: both addresses, both times, the bytes each way.
    #[arg(long)]
    connections: bool,
    /// The connections as CSV, to be held against a network's own flow logs.
    #[arg(long)]
    csv: bool,
    /// At most so many connections, oldest first.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    limit: u32,
}

/// Reads the record and the ledger of connections.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let source = Source::open(place)?;
    let (from, to) = (args.last, now_us().saturating_add(1));
    if args.csv && out.format() != Format::Text {
        return Err(Stop::usage("`--csv` is a format of its own").hint("leave `--format` out"));
    }
    if args.connections || args.csv {
        let path = format!("/api/egress/{from}/{to}/connections/{}", args.limit);
        let rows = source.read(&path, |database| operations::egress::connections(database, (from, to), args.limit))?;
        let mut rows: Vec<ConnectionRecord> = serde_json::from_value(rows).map_err(Stop::failed)?;
        rows.retain(|row| !args.external || is_external(&row.class));
        if args.csv {
            out.print(&csv(&rows));
        } else {
            out.answer(&rows, || connections(&rows));
        }
        return Ok(Exit::Ok);
    }
    let path = format!("/api/egress/{from}/{to}");
    let egress = source.read(&path, |database| operations::egress::summary(database, from, to))?;
    let mut egress: Egress = serde_json::from_value(egress).map_err(Stop::failed)?;
    if args.external {
        egress.peers.retain(|peer| is_external(&peer.class));
        let providers: Vec<_> = egress.peers.iter().map(|peer| peer.provider.clone()).collect();
        egress.calls.retain(|calls| providers.contains(&calls.provider));
    }
    out.answer(&egress, || summary(&egress));
    let open: u64 = egress.peers.iter().map(|peer| peer.open).sum();
    if open > 0 {
        out.say(format_args!("{open} connections are open: their bytes are known when they are closed"));
    }
    Ok(Exit::Ok)
}

/// Whether what is sent to a provider of this class leaves the house. A class nobody knows any more does.
fn is_external(class: &str) -> bool {
    use providers::Class;
    ![Class::SelfHosted, Class::Simulated].iter().any(|inside| inside.as_str() == class)
}

fn dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

fn summary(egress: &Egress) -> String {
    let mut of: BTreeMap<&str, &Peer> = BTreeMap::new();
    for peer in &egress.peers {
        of.entry(&peer.provider).or_insert(peer);
    }
    let call = |calls: &CallSums| {
        let peer = of.get(calls.provider.as_str());
        let class = if calls.simulated { "simulated" } else { peer.map_or("-", |peer| peer.class.as_str()) };
        vec![
            dash(calls.route.as_deref()),
            why(calls),
            calls.target.clone(),
            calls.provider.clone(),
            class.to_owned(),
            dash(peer.and_then(|peer| peer.region.as_deref())),
            calls.calls.to_string(),
            calls.bytes_out.to_string(),
            calls.bytes_in.to_string(),
        ]
    };
    let calls: Vec<Vec<String>> = egress.calls.iter().map(call).collect();
    let peer = |peer: &Peer| {
        vec![
            peer.provider.clone(),
            peer.class.clone(),
            dash(peer.region.as_deref()),
            peer.host.clone(),
            peer.remote.clone(),
            peer.lane.clone(),
            peer.connections.to_string(),
            peer.open.to_string(),
            peer.bytes_out.to_string(),
            peer.bytes_in.to_string(),
        ]
    };
    let peers: Vec<Vec<String>> = egress.peers.iter().map(peer).collect();
    let headings =
        ["route", "why", "target", "provider", "class", "region", "calls", "body bytes out", "body bytes in"];
    let calls = table(&headings, &calls);
    let headings =
        ["provider", "class", "region", "host", "address", "for", "connections", "open", "bytes out", "bytes in"];
    format!("{calls}\n{}", table(&headings, &peers))
}

/// Why calls were made: their role, and the side of the rollout their target is on.
fn why(calls: &CallSums) -> String {
    match &calls.arm {
        Some(arm) => format!("{} ({arm})", calls.role),
        None => calls.role.clone(),
    }
}

const COLUMNS: [&str; 12] = [
    "opened_at",
    "closed_at",
    "local",
    "remote",
    "host",
    "sni",
    "provider",
    "region",
    "class",
    "lane",
    "bytes_out",
    "bytes_in",
];

/// A connection in the order of [`COLUMNS`]; `None` where there is nothing to say.
fn cells(row: &ConnectionRecord) -> [Option<String>; 12] {
    [
        Some(at(row.opened_at_us)),
        row.closed_at_us.map(at),
        Some(row.local.to_string()),
        Some(row.remote.to_string()),
        Some(row.host.clone()),
        row.sni.clone(),
        Some(row.provider.clone()),
        row.region.clone(),
        Some(row.class.clone()),
        Some(row.lane.as_str().to_owned()),
        row.closed_at_us.map(|_| row.bytes_out.to_string()),
        row.closed_at_us.map(|_| row.bytes_in.to_string()),
    ]
}

/// A moment to the microsecond, in UTC.
fn at(us: u64) -> String {
    format!("{}.{:06}", us_to_text(us), us % 1_000_000)
}

fn connections(rows: &[ConnectionRecord]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| cells(row).into_iter().map(|cell| dash(cell.as_deref())).collect()).collect();
    table(&COLUMNS, &rows)
}

/// RFC 4180, with times as RFC 3339 has them.
fn csv(rows: &[ConnectionRecord]) -> String {
    let quoted = |cell: Option<String>| {
        let cell = cell.unwrap_or_default();
        if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
    };
    let line = |row: &ConnectionRecord| {
        let mut cells = cells(row);
        for moment in cells[..2].iter_mut().flatten() {
            *moment = moment.replace(' ', "T") + "Z";
        }
        cells.into_iter().map(quoted).collect::<Vec<_>>().join(",")
    };
    let heading = COLUMNS.join(",");
    std::iter::once(heading).chain(rows.iter().map(line)).map(|line| line + "\r\n").collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use wire::record::Lane;

    use super::*;

    #[test]
    fn a_connection_in_csv_is_five_numbers_and_two_times_that_a_flow_log_has_too() {
        let row = ConnectionRecord {
            opened_at_us: 1_709_210_096_000_001,
            closed_at_us: Some(1_709_210_097_500_000),
            lane: Lane::Shadow,
            provider: "a,\"b\"".into(),
            region: None,
            class: "vendor".into(),
            host: "api.example".into(),
            sni: Some("api.example".into()),
            local: "[2001:db8::1]:40000".parse().unwrap(),
            remote: "[2001:db8::2]:443".parse().unwrap(),
            bytes_out: 12,
            bytes_in: 345,
        };
        let open = ConnectionRecord { closed_at_us: None, provider: "b".into(), ..row.clone() };
        let expected = expect![[r#"
            opened_at,closed_at,local,remote,host,sni,provider,region,class,lane,bytes_out,bytes_in
            2024-02-29T12:34:56.000001Z,2024-02-29T12:34:57.500000Z,[2001:db8::1]:40000,[2001:db8::2]:443,api.example,api.example,"a,""b""",,vendor,shadow,12,345
            2024-02-29T12:34:56.000001Z,,[2001:db8::1]:40000,[2001:db8::2]:443,api.example,api.example,b,,vendor,shadow,,
        "#]];
        expected.assert_eq(&csv(&[row, open]).replace("\r\n", "\n"));
    }

    #[test]
    fn a_class_nobody_knows_is_outside() {
        assert!(is_external("vendor") && is_external("external") && is_external("of tomorrow"));
        assert!(!is_external("self_hosted") && !is_external("simulated"));
    }
}

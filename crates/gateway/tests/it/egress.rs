//! The ledger of connections against what scripted upstreams saw.

use std::net::SocketAddr;
use std::time::Duration;

use scripted::{After, Cut, Received, Script, Upstream, chat_completion, chat_stream};
use wire::record::ConnectionRecord;

use crate::client::{Connection, PATIENCE, post};
use crate::harness::{Gateway, PLAIN, STREAMED, Setup, rollout, until};

/// The row of each connection that an upstream accepted: the same two ends, closed, on one line of the ledger.
#[track_caller]
fn rows_of(upstream: &Upstream, rows: &[ConnectionRecord]) -> Vec<(scripted::Accepted, ConnectionRecord)> {
    let here: Vec<_> = rows.iter().filter(|row| row.remote == upstream.addr()).collect();
    let accepted = upstream.connections();
    assert_eq!(here.len(), accepted.len(), "{rows:?}");
    let row_of = |peer: SocketAddr| (*here.iter().find(|row| row.local == peer).expect("a row")).clone();
    accepted.into_iter().map(|accepted| (accepted, row_of(accepted.peer))).collect()
}

#[track_caller]
fn check_exact(gateway: &Gateway, upstream: &Upstream, (lane, provider): (&str, &str)) {
    for (accepted, row) in rows_of(upstream, &gateway.connections()) {
        assert_eq!((row.bytes_out, row.bytes_in), (accepted.bytes_read, accepted.bytes_written), "{row:?}");
        assert_eq!((row.lane.as_str(), row.provider.as_str(), row.class.as_str()), (lane, provider, "vendor"));
        assert_eq!((row.host.as_str(), row.sni.as_deref()), ("127.0.0.1", None));
        assert!(row.closed_at_us.is_some_and(|closed| closed >= row.opened_at_us), "{row:?}");
    }
}

fn answer(received: &Received) -> Script {
    let script = if received.text().contains("\"stream\":true") {
        Script::stream(chat_stream(&["one", "two", "three"], true))
    } else {
        Script::json(chat_completion("x"))
    };
    match received.nth {
        2 => script.after(After::Close),
        3 => script.after(After::CloseSilently),
        _ => script,
    }
}

#[test]
fn every_connection_has_a_row_and_its_bytes_are_those_the_other_end_counted() {
    let baseline = Upstream::with(answer);
    let candidate = Upstream::with(answer);
    let broken = Upstream::with(|received| match received.nth {
        0 => Script::error(500, "server_error", "oops"),
        _ => Script::hang_up(Cut::Fin),
    });
    let live = rollout(0.0, 1.0);
    let mut setup = Setup::to(&[&baseline, &candidate, &broken]).with(&live);
    setup.targets[0].provider = {
        let mut provider = (*setup.targets[0].provider).clone();
        provider.region = Some("eu-west-1".to_owned());
        provider.into()
    };
    let gateway = setup.start();
    for nth in 0..24 {
        let body = if nth % 2 == 0 { PLAIN } else { STREAMED };
        assert_eq!(post(gateway.addr, body).status, 200);
        post(gateway.addr, &body.replace("gpt-4o", "to-c-directly"));
    }
    until("the copies are answered", || gateway.serving.shadow_totals().answered == 24);
    gateway.serving.drain();
    until("every connection is closed on the ledger", || {
        gateway.connections().iter().all(|row| row.closed_at_us.is_some())
    });
    check_exact(&gateway, &baseline, ("live", "provider-a"));
    check_exact(&gateway, &candidate, ("shadow", "provider-b"));
    check_exact(&gateway, &broken, ("live", "provider-c"));
    assert!(baseline.n_connections() >= 2 && broken.n_connections() >= 2);
    let rows = gateway.connections();
    assert_eq!(rows.len(), baseline.n_connections() + candidate.n_connections() + broken.n_connections());
    let regions: Vec<_> = rows.iter().map(|row| (row.provider.as_str(), row.region.as_deref())).collect();
    assert!(regions.contains(&("provider-a", Some("eu-west-1"))) && regions.contains(&("provider-b", None)));

    // By calls: bodies, by whom and why.
    let calls = gateway.database.egress_calls(0, u64::MAX).unwrap();
    let told: Vec<_> = calls
        .iter()
        .map(|calls| (calls.target.as_str(), calls.role.as_str(), calls.arm.as_deref(), calls.calls))
        .collect();
    // The third one's breaker opens at some point, and what was not called is not counted.
    let n_broken = told.last().map_or(0, |told| told.3);
    let expected =
        [("a", "live", Some("baseline"), 24), ("b", "shadow", Some("candidate"), 24), ("c", "live", None, n_broken)];
    assert_eq!(told, expected);
    assert!((2..=broken.requests().len() as u64).contains(&n_broken), "{n_broken}");
    for (calls, upstream) in calls.iter().zip([&baseline, &candidate, &broken]) {
        let n_bytes: usize = upstream.requests().iter().map(|received| received.body.len()).sum();
        // A call whose kept connection was found closed is made a second time on a new one.
        assert!(calls.bytes_out > 0 && calls.bytes_out <= n_bytes as u64, "{calls:?} {n_bytes}");
    }
}

#[test]
fn a_connection_shows_while_it_is_open_and_what_was_left_unread_is_not_counted() {
    let upstream = Upstream::with(|_| Script::stream(chat_stream(&["x"; 50], true)).pace(Duration::from_millis(20)));
    let gateway = Setup::to(&[&upstream]).start();
    let mut connection = Connection::open(gateway.addr);
    connection.post(STREAMED);
    connection.head().unwrap();
    until("the row of the open connection", || gateway.connections().len() == 1);
    assert_eq!(gateway.connections()[0].closed_at_us, None);
    drop(connection);
    upstream.wait_until(PATIENCE, |received| received.iter().any(|received| received.disconnected.is_some()));
    until("the row is closed", || gateway.connections()[0].closed_at_us.is_some());
    let (accepted, row) = rows_of(&upstream, &gateway.connections()).remove(0);
    assert_eq!(row.bytes_out, accepted.bytes_read);
    assert!(row.bytes_in > 0 && row.bytes_in <= accepted.bytes_written, "{row:?} {accepted:?}");
}

#[test]
fn nobody_there_is_no_connection() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let gateway = Setup::to_urls(&[&url]).start();
    assert_eq!(post(gateway.addr, PLAIN).status, 502);
    let attempt = &gateway.exchange().attempts[0];
    assert_eq!(attempt.measured.failure.as_deref(), Some("connect"));
    assert_eq!(gateway.connections(), []);
    assert_eq!(gateway.database.egress_calls(0, u64::MAX).unwrap(), []);
}

//! What is pushed to pages that are open.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::{ask, sign_in};
use crate::parts::{CONFIG, Gateway, House, until};

/// A page that follows a rollout, as its lines come.
struct Page(BufReader<TcpStream>);

impl Page {
    fn open(gateway: &Gateway<'_>, (cookie, last_id): (&str, &str)) -> Page {
        let headers = format!("cookie: {cookie}\r\nlast-event-id: {last_id}\r\n");
        Page::open_with(gateway, "/rollouts/to-qwen/events", &headers)
    }

    fn open_with(gateway: &Gateway<'_>, path: &str, headers: &str) -> Page {
        let mut stream = TcpStream::connect(gateway.admin).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let at = gateway.admin;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {at}\r\n{headers}\r\n").unwrap();
        Page(BufReader::new(stream))
    }

    /// The next line that begins so.
    #[track_caller]
    fn line(&mut self, begins: &str, holds: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended before `{begins}` with `{holds}`");
            if line.starts_with(begins) && line.contains(holds) {
                return line;
            }
        }
    }

    /// The first line behind the head.
    fn next(&mut self) -> String {
        self.line("\r\n", "");
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        // The length of a chunk stands before what is in it.
        line.clear();
        self.0.read_line(&mut line).unwrap();
        line
    }

    fn ends(mut self) -> bool {
        let mut line = String::new();
        while let Ok(n) = self.0.read_line(&mut line) {
            if n == 0 {
                return true;
            }
            line.clear();
        }
        false
    }
}

#[test]
fn what_happens_to_a_rollout_is_pushed_to_its_open_page() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let mut page = Page::open(&gateway, ("", ""));
    page.line("data:", "hx-swap-oob=");
    for nth in 0..5 {
        assert_eq!(gateway.chat("gpt-4o", &format!("question {nth}")).status, 200);
    }
    page.line("event: beat", "");
    page.line("data:", "\"at_ms\"");
    gateway.run(&["rollout", "abort", "to-qwen", "--reason", "enough"]).exits(0);
    page.line("data:", "aborted");
    page.line("event: moved", "");
    // A page that was made before that and listens only now is told that it moved; one that was made after it is not.
    let mut late = Page::open_with(&gateway, "/rollouts/to-qwen/events?seen=1", "");
    late.line("data:", "aborted");
    late.line("event: moved", "");
    let mut later = Page::open_with(&gateway, "/rollouts/to-qwen/events?seen=1000", "");
    assert_eq!(later.next(), ": here\n", "what was pushed before it was made would make it older");
    let seen = {
        let mut again = Page::open(&gateway, ("", ""));
        again.line("id: ", "").trim_start_matches("id: ").trim().to_owned()
    };
    let mut back = Page::open(&gateway, ("", &seen));
    back.line(": here", "");
}

#[test]
fn an_open_page_ends_with_the_key_it_was_opened_with() {
    let house = House::new(&format!("auth: {{ required: true }}\n{CONFIG}"));
    let make = |role: &str| house.run(&["keys", "create", role, "--role", role]).exits(0).stdout.trim().to_owned();
    let (viewer, admin) = (make("viewer"), make("admin"));
    let gateway = house.serve();
    gateway.run_as(&admin, &["rollout", "start", "to-qwen"]).exits(0);
    let cookie = sign_in(&gateway, &viewer);
    let mut page = Page::open(&gateway, (&cookie, ""));
    page.line("data:", "hx-swap-oob");
    gateway.run_as(&admin, &["keys", "revoke", "viewer", "--reason", "left"]).exits(0);
    assert!(page.ends());
    until(|| (ask(gateway.admin, "GET", "/", (&cookie, "")).status == 303).then_some(()));
}

#[test]
fn a_stream_that_a_header_opened_ends_with_its_key_also_where_nothing_happens() {
    let house = House::new(&format!("auth: {{ required: true }}\n{CONFIG}"));
    let make = |role: &str| house.run(&["keys", "create", role, "--role", role]).exits(0).stdout.trim().to_owned();
    let (viewer, admin) = (make("viewer"), make("admin"));
    let gateway = house.serve();
    let open = |key: &str| Page::open_with(&gateway, "/events", &format!("authorization: Bearer {key}\r\n"));
    let (mut page, mut other) = (open(&viewer), open(&admin));
    page.line("data:", "hx-swap-oob");
    other.line("data:", "hx-swap-oob");
    gateway.run_as(&admin, &["keys", "revoke", "viewer", "--reason", "left"]).exits(0);
    assert!(page.ends());
    gateway.run_as(&admin, &["rollout", "start", "to-qwen"]).exits(0);
    other.line("data:", "is in shadow");
}

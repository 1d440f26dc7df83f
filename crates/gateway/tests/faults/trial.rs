//! One trial: a gateway, what is asked of it, and the look at everything afterwards.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use scripted::Upstream;
use store::ExchangeDetail;

use crate::answers::ending;
use crate::client::{Answer, Connection};
use crate::dice::Dice;
use crate::harness::{Gateway, PLAIN, STREAMED, Setup};
use crate::row::{Row, Seen};

/// How long everything may take to be let go of.
const LET_GO: Duration = Duration::from_secs(5);

/// Failures of attempts that made no call.
const NOT_CALLED: [&str; 9] = [
    "internal",
    "connect",
    "dns",
    "timeout_connect",
    "breaker_open",
    "recovering",
    "retry_budget",
    "capacity",
    "unsupported",
];

pub struct Trial<'a> {
    pub dice: Dice,
    row: &'a Row,
    pub seen: &'a mut Seen,
}

impl<'a> Trial<'a> {
    pub fn new(row: &'a Row, seed: u64, seen: &'a mut Seen) -> Self {
        Self { dice: Dice::new(seed), row, seen }
    }

    /// Starts a gateway in front of these upstreams.
    pub fn stage<'u>(&mut self, mut setup: Setup, upstreams: &[&'u Upstream]) -> Stage<'u> {
        // Kept connections are let go of at once, so that none is left to be told from one that was forgotten.
        for target in &mut setup.targets {
            let mut provider = (*target.provider).clone();
            provider.idle_timeout = Duration::from_millis(100);
            target.provider = provider.into();
        }
        let n_before = n_descriptors("");
        let gateway = setup.start();
        Stage { gateway, upstreams: upstreams.to_vec(), n_before, n_sockets: n_sockets(), answers: RefCell::default() }
    }

    /// One request, and the look at what came of it.
    pub fn one(&mut self, setup: Setup, upstreams: &[&Upstream], streamed: bool) -> Answer {
        let stage = self.stage(setup, upstreams);
        let answer = stage.ask(if streamed { STREAMED } else { PLAIN });
        self.end(stage);
        answer
    }

    /// Looks at everything, once nothing is under way any more.
    pub fn end(&mut self, stage: Stage<'_>) -> Vec<ExchangeDetail> {
        stage.is_let_go();
        let exchanges = stage.exchanges();
        for (label, id, status) in stage.answers.borrow().iter() {
            assert!(self.row.answers.contains(&label.as_str()), "a caller saw `{label}`");
            *self.seen.answers.entry(label.clone()).or_default() += 1;
            let record = exchanges.iter().find(|one| Some(one.exchange.id.to_string()) == *id);
            if *status == Some(200) {
                let outcome = &record.expect("what was served is on record").exchange.outcome;
                assert_eq!(outcome == "complete", label == "200", "{label} is on record as {outcome}");
            }
        }
        let mut n_calls = 0;
        for one in &exchanges {
            let failure = one.exchange.failure.as_deref().unwrap_or_default();
            let record = format!("{} {failure}", one.exchange.outcome).trim_end().to_owned();
            assert!(self.row.records.contains(&record.as_str()), "on record is `{record}`: {one:?}");
            self.seen.records.insert(record);
            let n = one.attempts.iter().filter(|attempt| was_called(attempt)).count();
            let (least, most) = self.row.calls;
            assert!((least..=most).contains(&n), "{n} calls for one request: {one:?}");
            self.seen.calls.insert(n);
            n_calls += n;
        }
        let n_received: usize = stage.upstreams.iter().map(|upstream| upstream.requests().len()).sum();
        if !stage.upstreams.is_empty() {
            assert_eq!(n_received, n_calls, "calls received and calls on record: {exchanges:?}");
        }
        let n_before = stage.n_before;
        drop(stage);
        until("all descriptors are closed with the gateway", || n_descriptors("") <= n_before);
        exchanges
    }
}

fn was_called(attempt: &store::AttemptRow) -> bool {
    let failure = attempt.measured.failure.as_deref();
    let waits = failure.is_some_and(|failure| failure.ends_with("_limited") || failure.starts_with("quota"));
    match failure {
        Some(failure) if NOT_CALLED.contains(&failure) => false,
        // A pause of the target is told in the provider's words, but for the status: nobody was asked.
        Some(_) if waits => attempt.measured.status.is_some(),
        _ => true,
    }
}

pub struct Stage<'u> {
    pub gateway: Gateway,
    upstreams: Vec<&'u Upstream>,
    n_before: usize,
    n_sockets: usize,
    answers: RefCell<Vec<Ended>>,
}

/// How an answer ended, its exchange and its status.
type Ended = (String, Option<String>, Option<u16>);

impl Stage<'_> {
    /// One request on a connection of its own.
    pub fn ask(&self, body: &str) -> Answer {
        self.ask_with(&[], body)
    }

    pub fn ask_with(&self, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut connection = Connection::open(self.gateway.addr);
        connection.send("POST", "/v1/chat/completions", headers, body.as_bytes());
        let answer = connection.answer();
        self.note(answer.as_ref(), body.contains("\"stream\":true"));
        answer.expect("an answer")
    }

    /// One request on a connection that is kept.
    pub fn ask_on(&self, connection: &mut Connection, body: &str) -> Answer {
        connection.post(body);
        let answer = connection.answer();
        self.note(answer.as_ref(), body.contains("\"stream\":true"));
        answer.expect("an answer")
    }

    /// A request whose answer is read later, or never.
    pub fn begin(&self, body: &str) -> Connection {
        let mut connection = Connection::open(self.gateway.addr);
        connection.post(body);
        connection
    }

    /// Writes down how an answer ended.
    #[track_caller]
    pub fn note(&self, answer: Option<&Answer>, streamed: bool) {
        let id = answer.and_then(|answer| answer.header("x-crossfade-exchange-id")).map(str::to_owned);
        self.answers.borrow_mut().push((ending(answer, streamed), id, answer.map(|answer| answer.status)));
    }

    /// Everything on record.
    pub fn exchanges(&self) -> Vec<ExchangeDetail> {
        let n = self.gateway.serving.totals().exchanges.values().sum::<u64>();
        self.gateway.exchanges(usize::try_from(n).unwrap())
    }

    /// Nothing is held any more: requests, calls, places in queues, connections on either side.
    fn is_let_go(&self) {
        let gateway = &self.gateway;
        until("no request in flight", || gateway.serving.totals().in_flight == 0);
        until("no caller connected", || gateway.serving.totals().connections == 0);
        until("no call in flight", || gateway.calls_in_flight() == 0);
        until("nobody in a queue", || gateway.serving.target_statuses().iter().all(|status| status.waiting == 0));
        until(&format!("no more than {} sockets", self.n_sockets), || n_sockets() <= self.n_sockets);
    }
}

/// Open file descriptors of this process whose target begins like this.
fn n_descriptors(kind: &str) -> usize {
    let all: Vec<_> = std::fs::read_dir("/proc/self/fd").map(|all| all.flatten().collect()).unwrap_or_default();
    all.iter()
        .filter(|one| std::fs::read_link(one.path()).is_ok_and(|to| to.to_string_lossy().starts_with(kind)))
        .count()
}

fn n_sockets() -> usize {
    n_descriptors("socket:")
}

/// Waits for a state, for as long as things may be held.
#[track_caller]
fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + LET_GO;
    while !done() {
        assert!(Instant::now() < deadline, "not within {LET_GO:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

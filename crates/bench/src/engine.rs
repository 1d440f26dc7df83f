//! The loops. A thread makes requests ahead, a thread waits for the moment each is due, and workers with runtimes of their own send them and read what comes;
//! nobody who waits for an answer decides when the next request is due.

mod call;
mod context;
mod soon;
pub mod turns;
mod worker;

use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use providers::{Call, Provider, ProviderConfig, ProviderError, Shared, Timeouts};
use tokio::sync::OwnedSemaphorePermit;
use wire::failure::Failure;
use wire::sse::Event;

use crate::arrivals::trace::Shape;
use crate::measure::Gaps;
use crate::prompt::Maker;
use crate::sample::Sample;
use crate::slo::Slo;
use crate::tokens::{Count, Kept};

use turns::Turns;

/// Requests that are made before they are due. When there is no room, the maker waits.
const AHEAD: usize = 512;

/// Requests on their way to a worker. When there is no room, the pacer waits, and the lag shows it.
const TO_WORKER: usize = 4096;

/// Places of a closed loop that are on their way to their first connection at once, each worker's own: a thousand at a time would cost more memory than the
/// load itself, and more than a server's listener takes.
const CONNECTING: usize = 64;

/// How often a clock gives the workers of a closed loop something to do, so that it is seen how late they come to it.
const BEAT: Duration = Duration::from_millis(10);

/// How long a connection may take where it is asked whether there is anybody.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a stop is heeded.
const HEED: Duration = Duration::from_millis(50);

/// Turns a chat request into one of a target.
pub trait Ask: Send + Sync {
    /// The request as this target is asked it.
    ///
    /// # Errors
    /// When it cannot be asked that.
    fn prepare(&self, body: Bytes) -> Result<Box<dyn Asked>, Failure>;
}

/// A request that is ready to be sent.
pub trait Asked: Send {
    /// The call.
    fn call(&self, timeouts: Timeouts) -> Call;
    /// What reads its stream as chunks of a chat completion.
    fn reader(&self) -> Box<dyn ReadStream>;
}

/// A stream on its way to chunks of a chat completion.
pub trait ReadStream {
    /// Takes the next bytes and appends the chunks that they complete.
    ///
    /// # Errors
    /// When they are no events.
    fn push(&mut self, bytes: &Bytes, chunks: &mut Vec<Event>) -> Result<(), Failure>;
    /// The body has ended: the last chunks.
    ///
    /// # Errors
    /// When they cannot be read.
    fn end(&mut self, chunks: &mut Vec<Event>) -> Result<(), Failure>;
}

/// Who is asked.
#[derive(Clone)]
pub struct Target {
    /// What it is called in results.
    pub name: String,
    /// The model that requests name.
    pub model: String,
    /// Where it is.
    pub provider: Arc<Provider>,
    /// What makes a chat request one of its own.
    pub ask: Arc<dyn Ask>,
    /// What counts tokens where the server does not, and beside it: the best first.
    pub counters: Vec<Arc<dyn Count>>,
}

impl Target {
    /// A target at this provider, which may have as many connections as the load wants.
    ///
    /// # Errors
    /// When the provider cannot be set up.
    pub fn new(
        (name, model): (&str, &str),
        config: &ProviderConfig,
        (shared, ask): (&Shared, Arc<dyn Ask>),
    ) -> Result<Target, ProviderError> {
        let config = ProviderConfig { max_connections: 65_535, ..config.clone() };
        let provider = shared.provider(Arc::new(config))?;
        Ok(Target { name: name.to_owned(), model: model.to_owned(), provider, ask, counters: Vec::new() })
    }

    /// The least time of a few requests that need no model, in milliseconds: an upper bound of the way there and back. `None` where none was answered.
    #[must_use]
    pub fn round_trip_ms(&self) -> Option<f64> {
        if self.provider.config().is_simulated() {
            return None;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(call::round_trip_ms(&self.provider))
    }
}

impl Target {
    /// Whether anything accepts a connection where the server is to be; of several addresses, at one of them.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        let url = &self.provider.config().base_url;
        let Ok(uri) = url.as_str().parse::<http::Uri>() else { return false };
        let port = uri.port_u16().unwrap_or(if url.is_https() { 443 } else { 80 });
        // Brackets are how a URL writes an IPv6 address.
        let host = url.host().trim_matches(['[', ']']);
        let Ok(mut addresses) = (host, port).to_socket_addrs() else { return false };
        addresses.any(|address| TcpStream::connect_timeout(&address, PATIENCE).is_ok())
    }

    /// Whether the server answers well to a request that needs no model: for its list of models.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.is_ok_and(|runtime| runtime.block_on(call::is_healthy(&self.provider)))
    }
}

/// How much is sent.
#[derive(Debug, Clone)]
pub enum Pace {
    /// An open loop: at these moments, whatever comes back. Of a trace, with its shapes.
    Open(Vec<(Duration, Option<Shape>)>),
    /// A closed loop: so many under way.
    Closed(usize),
}

/// One level of load.
#[derive(Debug, Clone)]
pub struct Phase {
    /// How much.
    pub pace: Pace,
    /// Who is asked when.
    pub turns: Turns,
    /// Requests due before this do not count.
    pub warm_up: Duration,
    /// Nothing is due after this.
    pub end: Duration,
    /// How long is waited for what is under way then.
    pub drain: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Stop when this cannot be met any more.
    pub give_up: Option<Slo>,
    /// Requests of a closed loop that count at most; then it is over.
    pub most: Option<u64>,
    /// The number of the first request, so that no two phases send the same.
    pub first_idx: u64,
}

/// What a phase left.
#[derive(Debug, Default)]
pub struct Seen {
    /// Every request that counts.
    pub samples: Vec<Sample>,
    /// Those that were due before and ended after the window had begun: they count for what was done in it and for nothing else.
    pub earlier: Vec<Sample>,
    /// The number after the last request of a closed loop.
    pub next_idx: u64,
    /// What is kept of the words of answers.
    pub texts: Vec<Kept>,
    /// The gaps of each target.
    pub gaps: Vec<Gaps>,
    /// Of a closed loop, in which nothing is due: how late the workers came to what a clock gave them to do while requests counted.
    pub beats: Vec<Duration>,
    /// When it was over: what had been sent by then is all there is.
    pub ended: Duration,
    /// Somebody stopped it.
    pub is_stopped: bool,
    /// The objective could not be met any more.
    pub gave_up: bool,
    /// A closed loop had all the requests that it was to have before its time was over.
    pub is_full: bool,
    /// Why requests could not be made, where they could not.
    pub refused: Option<String>,
}

/// How far a phase is, for whoever shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Live {
    /// Since it began.
    pub at: Duration,
    /// Requests that were begun.
    pub n_begun: u64,
    /// Those that are over.
    pub n_ended: u64,
    /// Those of them that failed.
    pub n_failed: u64,
}

type Sender = tokio::sync::mpsc::Sender<ToDo>;

/// What the threads of a phase share.
pub(crate) struct Common {
    began: Instant,
    stop: Arc<AtomicBool>,
    given_up: AtomicBool,
    /// Requests that may miss the objective before it is given up.
    may_miss: u64,
    n_missed: AtomicU64,
    /// Requests of a closed loop that count.
    n_counted: AtomicU64,
    n_begun: AtomicU64,
    n_ended: AtomicU64,
    n_failed: AtomicU64,
}

impl Common {
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.given_up.load(Ordering::Relaxed)
    }

    fn live(&self) -> Live {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Live { at: self.now(), n_begun: of(&self.n_begun), n_ended: of(&self.n_ended), n_failed: of(&self.n_failed) }
    }
}

/// What a worker is given to do.
pub(crate) enum ToDo {
    /// A request that is due.
    Ask(Due),
    /// Nothing: it was to come to this at that moment.
    Beat(Duration),
}

/// A request that is due.
pub(crate) struct Due {
    number: u64,
    intended: Duration,
    target: usize,
    block: usize,
    asked: Box<dyn Asked>,
    wanted: Option<u64>,
    /// Of the first request of a place: let go when it is sent, so that another place begins.
    begins: Option<OwnedSemaphorePermit>,
}

/// What sends.
pub struct Engine {
    /// Who is asked.
    pub targets: Vec<Target>,
    /// What is asked.
    pub maker: Maker,
    /// Threads that send and read.
    pub n_workers: usize,
    /// Set by whoever wants it to stop.
    pub stop: Arc<AtomicBool>,
}

impl Engine {
    /// Sends one level of load and waits until it is over.
    #[must_use]
    pub fn run(&self, phase: &Phase, show: &dyn Fn(Live)) -> Seen {
        let common = Arc::new(Common {
            began: Instant::now(),
            stop: Arc::clone(&self.stop),
            given_up: AtomicBool::new(false),
            may_miss: may_miss(phase),
            n_missed: AtomicU64::new(0),
            n_counted: AtomicU64::new(0),
            n_begun: AtomicU64::new(0),
            n_ended: AtomicU64::new(0),
            n_failed: AtomicU64::new(0),
        });
        let n_workers = self.n_workers.max(1);
        let mut seen = thread::scope(|scope| {
            let (common, mut senders, mut workers) = (&common, Vec::new(), Vec::new());
            for number in 0..n_workers {
                let (sender, receiver) = tokio::sync::mpsc::channel(TO_WORKER);
                senders.push(sender);
                let places = (number, n_workers);
                workers.push(scope.spawn(move || worker::run((self, phase), common, receiver, places)));
            }
            let refused = match &phase.pace {
                Pace::Open(slots) => {
                    let (made, makes) = sync_channel(AHEAD);
                    let maker = scope.spawn(move || self.make(phase, slots, &made));
                    let pacer = scope.spawn(move || pace(common, &makes, &senders));
                    watch(common, show, || pacer.is_finished());
                    pacer.join().ok();
                    maker.join().ok().flatten()
                }
                Pace::Closed(_) => {
                    scope.spawn(move || beat(common, phase, &senders));
                    None
                }
            };
            watch(common, show, || workers.iter().all(thread::ScopedJoinHandle::is_finished));
            let mut seen = Seen { gaps: vec![Gaps::new(); self.targets.len()], refused, ..Seen::default() };
            for worker in workers {
                let Ok(mut part) = worker.join() else { continue };
                let n_texts = seen.texts.len();
                part.samples
                    .iter_mut()
                    .chain(&mut part.earlier)
                    .for_each(|sample| sample.kept = sample.kept.map(|place| place + n_texts));
                seen.texts.append(&mut part.texts);
                seen.samples.extend(part.samples);
                seen.earlier.extend(part.earlier);
                seen.next_idx = seen.next_idx.max(part.next_idx);
                seen.gaps.iter_mut().zip(&part.gaps).for_each(|(all, part)| all.merge(part));
                seen.beats.extend(part.beats);
                seen.refused = seen.refused.take().or(part.refused);
            }
            seen
        });
        seen.samples.sort_by_key(|sample| sample.intended);
        seen.is_stopped = self.stop.load(Ordering::Relaxed);
        seen.is_full = phase.most.is_some_and(|most| common.n_counted.load(Ordering::Relaxed) > most);
        seen.gave_up = common.given_up.load(Ordering::Relaxed);
        seen.ended = common.now();
        seen
    }

    /// Makes the requests of a schedule, ahead of time; says why it could not.
    fn make(&self, phase: &Phase, slots: &[(Duration, Option<Shape>)], made: &SyncSender<Due>) -> Option<String> {
        for (place, (at, shape)) in slots.iter().enumerate() {
            for (target, block) in phase.turns.at(*at, place, self.targets.len()) {
                let idx = phase.first_idx + place as u64;
                match self.due(idx, (target, block), *at, shape.as_ref()) {
                    // Nobody waits for it any more: the phase is over.
                    Ok(due) => made.send(due).ok()?,
                    Err(failure) => return Some(format!("{}: {}", self.targets[target].name, failure.detail)),
                }
            }
        }
        None
    }

    fn due(
        &self,
        idx: u64,
        (target, block): (usize, usize),
        intended: Duration,
        shape: Option<&Shape>,
    ) -> Result<Due, Failure> {
        let made = self.maker.make(idx, &self.targets[target].model, shape);
        let asked = self.targets[target].ask.prepare(made.body)?;
        Ok(Due { number: idx, intended, target, block, asked, wanted: made.wanted, begins: None })
    }
}

/// Requests that may miss the objective of a phase that gives up; none ever do where it does not.
fn may_miss(phase: &Phase) -> u64 {
    match (&phase.give_up, &phase.pace) {
        (Some(slo), Pace::Open(slots)) => {
            let n = slots.iter().filter(|(at, _)| *at >= phase.warm_up && *at < phase.end).count();
            crate::clock::whole(n as f64 * (1.0 - slo.share))
        }
        _ => u64::MAX,
    }
}

/// Hands each request to a worker at its moment, in turn.
fn pace(common: &Common, makes: &Receiver<Due>, senders: &[Sender]) {
    soon::run_soon();
    for (place, due) in makes.iter().enumerate() {
        if !until(common, due.intended) || senders[place % senders.len()].blocking_send(ToDo::Ask(due)).is_err() {
            return;
        }
    }
}

/// Gives every worker something to do at moments of its own, none of which is left out when one was late.
fn beat(common: &Common, phase: &Phase, senders: &[Sender]) {
    soon::run_soon();
    let mut at = phase.warm_up;
    while at < phase.end && until(common, at) {
        if senders.iter().any(|sender| sender.blocking_send(ToDo::Beat(at)).is_err()) {
            return;
        }
        at += BEAT;
    }
}

/// Waits for this moment; whether it came before the end did.
fn until(common: &Common, at: Duration) -> bool {
    loop {
        if common.is_over() {
            return false;
        }
        let left = at.saturating_sub(common.now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(HEED));
    }
}

fn watch(common: &Common, show: &dyn Fn(Live), is_done: impl Fn() -> bool) {
    while !is_done() {
        show(common.live());
        thread::sleep(HEED);
    }
}
